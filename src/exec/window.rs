//! Guest code as lifters read it: from memory, or from a record of it.

use super::saved::BlockNumber;
use crate::mem::{Changes, space};
use guest::GuestAddr;
use guest::arch::{CodeReader, MAX_INSN_LEN};
use guest::ir::{Block, Hint, Terminator};
use smallvec::SmallVec;
use std::cell::Cell;

/// How much code is fetched at first, and at once when that was not enough: most blocks are short.
const FETCHED_FIRST: usize = 128;
const FETCHED: usize = 256;
/// Room for the longest block.
const ROOM: usize = 1280;

/// What a block was lifted from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// More than can be said here.
    Unknown,
    /// Memory, which had this code.
    Memory(Code),
    /// A record in the file of saved code.
    Saved(BlockNumber),
}

/// A copy of a block's guest code, from its first instruction to the end of its last one: lifted, it gives the block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    /// How far the first instruction starts before the block's pc.
    pub before: u8,
    pub guarded: Guarded,
    /// The block's end, as far as is often asked for.
    pub notes_target: bool,
    pub bytes: SmallVec<[u8; USUAL]>,
}

/// Most blocks have no more bytes of code.
const USUAL: usize = 31;

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
    bytes: Box<[u8; ROOM]>,
    len: usize,
    /// Whether there may be more code behind it.
    goes_on: bool,
    changes: Changes,
    guarded: Guarded,
    /// Whether pages of both kinds were met.
    mixed: bool,
}

thread_local! {
    /// The last window's bytes, for the next one.
    static SPARE: Cell<Option<Box<[u8; ROOM]>>> = const { Cell::new(None) };
}

impl Window {
    /// From `start` on, before `end`.
    pub fn within(start: u64, end: u64, changes: Changes) -> Self {
        let mut window = Self {
            start,
            end,
            bytes: SPARE.take().unwrap_or_else(|| Box::new([0; ROOM])),
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
        let more = if self.len == 0 { FETCHED_FIRST } else { FETCHED };
        let end = (self.len + more).min(ROOM).min(there).max(self.len);
        let from = GuestAddr(self.start.wrapping_add(self.len as u64));
        let got = space().fetch(from, &mut self.bytes[self.len..end], self.changes);
        self.goes_on = self.len + got == end && end < there;
        self.len += got;
    }

    fn restart(&mut self, start: u64) {
        (self.start, self.len) = (start, 0);
        self.grow();
    }

    /// Hands the memory on.
    pub fn recycle(self) {
        SPARE.set(Some(self.bytes));
    }

    /// What `block` was lifted from; unknown where the window does not hold all of that any more, or its bytes alone
    /// would give another block.
    pub fn origin(&self, block: &Block) -> Origin {
        self.code_of(block).map_or(Origin::Unknown, Origin::Memory)
    }

    fn code_of(&self, block: &Block) -> Option<Code> {
        let whole = !self.mixed
            && !matches!(block.terminator, Terminator::Trap { .. } | Terminator::FetchFault { .. });
        let first = block.insns.first().filter(|_| whole)?.pc.raw();
        Some(Code {
            before: u8::try_from(block.pc.raw().wrapping_sub(first)).ok()?,
            guarded: self.guarded,
            notes_target: notes_target(&block.terminator),
            bytes: SmallVec::from_slice(self.bytes_of(block, first)?),
        })
    }

    fn bytes_of(&self, block: &Block, first: u64) -> Option<&[u8]> {
        let last = block.insns.last()?;
        let end = last.pc.raw().wrapping_add(u64::from(last.len));
        let range = first.wrapping_sub(self.start) as usize..end.wrapping_sub(self.start) as usize;
        self.bytes[..self.len].get(range)
    }
}

/// Whether code from templates notes where a block that ends so has led last.
pub fn notes_target(terminator: &Terminator) -> bool {
    matches!(terminator, Terminator::Indirect { hint: Hint::None | Hint::Call(_), .. })
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
pub struct Recorded<'a> {
    pub start: u64,
    pub bytes: &'a [u8],
    pub guarded: Guarded,
}

impl Recorded<'_> {
    /// The address behind it.
    pub fn end(&self) -> u64 {
        self.start.wrapping_add(self.bytes.len() as u64)
    }
}

impl CodeReader for Recorded<'_> {
    fn is_guarded(&mut self, _pc: GuestAddr) -> bool {
        self.guarded == Guarded::Yes
    }

    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        let inside = pc.raw().wrapping_sub(self.start);
        usize::try_from(inside).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }
}
