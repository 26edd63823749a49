//! The SSE4.2 text instructions (SDM vol. 2B, section 4.1).

use guest::ir::flag;

/// What the immediate asks for.
#[derive(Clone, Copy)]
struct Control(u32);

impl Control {
    fn count(self) -> usize {
        if self.0 & 1 != 0 { 8 } else { 16 }
    }

    /// Element `i`, extended by its sign where the immediate says so.
    fn element(self, v: u128, i: usize) -> i32 {
        match self.0 & 3 {
            0 => i32::from((v >> (8 * i)) as u8),
            1 => i32::from((v >> (16 * i)) as u16),
            2 => i32::from((v >> (8 * i)) as i8),
            _ => i32::from((v >> (16 * i)) as i16),
        }
    }

    /// One bit for each element of `v` that equals `element`.
    fn equal(self, v: u128, element: u16) -> u32 {
        // The lowest bit of each element, and what moves the highest ones together to the top of a half, by a product.
        let (lowest, factor, bits) = match self.count() {
            16 => (0x0101_0101_0101_0101, 0x0002_0408_1020_4081, 8),
            _ => (0x0001_0001_0001_0001, 0x0000_2000_4000_8001, 4),
        };
        let highest = lowest << (64 / bits - 1);
        let half = |v: u64| {
            let v = v ^ (u64::from(element) * lowest);
            let other = ((v & !highest).wrapping_add(!highest) | v) & highest;
            ((other ^ highest).wrapping_mul(factor) >> (64 - bits)) as u32
        };
        half(v as u64) | (half((v >> 64) as u64) << bits)
    }

    /// One bit for each element of `v` that equals element `i` of `from`.
    fn equal_to(self, v: u128, from: u128, i: usize) -> u32 {
        let mask = if self.count() == 16 { 0xff } else { 0xffff };
        self.equal(v, self.element(from, i) as u16 & mask)
    }

    /// The length up to the first zero element.
    fn implicit_length(self, v: u128) -> usize {
        (self.equal(v, 0).trailing_zeros() as usize).min(self.count())
    }

    /// The absolute value of a length register, at most the whole.
    fn explicit_length(self, length: u64) -> usize {
        (length as i64).unsigned_abs().min(self.count() as u64) as usize
    }
}

/// Both operands with their lengths.
#[derive(Clone, Copy)]
struct Texts {
    control: Control,
    a: u128,
    a_len: usize,
    b: u128,
    b_len: usize,
}

/// The lowest `n` bits.
const fn first(n: usize) -> u32 {
    (1 << n) - 1
}

impl Texts {
    fn implicit(a: u128, b: u128, imm: u32) -> Self {
        let control = Control(imm);
        let (a_len, b_len) = (control.implicit_length(a), control.implicit_length(b));
        Self { control, a, a_len, b, b_len }
    }

    fn explicit(a: u128, b: u128, lengths: u128, imm: u32) -> Self {
        let control = Control(imm);
        let a_len = control.explicit_length(lengths as u64);
        let b_len = control.explicit_length((lengths >> 64) as u64);
        Self { control, a, a_len, b, b_len }
    }

    /// Elements of b that stand in a.
    fn equal_any(&self) -> u32 {
        (0..self.a_len).fold(0, |found, i| found | self.control.equal_to(self.b, self.a, i))
            & first(self.b_len)
    }

    /// Elements of b that are within a pair of bounds in a.
    fn in_ranges(&self) -> u32 {
        let inside = |j: usize, pair: usize| {
            let [low, high] = [2 * pair, 2 * pair + 1].map(|i| self.control.element(self.a, i));
            (low..=high).contains(&self.control.element(self.b, j))
        };
        let holds = |j: usize| (0..self.a_len / 2).any(|pair| inside(j, pair));
        (0..self.b_len).fold(0, |found, j| found | u32::from(holds(j)) << j)
    }

    /// Where both are the same, or both have ended.
    fn equal_each(&self) -> u32 {
        let (a_valid, b_valid) = (first(self.a_len), first(self.b_len));
        (self.control.equal(self.a ^ self.b, 0) & a_valid & b_valid)
            | (!(a_valid | b_valid) & first(self.control.count()))
    }

    /// Where a stands in b, as far as the register shows.
    fn equal_ordered(&self) -> u32 {
        let whole = first(self.control.count());
        (0..self.a_len).fold(whole, |found, i| {
            let same = self.control.equal_to(self.b, self.a, i) & first(self.b_len);
            found & (same >> i | !(whole >> i))
        })
    }

    /// IntRes2: one bit for each element of b, polarity applied.
    fn result(&self) -> u32 {
        let bits = match self.control.0 >> 2 & 3 {
            0 => self.equal_any(),
            1 => self.in_ranges(),
            2 => self.equal_each(),
            _ => self.equal_ordered(),
        };
        match self.control.0 >> 4 & 3 {
            1 => bits ^ first(self.control.count()),
            3 => bits ^ first(self.b_len),
            _ => bits,
        }
    }

    /// Index in the low half, flags in the high half.
    fn summary(&self) -> u128 {
        let (result, count) = (self.result(), self.control.count());
        let index = match result {
            0 => count as u32,
            found if self.control.0 & 0x40 != 0 => 31 - found.leading_zeros(),
            found => found.trailing_zeros(),
        };
        let flags = [
            (flag::C, result != 0),
            (flag::Z, self.b_len < count),
            (flag::S, self.a_len < count),
            (flag::V, result & 1 != 0),
        ];
        let packed: u64 = flags.iter().filter(|(_, set)| *set).map(|(bit, _)| bit).sum();
        u128::from(index) | u128::from(packed) << 64
    }

    /// The result as bits, or as a mask of whole elements.
    fn mask(&self) -> u128 {
        let result = self.result();
        if self.control.0 & 0x40 == 0 {
            return u128::from(result);
        }
        let (count, size) = (self.control.count(), 128 / self.control.count());
        let ones = (1u128 << size) - 1;
        (0..count).filter(|j| result >> j & 1 != 0).fold(0, |mask, j| mask | ones << (j * size))
    }
}

pub(super) fn pcmpistr(a: u128, b: u128, _c: u128, imm: u32) -> u128 {
    Texts::implicit(a, b, imm).summary()
}

pub(super) fn pcmpistrm(a: u128, b: u128, _c: u128, imm: u32) -> u128 {
    Texts::implicit(a, b, imm).mask()
}

pub(super) fn pcmpestr(a: u128, b: u128, lengths: u128, imm: u32) -> u128 {
    Texts::explicit(a, b, lengths, imm).summary()
}

pub(super) fn pcmpestrm(a: u128, b: u128, lengths: u128, imm: u32) -> u128 {
    Texts::explicit(a, b, lengths, imm).mask()
}
