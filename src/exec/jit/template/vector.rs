//! Vector operations that the host has instructions for, unit by unit.

use super::Emitter;
use super::asm::{Alu, Code, RAX, Reg, Rm, Shift, op0f, sse, sse3a, sse38};
use super::regs::{X0, X1, cell_unit};
use guest::ir::{Half, IntCc, Lane, Narrow, Sign, Val, VecLen, Width};

/// An instruction per lane size, where there is one.
pub type PerLane = [Option<Code>; 4];

pub const ADD: PerLane = all(0xfc, 0xfd, 0xfe, 0xd4);
pub const SUB: PerLane = all(0xf8, 0xf9, 0xfa, 0xfb);
pub const MUL: PerLane = [None, Some(sse(0x66, 0xd5)), Some(sse38(0x40)), None];
const EQUAL: PerLane =
    [Some(sse(0x66, 0x74)), Some(sse(0x66, 0x75)), Some(sse(0x66, 0x76)), Some(sse38(0x29))];
const GREATER: PerLane =
    [Some(sse(0x66, 0x64)), Some(sse(0x66, 0x65)), Some(sse(0x66, 0x66)), Some(sse38(0x37))];
pub const ROUNDED_MEAN: PerLane = small(0xe0, 0xe3);
const ABS: PerLane = [Some(sse38(0x1c)), Some(sse38(0x1d)), Some(sse38(0x1e)), None];
const MIN_UNSIGNED: PerLane = [Some(sse(0x66, 0xda)), Some(sse38(0x3a)), Some(sse38(0x3b)), None];
const MAX_UNSIGNED: PerLane = [Some(sse(0x66, 0xde)), Some(sse38(0x3e)), Some(sse38(0x3f)), None];
const MIN_SIGNED: PerLane = [Some(sse38(0x38)), Some(sse(0x66, 0xea)), Some(sse38(0x39)), None];
const MAX_SIGNED: PerLane = [Some(sse38(0x3c)), Some(sse(0x66, 0xee)), Some(sse38(0x3d)), None];
/// Unsigned and signed saturating sums and differences, of bytes and halves.
const ADD_SATURATED: [PerLane; 2] = [small(0xdc, 0xdd), small(0xec, 0xed)];
const SUB_SATURATED: [PerLane; 2] = [small(0xd8, 0xd9), small(0xe8, 0xe9)];

const fn all(b: u8, h: u8, s: u8, d: u8) -> PerLane {
    [Some(sse(0x66, b)), Some(sse(0x66, h)), Some(sse(0x66, s)), Some(sse(0x66, d))]
}

const fn small(b: u8, h: u8) -> PerLane {
    [Some(sse(0x66, b)), Some(sse(0x66, h)), None, None]
}

/// A shift by an immediate count: the `/digit`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum LaneShift {
    Right = 2,
    Arithmetic = 4,
    Left = 6,
}

impl Emitter {
    /// `dst = a op b`
    pub(super) fn vector2(&mut self, code: Code, dst: Val, n: VecLen, a: Val, b: Val) {
        if n != VecLen::X1 {
            return self.each_unit(dst, n, a, |e, unit| {
                e.unit_into(X1, b, unit);
                e.asm.ins(code, Width::W32, X0, Rm::Reg(X1));
            });
        }
        let y = self.xmm(b);
        let reg = self.define_xmm_from(dst, a);
        self.asm.ins(code, Width::W32, reg, Rm::Reg(y));
    }

    /// A longer vector, which lives in its cells: `piece` makes a unit of it from one of `a` in the first
    /// scratch register.
    fn each_unit(&mut self, dst: Val, n: VecLen, a: Val, piece: impl Fn(&mut Self, usize)) {
        for unit in 0..n.units() {
            self.unit_into(X0, a, unit);
            piece(self, unit);
            self.store_xmm(X0, cell_unit(dst, unit));
        }
        self.defined_in_cell(dst);
    }

