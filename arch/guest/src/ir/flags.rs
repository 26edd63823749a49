//! The lazy flag record: what it means.
//!
//! Flag-setting operations store what they did (kind, width, two operands, result) and flags are
//! computed when somebody reads them. This module is the one definition of that computation; compiled
//! code inlines the cases where the kind is known and calls here otherwise.

use super::types::{FlagKind, Width, flag};
use crate::state::{FLAG_A, FLAG_B, FLAG_KIND, FLAG_R, GuestState, Slot};

/// The orderings that op `fcompare` gives.
pub mod ordering {
    pub const EQUAL: u64 = 0;
    pub const LESS: u64 = 1;
    pub const GREATER: u64 = 2;
    pub const UNORDERED: u64 = 3;
}

/// A flag record: how flags were last set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlagRecord {
    pub kind: FlagKind,
    pub w: Width,
    pub a: u64,
    pub b: u64,
    pub r: u64,
}

/// The state's encoding of kind and width.
#[must_use]
pub const fn encode_kind(kind: FlagKind, w: Width) -> u64 {
    kind as u64 | (w as u64) << 8
}

/// Which of a record's `a`, `b` and `r` its kind needs. The others follow from them or mean nothing: they
/// are not stored, and an op that sets flags may name anything there; lifters' name what is needed.
#[must_use]
pub const fn needed(kind: FlagKind) -> [bool; 3] {
    match kind {
        FlagKind::Packed => [true, false, false],
        FlagKind::Add | FlagKind::Sub | FlagKind::SubInv => [true, true, false],
        FlagKind::Inc | FlagKind::Dec => [false, true, true],
        FlagKind::Logic | FlagKind::FcmpX86 | FlagKind::FcmpArm => [false, false, true],
        FlagKind::Adc | FlagKind::Sbb | FlagKind::SbcInv | FlagKind::ResultCv | FlagKind::PackedCv => {
            [true, true, true]
        }
    }
}

/// The slots of `a`, `b` and `r`.
pub const OPERANDS: [Slot; 3] = [FLAG_A, FLAG_B, FLAG_R];

impl FlagRecord {
    /// The record in the state. Bytes that encode no kind read as packed flags.
    #[inline]
    #[must_use]
    pub fn load(state: &GuestState) -> Self {
        let [a, b, r] = OPERANDS.map(|slot| state.u64(slot));
        Self::of_words(state.u64(FLAG_KIND), a, b, r)
    }

    /// The record whose words in the state are these.
    #[inline]
    #[must_use]
    pub fn of_words(code: u64, a: u64, b: u64, r: u64) -> Self {
        let kind = FlagKind::ALL.get((code & 0xff) as usize).copied().unwrap_or(FlagKind::Packed);
        let w = Width::ALL.get((code >> 8 & 0xff) as usize).copied().unwrap_or(Width::W64);
        Self { kind, w, a, b, r }.completed()
    }

    /// The record with what follows from the operands that its kind needs.
    #[inline]
    const fn completed(mut self) -> Self {
        match self.kind {
            FlagKind::Add => self.r = self.a.wrapping_add(self.b),
            FlagKind::Sub | FlagKind::SubInv => self.r = self.a.wrapping_sub(self.b),
            FlagKind::Inc => self.a = self.r.wrapping_sub(1),
            FlagKind::Dec => self.a = self.r.wrapping_add(1),
            _ => {}
        }
        self
    }

    #[inline]
    pub fn store(&self, state: &mut GuestState) {
        state.set_u64(FLAG_KIND, encode_kind(self.kind, self.w));
        let [a, b, r] = needed(self.kind);
        if a {
            state.set_u64(FLAG_A, self.a);
        }
        if b {
            state.set_u64(FLAG_B, self.b);
        }
        if r {
            state.set_u64(FLAG_R, self.r);
        }
    }

    /// The record that holds these packed flags.
    #[must_use]
    pub const fn packed(flags: u64) -> Self {
        Self { kind: FlagKind::Packed, w: Width::W64, a: flags & flag::ALL, b: 0, r: 0 }
    }

    /// All flags, packed.
    #[inline]
    #[must_use]
    pub fn pack(&self) -> u64 {
        match self.kind {
            FlagKind::Packed => self.a & flag::ALL,
            FlagKind::PackedCv => {
                self.r & flag::OTHERS | pack_if(flag::C, self.carry()) | pack_if(flag::V, self.overflow())
            }
            FlagKind::FcmpX86 => {
                pack_if(flag::Z, matches!(self.r, ordering::EQUAL | ordering::UNORDERED))
                    | pack_if(flag::C, matches!(self.r, ordering::LESS | ordering::UNORDERED))
                    | pack_if(flag::P, self.r == ordering::UNORDERED)
            }
            FlagKind::FcmpArm => {
                pack_if(flag::Z, self.r == ordering::EQUAL)
                    | pack_if(flag::S, self.r == ordering::LESS)
                    | pack_if(flag::C, self.r != ordering::LESS)
                    | pack_if(flag::V, self.r == ordering::UNORDERED)
            }
            _ => {
                self.result_flags()
                    | pack_if(flag::C, self.carry())
                    | pack_if(flag::V, self.overflow())
                    | pack_if(flag::A, self.auxiliary())
            }
        }
    }

