//! What the state in memory lacks at an access of a block from templates: a write that the block will make again anyway is
//! not made at once. Where the access in between faults, it is made after the fact, with the host's registers as they are there.

use guest::ir::Val;
use guest::state::{STATE_SIZE, Slot};
use smallvec::SmallVec;

/// Where the value of such a write is, when the access faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Register(u8),
    /// In its cells of the thread's context.
    Cell(Val),
    Constant(i32),
}

const _: () = assert!(STATE_SIZE <= 8 << SLOT_BITS);

/// A write of 64 bits that is still to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owed {
    pub slot: Slot,
    pub from: Source,
}

/// Which of a piece's are an access's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Noted {
    pub first: u16,
    pub count: u8,
}

impl Noted {
    /// They themselves, from all of the piece's.
    pub fn of(self, all: &[u8]) -> SmallVec<[Owed; 4]> {
        let (all, _) = all.as_chunks::<OWED_SIZE>();
        let noted = all.iter().skip(self.first.into()).take(self.count.into());
        noted.map(|&packed| Owed::unpack(packed)).collect()
    }
}

/// Bytes of a packed one.
pub const OWED_SIZE: usize = 4;

/// Bits of the slot's number, which is for all of the state, of the kind of source, and of what that says.
const SLOT_BITS: u32 = 9;
const KIND_BITS: u32 = 2;
const SAID_BITS: u32 = 32 - SLOT_BITS - KIND_BITS;

impl Owed {
    /// Packed; `None` where it does not fit.
    pub fn pack(self) -> Option<[u8; OWED_SIZE]> {
        let number = u32::from(self.slot.0 / 8);
        if number >= 1 << SLOT_BITS || !self.slot.0.is_multiple_of(8) {
            return None;
        }
        let (kind, said) = match self.from {
            Source::Register(number) => (0, u32::from(number)),
            Source::Cell(v) => (1, u32::from(v.0)),
            Source::Constant(value) => (2, value as u32 & ((1 << SAID_BITS) - 1)),
        };
        let packed = number | kind << SLOT_BITS | said << (SLOT_BITS + KIND_BITS);
        (Self::unpack(packed.to_le_bytes()) == self).then_some(packed.to_le_bytes())
    }

    pub fn unpack(bytes: [u8; OWED_SIZE]) -> Self {
        let packed = u32::from_le_bytes(bytes);
        let slot = Slot(8 * (packed & ((1 << SLOT_BITS) - 1)) as u16);
        let said = packed >> (SLOT_BITS + KIND_BITS);
        let from = match packed >> SLOT_BITS & ((1 << KIND_BITS) - 1) {
            0 => Source::Register(said as u8),
            1 => Source::Cell(Val(said as u16)),
            _ => Source::Constant((packed as i32) >> (SLOT_BITS + KIND_BITS)),
        };
        Self { slot, from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for slot in [Slot(0), Slot(8), Slot(128), Slot(4088)] {
            for from in [
                Source::Register(0),
                Source::Register(15),
                Source::Cell(Val(0)),
                Source::Cell(Val(u16::MAX)),
                Source::Constant(0x30a),
                Source::Constant(-1),
                Source::Constant((1 << (SAID_BITS - 1)) - 1),
            ] {
                let owed = Owed { slot, from };
                assert_eq!(Owed::unpack(owed.pack().unwrap()), owed);
            }
        }
        let constant = Owed { slot: Slot(8), from: Source::Constant(1 << (SAID_BITS - 1)) };
        assert!(constant.pack().is_none());
        assert!(Owed { slot: Slot(4096), from: Source::Register(1) }.pack().is_none());
    }
}