    /// `piece` makes the units of `dst` of those of `a`, in the first scratch register.
    pub(super) fn vector1(&mut self, dst: Val, n: VecLen, a: Val, piece: impl Fn(&mut Self)) {
        if n != VecLen::X1 {
            return self.each_unit(dst, n, a, |e, _| piece(e));
        }
        self.unit_into(X0, a, 0);
        piece(self);
        let reg = self.define_xmm(dst);
        self.mov_xmm(reg, X0);
    }

    /// The same with those of `b` in the second.
    pub(super) fn with_units(&mut self, dst: Val, n: VecLen, a: Val, b: Val, piece: impl Fn(&mut Self)) {
        if n != VecLen::X1 {
            return self.each_unit(dst, n, a, |e, unit| {
                e.unit_into(X1, b, unit);
                piece(e);
            });
        }
        self.unit_into(X0, a, 0);
        self.unit_into(X1, b, 0);
        piece(self);
        let reg = self.define_xmm(dst);
        self.mov_xmm(reg, X0);
    }

    pub(super) fn per_lane(&mut self, codes: PerLane, lane: Lane, dst: Val, n: VecLen, a: Val, b: Val) {
        match codes[lane as usize] {
            Some(code) => self.vector2(code, dst, n, a, b),
            None => self.slow(),
        }
    }

    /// `dst = !a & b` as the instruction has it.
    pub(super) fn vector_and_not(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.vector2(op0f(0x55), dst, n, b, a);
    }

    pub(super) fn vector_not(&mut self, dst: Val, n: VecLen, a: Val) {
        self.vector1(dst, n, a, |e| {
            e.asm.ins(sse(0x66, 0x76), Width::W32, X1, Rm::Reg(X1));
            e.asm.ins(op0f(0x57), Width::W32, X0, Rm::Reg(X1));
        });
    }

    pub(super) fn negated(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        let Some(code) = SUB[lane as usize] else { return self.slow() };
        self.vector1(dst, n, a, |e| {
            e.mov_xmm(X1, X0);
            e.clear_xmm(X0);
            e.asm.ins(code, Width::W32, X0, Rm::Reg(X1));
        });
    }

    /// Bit by bit `m ? a : b`.
    pub(super) fn bit_select(&mut self, dst: Val, n: VecLen, m: Val, a: Val, b: Val) {
        if n != VecLen::X1 {
            // b ^ (a ^ b) & m, with two registers.
            return self.each_unit(dst, n, a, |e, unit| {
                for (code, v) in [(op0f(0x57), b), (op0f(0x54), m), (op0f(0x57), b)] {
                    e.unit_into(X1, v, unit);
                    e.asm.ins(code, Width::W32, X0, Rm::Reg(X1));
                }
            });
        }
        let (x, y) = (self.xmm(a), self.xmm(b));
        self.vector1(dst, n, m, |e| {
            e.mov_xmm(X1, X0);
            e.asm.ins(op0f(0x54), Width::W32, X0, Rm::Reg(x));
            e.asm.ins(op0f(0x55), Width::W32, X1, Rm::Reg(y));
            e.asm.ins(op0f(0x56), Width::W32, X0, Rm::Reg(X1));
        });
    }

    pub(super) fn vector_constant(&mut self, dst: Val, value: u128) {
        let reg = self.define_xmm(dst);
        if value == 0 {
            return self.clear_xmm(reg);
        }
        let label = self.constant(value);
        self.load_xmm(reg, Self::rip(label));
    }

    /// A constant of several units.
    pub(super) fn wide_constant(&mut self, dst: Val, n: VecLen, value: u128) {
        let label = self.constant(value);
        self.load_xmm(X0, Self::rip(label));
        self.need_context();
        for unit in 0..n.units() {
            self.store_xmm(X0, cell_unit(dst, unit));
        }
        self.defined_in_cell(dst);
    }

    /// One unit from two words.
    pub(super) fn pair(&mut self, dst: Val, lo: Val, hi: Val) {
        let low = self.int(lo);
        let high = if self.konst(hi) == Some(0) { None } else { Some(self.int(hi)) };
        let reg = self.define_xmm(dst);
        self.int_to_xmm(Width::W64, reg, low);
        if let Some(high) = high {
            self.asm.ins(sse3a(0x22), Width::W64, reg, Rm::Reg(high));
            self.asm.code.push(1);
        }
    }

