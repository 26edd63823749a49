//! Vector ops on integer lanes, one 16-byte unit at a time.

use super::Lowering;
use super::int::int_condition;
use super::values::{int_type, vector_type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{Half, IntCc, Lane, Narrow, Sign, Val, VecLen};

/// Shifts of every lane by one count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    Left,
    Right,
    Arithmetic,
}

impl Lowering<'_, '_> {
    /// Each unit of `a`, as `ty`, through `f`.
    pub(super) fn each1(
        &mut self,
        dst: Val,
        n: VecLen,
        ty: ir::Type,
        a: Val,
        mut f: impl FnMut(&mut Self, ir::Value) -> ir::Value,
    ) {
        for unit in 0..n.units() {
            let x = self.unit_as(ty, a, unit);
            let value = f(self, x);
            self.set_unit(dst, unit, value);
        }
    }

    /// Each unit of `a` and `b`, as `ty`, through `f`.
    pub(super) fn each2(
        &mut self,
        dst: Val,
        n: VecLen,
        ty: ir::Type,
        ab: (Val, Val),
        mut f: impl FnMut(&mut Self, ir::Value, ir::Value) -> ir::Value,
    ) {
        for unit in 0..n.units() {
            let (x, y) = (self.unit_as(ty, ab.0, unit), self.unit_as(ty, ab.1, unit));
            let value = f(self, x, y);
            self.set_unit(dst, unit, value);
        }
    }

