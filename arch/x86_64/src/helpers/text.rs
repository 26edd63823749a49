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

    /// The length up to the first zero element.
    fn implicit_length(self, v: u128) -> usize {
        (0..self.count()).find(|&i| self.element(v, i) == 0).unwrap_or(self.count())
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

    /// Whether element `i` of a equals element `j` of b.
    fn same(&self, i: usize, j: usize) -> bool {
        self.control.element(self.a, i) == self.control.element(self.b, j)
    }

    fn equal_any(&self, j: usize) -> bool {
        j < self.b_len && (0..self.a_len).any(|i| self.same(i, j))
    }

    /// a holds pairs of bounds.
    fn in_ranges(&self, j: usize) -> bool {
        let value = self.control.element(self.b, j);
        let inside = |i: usize| {
            self.control.element(self.a, i) <= value && value <= self.control.element(self.a, i + 1)
        };
        j < self.b_len && (0..self.a_len / 2).any(|pair| inside(2 * pair))
    }

    fn equal_each(&self, j: usize) -> bool {
        match (j < self.a_len, j < self.b_len) {
            (true, true) => self.same(j, j),
            (a_valid, b_valid) => a_valid == b_valid,
        }
    }

    /// Whether a stands in b from element `j` on, as far as the register shows.
    fn equal_ordered(&self, j: usize) -> bool {
        (0..self.control.count() - j)
            .take_while(|&i| i < self.a_len)
            .all(|i| j + i < self.b_len && self.same(i, j + i))
    }

    /// IntRes2: one bit for each element of b, polarity applied.
    fn result(&self) -> u32 {
        let count = self.control.count();
        let bits = (0..count).fold(0, |bits, j| {
            let holds = match self.control.0 >> 2 & 3 {
                0 => self.equal_any(j),
                1 => self.in_ranges(j),
                2 => self.equal_each(j),
                _ => self.equal_ordered(j),
            };
            bits | u32::from(holds) << j
        });
        let whole = (1u32 << count) - 1;
        match self.control.0 >> 4 & 3 {
            1 => bits ^ whole,
            3 => bits ^ ((1u32 << self.b_len) - 1),
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