    pub(super) fn splat(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        let from = self.int(a);
        if n == VecLen::X1 {
            let reg = self.define_xmm(dst);
            return self.splat_into(reg, lane, from);
        }
        self.need_context();
        self.splat_into(X0, lane, from);
        (0..n.units()).for_each(|unit| self.store_xmm(X0, cell_unit(dst, unit)));
        self.defined_in_cell(dst);
    }

    fn splat_into(&mut self, reg: Reg, lane: Lane, from: Reg) {
        self.int_to_xmm(Width::W64, reg, from);
        match lane {
            Lane::B => {
                self.clear_xmm(X1);
                self.asm.ins(sse38(0x00), Width::W32, reg, Rm::Reg(X1));
            }
            Lane::H => {
                self.shuffle_imm(sse(0xf2, 0x70), reg, 0);
                self.asm.ins(sse(0x66, 0x6c), Width::W32, reg, Rm::Reg(reg));
            }
            Lane::S => self.shuffle_imm(sse(0x66, 0x70), reg, 0),
            Lane::D => self.asm.ins(sse(0x66, 0x6c), Width::W32, reg, Rm::Reg(reg)),
        }
    }

    fn shuffle_imm(&mut self, code: Code, reg: Reg, imm: u8) {
        self.asm.ins(code, Width::W32, reg, Rm::Reg(reg));
        self.asm.code.push(imm);
    }

    pub(super) fn extract_lane(&mut self, dst: Val, lane: Lane, index: u8, a: Val) {
        let per_unit = (16 / lane.bytes()) as u8;
        let from = self.unit(a, usize::from(index / per_unit));
        let index = index % per_unit;
        let reg = self.define_int(dst);
        let (code, w) = match lane {
            Lane::B => (sse3a(0x14), Width::W32),
            Lane::H => (sse3a(0x15), Width::W32),
            Lane::S => (sse3a(0x16), Width::W32),
            Lane::D => (sse3a(0x16), Width::W64),
        };
        self.asm.ins(code, w, from, Rm::Reg(reg));
        self.asm.code.push(index);
    }

    pub(super) fn insert_lane(&mut self, dst: Val, lane: Lane, index: u8, a: Val, b: Val) {
        let from = self.int(b);
        let reg = self.define_xmm_from(dst, a);
        let (code, w) = match lane {
            Lane::B => (sse3a(0x20), Width::W32),
            Lane::H => (sse(0x66, 0xc4), Width::W32),
            Lane::S => (sse3a(0x22), Width::W32),
            Lane::D => (sse3a(0x22), Width::W64),
        };
        self.asm.ins(code, w, reg, Rm::Reg(from));
        self.asm.code.push(index);
    }

    /// A shuffle by a constant: each source by `pshufb`, which gives 0 for an index with its top bit set.
    pub(super) fn shuffle(&mut self, dst: Val, n: VecLen, a: Val, b: Val, idx: u128) {
        let indices = idx.to_le_bytes();
        let masks = [0u8, 16].map(|first| {
            u128::from_le_bytes(
                indices.map(|i| if (first..first + 16).contains(&i) { i - first } else { 0x80 }),
            )
        });
        let uses_b = masks[1] != u128::from_le_bytes([0x80; 16]);
        let labels = masks.map(|mask| self.constant(mask));
        let [first, second] = labels.map(Self::rip);
        if !uses_b {
            return self.vector1(dst, n, a, |e| e.asm.ins(sse38(0x00), Width::W32, X0, first));
        }
        self.with_units(dst, n, a, b, |e| {
            e.asm.ins(sse38(0x00), Width::W32, X0, first);
            e.asm.ins(sse38(0x00), Width::W32, X1, second);
            e.asm.ins(op0f(0x56), Width::W32, X0, Rm::Reg(X1));
        });
    }

