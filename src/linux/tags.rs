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

/// Whether the call in progress may have tagged pointers, on a guest that has tags.
pub fn are_taken() -> bool {
    mem::ignores_top_byte() && TAKEN.get()
}

pub fn plain(addr: u64) -> u64 {
    mem::untagged(GuestAddr(addr)).map_or(addr, GuestAddr::raw)
}

/// Which copy, and the first word in it.
type Place = (usize, usize);

/// A call's arguments as the host is to have them, and what they point to.
pub struct Untagged {
    pub args: [u64; 6],
    /// Copies of structures without tags, that the arguments point to.
    copies: Vec<Box<[u64]>>,
    /// Message headers of the guest, and where our copies of them are, which the kernel may write.
    messages: Vec<(u64, Place)>,
}

/// The arguments without tags where those are allowed; `None` where nothing is tagged.
#[must_use]
pub fn untagged(entry: &Entry, args: &[u64; 6], taken: bool) -> Option<Untagged> {
    TAKEN.set(taken);
    let suspicious =
        args.iter().any(|&arg| has_tag(arg)) || (taken && entry.params.iter().any(|param| nests(param.kind)));
    if !suspicious {
        return None;
    }
    let mut call = Untagged { args: *args, copies: Vec::new(), messages: Vec::new() };
    for (index, kind) in entry.params.iter().map(|param| param.kind).enumerate() {
        if matches!(kind, Kind::Place) || (taken && kind.is_pointer()) {
            call.args[index] = plain(args[index]);
        }
        let next = args.get(index + 1).copied().unwrap_or(0);
        match kind {
            Kind::InVec | Kind::OutVec if taken => call.vector(index, next),
            kind if taken && is_message(kind) => call.messages(index, 1, 7),
            kind if taken && are_messages(kind) => call.messages(index, next & 0xffff_ffff, 8),
            _ => {}
        }
    }
    Some(call)
}

/// Whether it points to structures with pointers in them.
#[must_use]
pub const fn nests(kind: Kind) -> bool {
    matches!(kind, Kind::InVec | Kind::OutVec) || is_message(kind) || are_messages(kind)
}

const fn is_message(kind: Kind) -> bool {
    matches!(kind, Kind::Takes(Shape::Message) | Kind::Gives(Shape::Message))
}

const fn are_messages(kind: Kind) -> bool {
    matches!(kind, Kind::Each(Shape::MessageOfMany) | Kind::BothEach(Shape::MessageOfMany))
}

/// `UIO_MAXIOV`: how many buffers, or messages, a call looks at.
const VECTOR_LIMIT: u64 = 1024;

/// An array of `struct iovec` without tags, where it has some.
pub fn plain_vector(addr: u64, count: u64) -> Option<Vec<u64>> {
    let words: Result<Vec<u64>, i32> = (0..2 * count.min(VECTOR_LIMIT))
        .map(|index| read_guest(addr + 8 * index).map(u64::from_le_bytes))
        .collect();
    let words = words.ok()?;
    let tagged = words.iter().step_by(2).any(|&base| has_tag(base));
    let strip = |(index, &word): (usize, &u64)| if index % 2 == 0 { plain(word) } else { word };
    tagged.then(|| words.iter().enumerate().map(strip).collect())
}

impl Untagged {
    /// Keeps a copy; its address.
    fn keep(&mut self, words: Vec<u64>) -> u64 {
        self.copies.push(words.into_boxed_slice());
        self.copies.last().map_or(0, |copy| copy.as_ptr() as u64)
    }

    fn vector(&mut self, index: usize, count: u64) {
        if let Some(words) = plain_vector(self.args[index], count) {
            self.args[index] = self.keep(words);
        }
    }

    /// Message headers, of so many words each. In each the name, the vector and the control data are pointers.
    fn messages(&mut self, index: usize, count: u64, words: usize) {
        let addr = self.args[index];
        let count = count.min(VECTOR_LIMIT) * words as u64;
        let before: Result<Vec<u64>, i32> =
            (0..count).map(|word| super::read_word(addr + 8 * word)).collect();
        let Ok(before) = before else { return };
        let after: Vec<u64> = before.chunks(words).flat_map(|message| self.plain_message(message)).collect();
        if after == before {
            return;
        }
        let copy = self.copies.len();
        let places = (0..after.len()).step_by(words).map(|word| (addr + 8 * word as u64, (copy, word)));
        self.messages = places.collect();
        self.args[index] = self.keep(after);
    }

    fn plain_message(&mut self, words: &[u64]) -> Vec<u64> {
        let mut words = words.to_vec();
        for pointer in [0, 2, 4] {
            words[pointer] = plain(words[pointer]);
        }
        if let Some(vector) = plain_vector(words[2], words[3]) {
            words[2] = self.keep(vector);
        }
        words
    }

    /// After the call: lengths and flags of messages go back to the guest's headers.
    pub fn finish(self) {
        for (addr, (copy, first)) in self.messages {
            // The header was readable before the call; where it is not writable now, the guest finds out at its next use.
            for index in [1, 5, 6, 7] {
                let Some(&word) = self.copies[copy][first..].get(index) else { continue };
                let at = addr + 8 * index as u64;
                if read_guest(at).is_ok_and(|old| u64::from_le_bytes(old) != word) {
                    let _ = write_guest(at, &word.to_le_bytes());
                }
            }
        }
    }
}