    /// Z, S and P of the result.
    fn result_flags(&self) -> u64 {
        let r = self.r & self.w.mask();
        pack_if(flag::Z, r == 0)
            | pack_if(flag::S, r & self.w.sign_bit() != 0)
            | pack_if(flag::P, (r as u8).count_ones().is_multiple_of(2))
    }

    fn carry(&self) -> bool {
        let (a, b, r) = (self.a, self.b, self.r);
        let top = self.w.sign_bit();
        match self.kind {
            FlagKind::Add | FlagKind::Adc => ((a & b) | ((a | b) & !r)) & top != 0,
            FlagKind::Sub | FlagKind::Sbb => ((!a & b) | ((!a | b) & r)) & top != 0,
            FlagKind::SubInv | FlagKind::SbcInv => ((!a & b) | ((!a | b) & r)) & top == 0,
            FlagKind::Inc | FlagKind::Dec => b & 1 != 0,
            FlagKind::ResultCv | FlagKind::PackedCv => a & 1 != 0,
            FlagKind::Logic | FlagKind::Packed | FlagKind::FcmpX86 | FlagKind::FcmpArm => false,
        }
    }

    fn overflow(&self) -> bool {
        let (a, b, r) = (self.a, self.b, self.r);
        let top = self.w.sign_bit();
        match self.kind {
            FlagKind::Add | FlagKind::Adc => (a ^ r) & (b ^ r) & top != 0,
            FlagKind::Sub | FlagKind::Sbb | FlagKind::SubInv | FlagKind::SbcInv => {
                (a ^ b) & (a ^ r) & top != 0
            }
            FlagKind::Inc => r & self.w.mask() == top,
            FlagKind::Dec => a & self.w.mask() == top,
            FlagKind::ResultCv | FlagKind::PackedCv => b & 1 != 0,
            FlagKind::Logic | FlagKind::Packed | FlagKind::FcmpX86 | FlagKind::FcmpArm => false,
        }
    }

    /// x86's AF: carry out of bit 3.
    fn auxiliary(&self) -> bool {
        match self.kind {
            FlagKind::Inc | FlagKind::Dec => (self.a ^ self.r ^ 1) & 0x10 != 0,
            FlagKind::Logic | FlagKind::ResultCv => false,
            _ => (self.a ^ self.b ^ self.r) & 0x10 != 0,
        }
    }
}

const fn pack_if(bit: u64, set: bool) -> u64 {
    if set { bit } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(kind: FlagKind, w: Width, a: u64, b: u64, r: u64) -> u64 {
        FlagRecord { kind, w, a, b, r }.pack()
    }

    #[test]
    fn add_sets_overflow_at_int_min() {
        let flags = pack(FlagKind::Add, Width::W8, 0x7f, 1, 0x80);
        assert_eq!(flags, flag::V | flag::S | flag::A);
    }

    #[test]
    fn sub_borrows_below_zero() {
        assert_eq!(pack(FlagKind::Sub, Width::W32, 0, 1, 0xffff_ffff), flag::C | flag::S | flag::P | flag::A);
        assert_eq!(pack(FlagKind::SubInv, Width::W32, 5, 5, 0) & flag::C, flag::C);
    }

    #[test]
    fn a_stored_record_reads_as_it_was_whatever_else_is_in_the_state() {
        for &kind in FlagKind::ALL {
            for (a, b) in [(0x80u64, 1u64), (0x7f, 0xff), (0, 0), (3, 1), (0xff, 0x80)] {
                let r = match kind {
                    FlagKind::Add => a + b,
                    FlagKind::Sub | FlagKind::SubInv => a.wrapping_sub(b),
                    FlagKind::Inc => a + 1,
                    FlagKind::Dec => a.wrapping_sub(1),
                    _ => a ^ b,
                };
                let record = FlagRecord { kind, w: Width::W8, a, b, r };
                let mut state = GuestState::default();
                OPERANDS.iter().for_each(|&slot| state.set_u64(slot, 0x5555));
                record.store(&mut state);
                assert_eq!(FlagRecord::load(&state).pack(), record.pack(), "{record:?}");
            }
        }
    }

    #[test]
    fn inc_keeps_the_carry_it_is_given() {
        assert_eq!(pack(FlagKind::Inc, Width::W8, 0xff, 1, 0x00), flag::C | flag::Z | flag::P | flag::A);
        assert_eq!(pack(FlagKind::Dec, Width::W8, 0x80, 0, 0x7f) & (flag::C | flag::V), flag::V);
    }
}
