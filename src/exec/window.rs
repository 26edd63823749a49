//! Guest code as lifters read it: from memory, or from a record of it.

use super::saved::{BlockNumber, hash};
use crate::mem::{Changes, space};
use guest::GuestAddr;
use guest::arch::{CodeReader, MAX_INSN_LEN};
use guest::ir::Block;

/// How much code is fetched at once.
const FETCHED: usize = 256;
/// Room for the longest block.
const ROOM: usize = 1280;

/// What a block was lifted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// More than can be said here.
    Unknown,
    /// Memory.
    Memory {
        /// Of the bytes from its first instruction to the end of its last one.
        hash: u64,
        guarded: Guarded,
    },
    /// A record in the file of saved code.
    Saved(BlockNumber),
}

/// Whether the page that a block is in was guarded against jumps, as far as its lifter asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarded {
    NotAsked,
    No,
    Yes,
}

impl Guarded {
    pub fn number(self) -> u16 {
        self as u16
    }

    pub fn of_number(number: u16) -> Option<Self> {
        [Self::NotAsked, Self::No, Self::Yes].into_iter().find(|guarded| guarded.number() == number)
    }
}

/// Guest code in memory: a window that is fetched ahead and grows.
pub struct Window {
    start: u64,
    /// Nothing is read from here on.
    end: u64,
    bytes: [u8; ROOM],
    len: usize,
    /// Whether there may be more code behind it.
    goes_on: bool,
    changes: Changes,
    guarded: Guarded,
    /// Whether pages of both kinds were met.
    mixed: bool,
}

impl Window {
    /// From `start` on, before `end`.
    pub fn within(start: u64, end: u64, changes: Changes) -> Self {
        let mut window = Self {
            start,
            end,
            bytes: [0; ROOM],
            len: 0,
            goes_on: true,
            changes,
            guarded: Guarded::NotAsked,
            mixed: false,
        };
        window.grow();
        window
    }

    fn grow(&mut self) {
        let there = usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let end = (self.len + FETCHED).min(ROOM).min(there).max(self.len);
        let from = GuestAddr(self.start.wrapping_add(self.len as u64));
        let got = space().fetch(from, &mut self.bytes[self.len..end], self.changes);
        self.goes_on = self.len + got == end && end < there;
        self.len += got;
    }

    fn restart(&mut self, start: u64) {
        (self.start, self.len) = (start, 0);
        self.grow();
    }

    /// What `block` was lifted from; unknown where the window does not hold all of that any more.
    pub fn origin(&self, block: &Block) -> Origin {
        match self.bytes_of(block) {
            Some(bytes) if !self.mixed => Origin::Memory { hash: hash::of(bytes), guarded: self.guarded },
            _ => Origin::Unknown,
        }
    }

    fn bytes_of(&self, block: &Block) -> Option<&[u8]> {
        let first = block.insns.first()?.pc.raw();
        let last = block.insns.last()?;
        let end = last.pc.raw().wrapping_add(u64::from(last.len));
        let range = first.wrapping_sub(self.start) as usize..end.wrapping_sub(self.start) as usize;
        self.bytes[..self.len].get(range)
    }
}

impl CodeReader for Window {
    fn is_guarded(&mut self, pc: GuestAddr) -> bool {
        let guarded = space().protection(pc).is_some_and(|prot| prot.guarded());
        let now = if guarded { Guarded::Yes } else { Guarded::No };
        self.mixed |= !matches!(self.guarded, Guarded::NotAsked) && self.guarded != now;
        self.guarded = now;
        guarded
    }

    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        let inside = pc.raw().wrapping_sub(self.start) as usize;
        if inside > self.len {
            self.restart(pc.raw());
            return &self.bytes[..self.len];
        }
        if self.goes_on && inside + MAX_INSN_LEN > self.len {
            if self.len == ROOM {
                self.restart(pc.raw());
                return &self.bytes[..self.len];
            }
            self.grow();
        }
        &self.bytes[inside..self.len]
    }
}

/// A block's guest code as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    pub start: u64,
    pub bytes: &'static [u8],
    pub guarded: Guarded,
}

impl Recorded {
    /// The address behind it.
    pub fn end(&self) -> u64 {
        self.start.wrapping_add(self.bytes.len() as u64)
    }
}

impl CodeReader for Recorded {
    fn is_guarded(&mut self, _pc: GuestAddr) -> bool {
        self.guarded == Guarded::Yes
    }

    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        let inside = pc.raw().wrapping_sub(self.start);
        usize::try_from(inside).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }
}
