//! Pointers with a tag in the top byte, given to system calls (AArch64).
//!
//! The kernel's rules (Documentation/arch/arm64/tagged-address-abi.rst): what only names a place in the address
//! space may be tagged, but for new places; what the kernel reads or writes may be tagged only where the thread has
//! asked for it, and is EFAULT otherwise. The host knows no tags: they are taken off here, in structures too, or left
//! on, and then the host says EFAULT by itself, as `read_guest` and its like do.

use super::dispatch::Entry;
use super::table::kinds::Kind;
use super::table::shapes::Shape;
use super::{read_guest, write_guest};
use crate::mem;
use guest::GuestAddr;
use std::cell::Cell;

thread_local! {
    /// Whether the call in progress may have tagged pointers to memory.
    static TAKEN: Cell<bool> = const { Cell::new(true) };
}

/// Whether the kernel would access this address: a tagged one only where that is allowed.
#[must_use]
pub fn may_access(addr: u64) -> bool {
    !has_tag(addr) || TAKEN.get()
}

fn has_tag(addr: u64) -> bool {
    mem::untagged(GuestAddr(addr)).is_some()
}

fn plain(addr: u64) -> u64 {
    mem::untagged(GuestAddr(addr)).map_or(addr, GuestAddr::raw)
}

/// A call's arguments as the host is to have them, and what they point to.
pub struct Untagged {
    pub args: [u64; 6],
    /// Copies of structures without tags, that the arguments point to.
    copies: Vec<Box<[u64]>>,
    /// The guest's message header and our copy of it, which the kernel may write.
    message: Option<(u64, usize)>,
}

/// The arguments without tags where those are allowed; `None` where nothing is tagged.
#[must_use]
pub fn untagged(entry: &Entry, args: &[u64; 6], taken: bool) -> Option<Untagged> {
    TAKEN.set(taken);
    let nests = |kind| {
        matches!(kind, Kind::InVec | Kind::OutVec | Kind::Takes(Shape::Message) | Kind::Gives(Shape::Message))
    };
    let suspicious =
        args.iter().any(|&arg| has_tag(arg)) || (taken && entry.params.iter().any(|param| nests(param.kind)));
    if !suspicious {
        return None;
    }
    let mut call = Untagged { args: *args, copies: Vec::new(), message: None };
    for (index, kind) in entry.params.iter().map(|param| param.kind).enumerate() {
        if matches!(kind, Kind::Place) || (taken && kind.is_pointer()) {
            call.args[index] = plain(args[index]);
        }
        match kind {
            Kind::InVec | Kind::OutVec if taken => {
                call.vector(index, args.get(index + 1).copied().unwrap_or(0));
            }
            Kind::Takes(Shape::Message) | Kind::Gives(Shape::Message) if taken => call.message(index),
            _ => {}
        }
    }
    Some(call)
}

const VECTOR_LIMIT: u64 = 1024;

impl Untagged {
    /// Keeps a copy; its address.
    fn keep(&mut self, words: Vec<u64>) -> u64 {
        self.copies.push(words.into_boxed_slice());
        self.copies.last().map_or(0, |copy| copy.as_ptr() as u64)
    }

    /// An array of `struct iovec` without tags, where it has some.
    fn plain_vector(&mut self, addr: u64, count: u64) -> Option<u64> {
        let words: Result<Vec<u64>, i32> = (0..2 * count.min(VECTOR_LIMIT))
            .map(|index| read_guest(addr + 8 * index).map(u64::from_le_bytes))
            .collect();
        let words = words.ok()?;
        let tagged = words.iter().step_by(2).any(|&base| has_tag(base));
        let strip = |(index, &word): (usize, &u64)| if index % 2 == 0 { plain(word) } else { word };
        tagged.then(|| self.keep(words.iter().enumerate().map(strip).collect()))
    }

    fn vector(&mut self, index: usize, count: u64) {
        if let Some(copy) = self.plain_vector(self.args[index], count) {
            self.args[index] = copy;
        }
    }

    /// `struct msghdr`: the name, the vector and the control data are pointers.
    fn message(&mut self, index: usize) {
        let addr = self.args[index];
        let Ok(bytes) = read_guest::<56>(addr) else { return };
        let mut words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| word[i])))
            .collect();
        let before = words.clone();
        words[0] = plain(words[0]);
        words[4] = plain(words[4]);
        words[2] = plain(words[2]);
        words[2] = self.plain_vector(words[2], words[3]).unwrap_or(words[2]);
        if words != before {
            self.args[index] = self.keep(words);
            self.message = Some((addr, self.copies.len() - 1));
        }
    }

    /// After the call: lengths and flags of a message go back to the guest's header.
    pub fn finish(self) {
        let Some((addr, copy)) = self.message else { return };
        // The header was readable before the call; where it is not writable now, the guest finds out at its next use.
        for index in [1, 5, 6] {
            let at = addr + 8 * index as u64;
            let word = self.copies[copy][index];
            if read_guest(at).is_ok_and(|old| u64::from_le_bytes(old) != word) {
                let _ = write_guest(at, &word.to_le_bytes());
            }
        }
    }
}
