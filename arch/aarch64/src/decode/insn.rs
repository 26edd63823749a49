//! An instruction word and its fields, which A64 keeps in the same places nearly everywhere.

use guest::ir::{FSize, Lane, Width};

/// One instruction word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Insn(pub u32);

impl Insn {
    /// `len` bits from bit `lsb`.
    #[inline]
    pub const fn bits(self, lsb: u32, len: u32) -> u32 {
        self.0 >> lsb & ((1 << len) - 1)
    }

    #[inline]
    pub const fn bit(self, lsb: u32) -> bool {
        self.0 >> lsb & 1 != 0
    }

    /// The same, as a signed number.
    #[inline]
    pub const fn signed(self, lsb: u32, len: u32) -> i64 {
        ((self.0 << (32 - lsb - len)) as i32 >> (32 - len)) as i64
    }

    /// Rd or Rt.
    pub const fn rd(self) -> u16 {
        self.bits(0, 5) as u16
    }

    pub const fn rn(self) -> u16 {
        self.bits(5, 5) as u16
    }

    /// Rm or Rs.
    pub const fn rm(self) -> u16 {
        self.bits(16, 5) as u16
    }

    /// Ra or Rt2.
    pub const fn ra(self) -> u16 {
        self.bits(10, 5) as u16
    }

    /// The operand width from `sf`, bit 31.
    pub const fn sf(self) -> Width {
        if self.bit(31) { Width::W64 } else { Width::W32 }
    }

    /// `Q`, bit 30: a vector operation on 16 bytes rather than 8.
    pub const fn q(self) -> bool {
        self.bit(30)
    }

    /// `U`, bit 29.
    pub const fn u(self) -> bool {
        self.bit(29)
    }

    /// The access width from `size`, bits 31:30.
    pub const fn access(self) -> Width {
        match self.bits(30, 2) {
            0 => Width::W8,
            1 => Width::W16,
            2 => Width::W32,
            _ => Width::W64,
        }
    }

    /// The lane size from `size`, bits 23:22.
    pub const fn lane(self) -> Lane {
        lane(self.bits(22, 2))
    }

    /// The size of vector float lanes from `sz`, bit 22.
    pub const fn fsize(self) -> FSize {
        if self.bit(22) { FSize::F64 } else { FSize::F32 }
    }

    /// The size of a scalar float from `ftype`, bits 23:22.
    pub const fn ftype(self) -> FSize {
        match self.bits(22, 2) {
            0 => FSize::F32,
            1 => FSize::F64,
            _ => FSize::F16,
        }
    }
}

/// The lane of `1 << log2` bytes.
pub const fn lane(log2: u32) -> Lane {
    match log2 {
        0 => Lane::B,
        1 => Lane::H,
        2 => Lane::S,
        _ => Lane::D,
    }
}