    /// A shuffle of one vector by another: `pshufb`, once indices above 31 have their top bits set.
    pub(super) fn table_shuffle(&mut self, dst: Val, n: VecLen, a: Val, idx: Val) {
        let offset = self.constant(u128::from_le_bytes([0x60; 16]));
        self.with_units(dst, n, a, idx, |e| {
            e.asm.ins(sse(0x66, 0xdc), Width::W32, X1, Self::rip(offset));
            e.asm.ins(sse38(0x00), Width::W32, X0, Rm::Reg(X1));
        });
    }

    pub(super) fn move_mask(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        let code = match lane {
            Lane::B => sse(0x66, 0xd7),
            Lane::S => op0f(0x50),
            Lane::D => sse(0x66, 0x50),
            Lane::H => return self.slow(),
        };
        let reg = self.define_int(dst);
        for unit in 0..n.units() {
            let from = self.unit(a, unit);
            let to = if unit == 0 { reg } else { RAX };
            self.asm.ins(code, Width::W32, to, Rm::Reg(from));
            if unit != 0 {
                self.asm.shift_ri(Shift::Shl, Width::W64, RAX, (unit * 16 / lane.bytes()) as u8);
                self.asm.alu_rr(Alu::Or, Width::W64, reg, RAX);
            }
        }
    }

    pub(super) fn vector_compare(&mut self, dst: Val, n: VecLen, lane: Lane, cc: IntCc, a: Val, b: Val) {
        let index = lane as usize;
        match cc {
            IntCc::Eq => self.per_lane(EQUAL, lane, dst, n, a, b),
            IntCc::Sgt => self.per_lane(GREATER, lane, dst, n, a, b),
            IntCc::Slt => self.per_lane(GREATER, lane, dst, n, b, a),
            IntCc::Uge | IntCc::Ule if n == VecLen::X1 => {
                let (Some(extreme), Some(equal)) = (MIN_UNSIGNED[index], EQUAL[index]) else {
                    return self.slow();
                };
                // x <= y where the smaller of the two is x.
                let (x, y) = if cc == IntCc::Ule { (a, b) } else { (b, a) };
                let (x, y) = (self.xmm(x), self.xmm(y));
                self.mov_xmm(X0, y);
                self.asm.ins(extreme, Width::W32, X0, Rm::Reg(x));
                self.asm.ins(equal, Width::W32, X0, Rm::Reg(x));
                let reg = self.define_xmm(dst);
                self.mov_xmm(reg, X0);
            }
            _ => self.slow(),
        }
    }

    pub(super) fn extreme(
        &mut self,
        max: bool,
        dst: Val,
        n: VecLen,
        lane: Lane,
        signed: Sign,
        a: Val,
        b: Val,
    ) {
        let codes = match (max, signed) {
            (false, Sign::Unsigned) => MIN_UNSIGNED,
            (true, Sign::Unsigned) => MAX_UNSIGNED,
            (false, Sign::Signed) => MIN_SIGNED,
            (true, Sign::Signed) => MAX_SIGNED,
        };
        self.per_lane(codes, lane, dst, n, a, b);
    }

    pub(super) fn saturated(
        &mut self,
        add: bool,
        dst: Val,
        n: VecLen,
        lane: Lane,
        signed: Sign,
        a: Val,
        b: Val,
    ) {
        let codes = if add { ADD_SATURATED } else { SUB_SATURATED };
        self.per_lane(codes[signed as usize], lane, dst, n, a, b);
    }

    pub(super) fn absolute(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        let Some(code) = ABS[lane as usize] else { return self.slow() };
        self.vector1(dst, n, a, |e| e.asm.ins(code, Width::W32, X0, Rm::Reg(X0)));
    }