    pub(super) fn vector_shift(&mut self, how: Shift, dst: Val, n: VecLen, lane: Lane, a: Val, count: Val) {
        let (bits, ty) = (u64::from(lane.bits()), vector_type(lane));
        if let Some(count) = self.vals.konst(count) {
            return self.vector_shift_by(how, dst, n, lane, a, count);
        }
        let count = self.int(count);
        let limit = self.iconst(bits);
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThan, count, limit);
        let most = self.iconst(bits - 1);
        let clamped = self.b.ins().select(fits, count, most);
        let (ones, zero) = (self.iconst(u64::MAX), self.iconst(0));
        let keep = self.b.ins().select(fits, ones, zero);
        let mask = self.b.ins().splat(types::I64X2, keep);
        let mask = self.cast(ty, mask);
        self.each1(dst, n, ty, a, |this, x| match how {
            Shift::Left => {
                let shifted = this.b.ins().ishl(x, clamped);
                this.b.ins().band(shifted, mask)
            }
            Shift::Right => {
                let shifted = this.b.ins().ushr(x, clamped);
                this.b.ins().band(shifted, mask)
            }
            Shift::Arithmetic => this.b.ins().sshr(x, clamped),
        });
    }

    fn vector_shift_by(&mut self, how: Shift, dst: Val, n: VecLen, lane: Lane, a: Val, count: u64) {
        let bits = u64::from(lane.bits());
        if count >= bits && how != Shift::Arithmetic {
            let zero = self.vector_constant(0);
            (0..n.units()).for_each(|unit| self.set_unit(dst, unit, zero));
            return;
        }
        let count = self.b.ins().iconst(types::I32, count.min(bits - 1) as i64);
        self.each1(dst, n, vector_type(lane), a, |this, x| match how {
            Shift::Left => this.b.ins().ishl(x, count),
            Shift::Right => this.b.ins().ushr(x, count),
            Shift::Arithmetic => this.b.ins().sshr(x, count),
        });
    }

    pub(super) fn saturating(
        &mut self,
        add: bool,
        dst: Val,
        n: VecLen,
        lane: Lane,
        signed: Sign,
        ab: (Val, Val),
    ) {
        if !matches!(lane, Lane::B | Lane::H) {
            return self.slow();
        }
        self.each2(dst, n, vector_type(lane), ab, |this, x, y| match (add, signed) {
            (true, Sign::Signed) => this.b.ins().sadd_sat(x, y),
            (true, Sign::Unsigned) => this.b.ins().uadd_sat(x, y),
            (false, Sign::Signed) => this.b.ins().ssub_sat(x, y),
            (false, Sign::Unsigned) => this.b.ins().usub_sat(x, y),
        });
    }

    pub(super) fn vector_extreme(
        &mut self,
        max: bool,
        dst: Val,
        n: VecLen,
        lane: Lane,
        signed: Sign,
        ab: (Val, Val),
    ) {
        self.each2(dst, n, vector_type(lane), ab, |this, x, y| match (max, signed) {
            _ if lane == Lane::D => {
                let cc = if signed == Sign::Signed {
                    IntCC::SignedGreaterThan
                } else {
                    IntCC::UnsignedGreaterThan
                };
                let greater = this.b.ins().icmp(cc, x, y);
                if max {
                    this.b.ins().bitselect(greater, x, y)
                } else {
                    this.b.ins().bitselect(greater, y, x)
                }
            }
            (true, Sign::Signed) => this.b.ins().smax(x, y),
            (true, Sign::Unsigned) => this.b.ins().umax(x, y),
            (false, Sign::Signed) => this.b.ins().smin(x, y),
            (false, Sign::Unsigned) => this.b.ins().umin(x, y),
        });
    }

    pub(super) fn vector_compare(&mut self, dst: Val, n: VecLen, lane: Lane, cc: IntCc, ab: (Val, Val)) {
        self.each2(dst, n, vector_type(lane), ab, |this, x, y| this.b.ins().icmp(int_condition(cc), x, y));
    }

    pub(super) fn widened(&mut self, signed: Sign, half: Half, x: ir::Value) -> ir::Value {
        match (signed, half) {
            (Sign::Signed, Half::Low) => self.b.ins().swiden_low(x),
            (Sign::Signed, Half::High) => self.b.ins().swiden_high(x),
            (Sign::Unsigned, Half::Low) => self.b.ins().uwiden_low(x),
            (Sign::Unsigned, Half::High) => self.b.ins().uwiden_high(x),
        }
    }

    pub(super) fn narrowed(&mut self, dst: Val, n: VecLen, lane: Lane, how: Narrow, ab: (Val, Val)) {
        if how == Narrow::Truncate {
            return self.truncated(dst, n, lane, ab);
        }
        if !matches!(lane, Lane::H | Lane::S) || how == Narrow::Unsigned {
            return self.slow();
        }
        self.each2(dst, n, vector_type(lane), ab, |this, x, y| match how {
            Narrow::Signed => this.b.ins().snarrow(x, y),
            _ => this.b.ins().unarrow(x, y),
        });
    }

    /// The low halves of the lanes of both operands: a byte shuffle.
    fn truncated(&mut self, dst: Val, n: VecLen, lane: Lane, ab: (Val, Val)) {
        let (wide, narrow) = (lane.bytes(), lane.bytes() / 2);
        let mut picks = [0u8; 16];
        for (i, pick) in picks.iter_mut().enumerate() {
            *pick = (i / narrow * wide + i % narrow) as u8;
        }
        let picks = self.b.func.dfg.immediates.push(picks.to_vec().into());
        self.each2(dst, n, types::I8X16, ab, |this, x, y| this.b.ins().shuffle(x, y, picks));
    }

    pub(super) fn extract_lane(&mut self, dst: Val, lane: Lane, index: u8, a: Val) {
        let per_unit = (16 / lane.bytes()) as u8;
        let vector = self.unit(a, usize::from(index / per_unit));
        self.set_lane(dst, vector, lane.width(), index % per_unit);
    }

    pub(super) fn insert_lane(&mut self, dst: Val, n: VecLen, lane: Lane, index: u8, a: Val, b: Val) {
        let per_unit = (16 / lane.bytes()) as u8;
        for unit in 0..n.units() {
            let mut value = self.unit(a, unit);
            let float = if lane.bytes() >= 4 { self.whole_float(lane.width(), b) } else { None };
            if unit != usize::from(index / per_unit) {
                // Stays as it is.
            } else if let Some(float) = float {
                value = self.with_float_lane(lane.width(), value, index % per_unit, float);
            } else {
                let typed = self.cast(vector_type(lane), value);
                let new = self.narrow(lane.width(), b);
                value = self.b.ins().insertlane(typed, new, index % per_unit);
            }
            self.set_unit(dst, unit, value);
        }
    }

    pub(super) fn splat(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        let vector = match self.whole_float(lane.width(), a) {
            Some(float) if lane == Lane::D => self.b.ins().splat(types::F64X2, float),
            Some(float) if lane == Lane::S => self.b.ins().splat(types::F32X4, float),
            _ => {
                let value = self.narrow(lane.width(), a);
                debug_assert_eq!(self.b.func.dfg.value_type(value), int_type(lane.width()));
                self.b.ins().splat(vector_type(lane), value)
            }
        };
        (0..n.units()).for_each(|unit| self.set_unit(dst, unit, vector));
    }

    pub(super) fn top_bits(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        let mut mask = self.iconst(0);
        for unit in 0..n.units() {
            let typed = self.unit_as(vector_type(lane), a, unit);
            let bits = self.b.ins().vhigh_bits(types::I32, typed);
            let wide = self.b.ins().uextend(types::I64, bits);
            let moved = self.b.ins().ishl_imm_u(wide, (unit * 16 / lane.bytes()) as i64);
            mask = self.b.ins().bor(mask, moved);
        }
        self.set(dst, mask);
    }
}