    pub(super) fn shift_lanes(
        &mut self,
        what: LaneShift,
        dst: Val,
        n: VecLen,
        lane: Lane,
        a: Val,
        count: Val,
    ) {
        let group = match lane {
            Lane::B => return self.slow(),
            Lane::H => 0x71,
            Lane::S => 0x72,
            Lane::D if what == LaneShift::Arithmetic => return self.slow(),
            Lane::D => 0x73,
        };
        let Some(count) = self.konst(count) else { return self.slow() };
        // A count of the lane's size or more gives 0 or the sign, as asked for.
        let shift = move |e: &mut Self, reg| {
            e.asm.ins(sse(0x66, group), Width::W32, Reg(what as u8), Rm::Reg(reg));
            e.asm.code.push(count.min(255) as u8);
        };
        if n != VecLen::X1 {
            return self.each_unit(dst, n, a, |e, _| shift(e, X0));
        }
        let reg = self.define_xmm_from(dst, a);
        shift(self, reg);
    }

    pub(super) fn widened(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val) {
        if lane == Lane::D {
            return self.slow();
        }
        self.vector1(dst, n, a, |e| e.widen(X0, lane, signed, half));
    }

    /// One half's lanes, doubled in size.
    fn widen(&mut self, reg: Reg, lane: Lane, signed: Sign, half: Half) {
        let which = [0, 3, 5][(lane as usize).min(2)];
        let base = if signed == Sign::Signed { 0x20 } else { 0x30 };
        if half == Half::High {
            // The high half moves down: psrldq 8.
            self.asm.ins(sse(0x66, 0x73), Width::W32, Reg(3), Rm::Reg(reg));
            self.asm.code.push(8);
        }
        self.asm.ins(sse38(base + which), Width::W32, reg, Rm::Reg(reg));
    }

    /// Full products of one half's lanes.
    pub(super) fn long_products(
        &mut self,
        dst: Val,
        n: VecLen,
        lane: Lane,
        signed: Sign,
        half: Half,
        a: Val,
        b: Val,
    ) {
        let product = match (lane, signed) {
            (Lane::B, _) => sse(0x66, 0xd5),
            (Lane::H, _) => sse38(0x40),
            // These take every other lane, which is where widening has put those of the half.
            (Lane::S, Sign::Unsigned) => sse(0x66, 0xf4),
            (Lane::S, Sign::Signed) => sse38(0x28),
            (Lane::D, _) => return self.slow(),
        };
        self.with_units(dst, n, a, b, |e| {
            [X0, X1].into_iter().for_each(|reg| e.widen(reg, lane, signed, half));
            e.asm.ins(product, Width::W32, X0, Rm::Reg(X1));
        });
    }

    /// Units of a longer vector.
    pub(super) fn part(&mut self, dst: Val, n: VecLen, from: u8, a: Val) {
        if n == VecLen::X1 {
            self.unit_into(X0, a, usize::from(from));
            let reg = self.define_xmm(dst);
            return self.mov_xmm(reg, X0);
        }
        for unit in 0..n.units() {
            self.unit_into(X0, a, usize::from(from) + unit);
            self.store_xmm(X0, cell_unit(dst, unit));
        }
        self.defined_in_cell(dst);
    }

    /// The units of `lo`, then those of `hi`.
    pub(super) fn join(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) {
        let half = n.units() / 2;
        self.need_context();
        for unit in 0..n.units() {
            let (v, from) = if unit < half { (lo, unit) } else { (hi, unit - half) };
            self.unit_into(X0, v, from);
            self.store_xmm(X0, cell_unit(dst, unit));
        }
        self.defined_in_cell(dst);
    }

    pub(super) fn narrowed(&mut self, dst: Val, n: VecLen, lane: Lane, how: Narrow, a: Val, b: Val) {
        if how == Narrow::Truncate {
            let (wide, narrow) = (lane.bytes(), lane.bytes() / 2);
            let picks = std::array::from_fn(|i| (i / narrow * wide + i % narrow) as u8);
            return self.shuffle(dst, n, a, b, u128::from_le_bytes(picks));
        }
        let code = match (lane, how) {
            (Lane::H, Narrow::Signed) => sse(0x66, 0x63),
            (Lane::S, Narrow::Signed) => sse(0x66, 0x6b),
            (Lane::H, Narrow::SignedToUnsigned) => sse(0x66, 0x67),
            (Lane::S, Narrow::SignedToUnsigned) => sse38(0x2b),
            _ => return self.slow(),
        };
        self.vector2(code, dst, n, a, b);
    }
}
