//! Float ops on lanes.

use super::Lowering;
use super::float::{Arith, Tiny, float_condition, has_fma, infinity, lowest_normal};
use super::values::{float_vector_type, vector_type};
use crate::host::rounding::Shape;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{FSize, FloatCc, Half, Inexact, MinMax, NanRule, Nans, Overflow, Round, Sign, Val, VecLen};

impl Lowering<'_, '_> {
    /// Whether NaNs need a second look, and there are too many units for it.
    fn unsettled(&self, n: VecLen) -> bool {
        self.nan_rule != NanRule::X86 && n != VecLen::X1
    }

    pub(super) fn vector_arith(&mut self, op: Arith, dst: Val, n: VecLen, fs: FSize, ab: (Val, Val)) {
        let Some(ty) = float_vector_type(fs).filter(|_| !self.unsettled(n)) else { return self.slow() };
        self.each2(dst, n, ty, ab, |this, x, y| this.arith(op, x, y));
        let tiny = self.tiny(op, fs, ab.into());
        self.settle_vector(dst, n, fs, tiny);
    }

    pub(super) fn vector_sqrt(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val) {
        let Some(ty) = float_vector_type(fs).filter(|_| !self.unsettled(n)) else { return self.slow() };
        self.each1(dst, n, ty, a, |this, x| this.b.ins().sqrt(x));
        self.settle_vector(dst, n, fs, Tiny::Never);
    }

    pub(super) fn vector_fused(&mut self, dst: Val, n: VecLen, fs: FSize, abc: [Val; 3]) {
        let Some(ty) = float_vector_type(fs).filter(|_| has_fma()) else { return self.slow() };
        for unit in 0..n.units() {
            let [x, y, z] = abc.map(|v| self.unit_as(ty, v, unit));
            let value = self.b.ins().fma(x, y, z);
            self.set_unit(dst, unit, value);
        }
        let tiny = if self.nan_rule == NanRule::X86 { Tiny::Never } else { Tiny::Possible };
        self.settle_lanes(dst, n, fs, tiny);
    }

    fn settle_vector(&mut self, dst: Val, n: VecLen, fs: FSize, tiny: Tiny) {
        if self.nan_rule == NanRule::X86 {
            return;
        }
        if !self.is_deferred() {
            return self.settle_lanes(dst, n, fs, tiny);
        }
        let unit = self.unit(dst, 0);
        let lanes = if tiny == Tiny::Possible { Some(self.tiny_lanes(fs, unit)) } else { None };
        self.defer(dst, lanes);
    }

    /// Keeps `dst`, or takes the interpreter's where a lane of it is a NaN or may have underflowed before it was
    /// rounded.
    fn settle_lanes(&mut self, dst: Val, n: VecLen, fs: FSize, tiny: Tiny) {
        self.prepare_operands();
        self.is_done = true;
        let units: Vec<ir::Value> = (0..n.units()).map(|unit| self.unit(dst, unit)).collect();
        let deferred = self.take_deferred();
        let mut any = deferred.iter().filter_map(|one| one.lanes).reduce(|a, b| self.b.ins().bor(a, b));
        for &unit in &units {
            let nans = match self.nan_rule {
                NanRule::X86 => self.lanes_with_bits_of_nan(fs, unit),
                _ => self.doubtful_lanes(fs, unit, tiny),
            };
            any = Some(any.map_or(nans, |others| self.b.ins().bor(others, nans)));
        }
        let Some(any) = any else { return };
        let any = self.b.ins().vhigh_bits(types::I32, any);
        let (cold, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let results: Vec<(Val, usize)> =
            (0..n.units()).map(|unit| (dst, unit)).chain(deferred.iter().map(|one| (one.dst, 0))).collect();
        let joined: Vec<ir::Value> =
            results.iter().map(|_| self.b.append_block_param(join, types::I8X16)).collect();
        let kept: Vec<_> = results.iter().map(|&(v, unit)| self.unit(v, unit).into()).collect();
        self.b.ins().brif(any, cold, &[], join, &kept);
        self.seal(&[cold]);
        self.b.switch_to_block(cold);
        self.slow_again(&deferred);
        let slow: Vec<_> = results.iter().map(|&(v, unit)| self.unit(v, unit).into()).collect();
        self.b.ins().jump(join, &slow);
        self.seal(&[join]);
        self.b.switch_to_block(join);
        let (own, others) = joined.split_at(n.units());
        for (unit, &value) in own.iter().enumerate() {
            self.set_unit(dst, unit, value);
        }
        for (&one, &value) in deferred.iter().zip(others) {
            self.settle_deferred(one, value);
        }
    }

    /// Comparisons, as of one float.
    fn doubtful_lanes(&mut self, fs: FSize, unit: ir::Value, tiny: Tiny) -> ir::Value {
        let ty = if fs == FSize::F64 { types::F64X2 } else { types::F32X4 };
        let (value, int) = (self.cast(ty, unit), vector_type(fs.lane()));
        let nans = self.b.ins().fcmp(FloatCC::Unordered, value, value);
        if tiny == Tiny::Never {
            return nans;
        }
        let nans = self.cast(int, nans);
        let lowest = self.tiny_lanes(fs, unit);
        self.b.ins().bor(nans, lowest)
    }

    /// Lanes that may have been rounded up to the smallest normal number.
    fn tiny_lanes(&mut self, fs: FSize, unit: ir::Value) -> ir::Value {
        let (bits, absolute) =
            (self.cast(vector_type(fs.lane()), unit), self.lanes(fs, fs.width().mask() >> 1));
        let magnitude = self.b.ins().band(bits, absolute);
        let lowest = self.lanes(fs, lowest_normal(fs));
        self.b.ins().icmp(IntCC::Equal, magnitude, lowest)
    }

    fn lanes_with_bits_of_nan(&mut self, fs: FSize, unit: ir::Value) -> ir::Value {
        let bits = self.cast(vector_type(fs.lane()), unit);
        let (absolute, most) = (self.lanes(fs, fs.width().mask() >> 1), self.lanes(fs, infinity(fs)));
        let magnitude = self.b.ins().band(bits, absolute);
        self.b.ins().icmp(IntCC::SignedGreaterThan, magnitude, most)
    }

    /// A constant in every lane.
    pub(super) fn lanes(&mut self, fs: FSize, value: u64) -> ir::Value {
        let mut unit = 0u128;
        for lane in 0..16 / fs.lane().bytes() {
            unit |= u128::from(value) << (lane as u32 * fs.lane().bits());
        }
        let constant = self.vector_constant(unit);
        self.cast(vector_type(fs.lane()), constant)
    }

    pub(super) fn vector_min_max(&mut self, dst: Val, n: VecLen, op: MinMax, fs: FSize, ab: (Val, Val)) {
        if !matches!(op, MinMax::X86Min | MinMax::X86Max) {
            let arm = self.nan_rule != NanRule::X86;
            let Some(ty) = float_vector_type(fs).filter(|_| arm) else { return self.slow() };
            let is_min = matches!(op, MinMax::ArmMin | MinMax::ArmMinNum);
            return self.without_nans(dst, n, ty, ab, |this, x, y| this.extreme_lanes(fs, is_min, x, y));
        }
        // A choice between equals is none, for Cranelift; a NaN's flag would be lost.
        let same = (0..n.units()).any(|unit| {
            let (x, y) = (self.unit(ab.0, unit), self.unit(ab.1, unit));
            self.may_be_same(x, y)
        });
        let native = matches!(op, MinMax::X86Min | MinMax::X86Max) && !same;
        let Some(ty) = float_vector_type(fs).filter(|_| native) else { return self.slow() };
        self.each2(dst, n, ty, ab, |this, x, y| {
            // These two forms are the ones that Cranelift makes MINPS and MAXPS of.
            let first = match op {
                MinMax::X86Min => this.b.ins().fcmp(FloatCC::LessThan, x, y),
                _ => this.b.ins().fcmp(FloatCC::LessThan, y, x),
            };
            let mask = this.cast(ty, first);
            this.b.ins().bitselect(mask, x, y)
        });
    }

    /// Of equals only zeros differ, by their signs. (Cranelift's own minimum and maximum take a difference for that,
    /// which is another zero where the environment rounds down.)
    fn extreme_lanes(&mut self, fs: FSize, is_min: bool, x: ir::Value, y: ir::Value) -> ir::Value {
        let (ty, int) = (self.b.func.dfg.value_type(x), vector_type(fs.lane()));
        let [less, equal] = [FloatCC::LessThan, FloatCC::Equal].map(|cc| self.b.ins().fcmp(cc, x, y));
        let [x, y] = [x, y].map(|value| self.cast(int, value));
        let (signs, value) = if is_min {
            (self.b.ins().bor(x, y), self.b.ins().bitselect(less, x, y))
        } else {
            (self.b.ins().band(x, y), self.b.ins().bitselect(less, y, x))
        };
        let value = self.b.ins().bitselect(equal, signs, value);
        self.cast(ty, value)
    }

    pub(super) fn vector_float_compare(
        &mut self,
        dst: Val,
        n: VecLen,
        cc: FloatCc,
        nans: Nans,
        fs: FSize,
        ab: (Val, Val),
    ) {
        // The host's predicates: equality and ordering are quiet, the others signal. Without NaNs that is all
        // the same, and so are equality and its unordered form.
        let (cc, exact) = match cc {
            FloatCc::Eq | FloatCc::Une | FloatCc::Ord | FloatCc::Uno => (cc, nans == Nans::Quiet),
            FloatCc::Ueq => (FloatCc::Eq, false),
            FloatCc::One => (FloatCc::Une, false),
            _ => (cc, nans == Nans::Signal),
        };
        let (Some(ty), Some(cc)) = (float_vector_type(fs), float_condition(cc)) else { return self.slow() };
        if exact {
            return self.each2(dst, n, ty, ab, |this, x, y| this.b.ins().fcmp(cc, x, y));
        }
        self.without_nans(dst, n, ty, ab, |this, x, y| this.b.ins().fcmp(cc, x, y));
    }

    /// Leaves operands with NaNs to the interpreter.
    fn without_nans(
        &mut self,
        dst: Val,
        n: VecLen,
        ty: ir::Type,
        ab: (Val, Val),
        f: impl FnMut(&mut Self, ir::Value, ir::Value) -> ir::Value,
    ) {
        self.prepare_operands();
        let mut any = None;
        for unit in 0..n.units() {
            let (x, y) = (self.unit_as(ty, ab.0, unit), self.unit_as(ty, ab.1, unit));
            let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, y);
            any = Some(any.map_or(unordered, |others| self.b.ins().bor(others, unordered)));
        }
        let Some(any) = any else { return };
        let any = self.b.ins().vhigh_bits(types::I32, any);
        let (hot, cold, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let joined: Vec<ir::Value> =
            (0..n.units()).map(|_| self.b.append_block_param(join, types::I8X16)).collect();
        self.b.ins().brif(any, cold, &[], hot, &[]);
        self.seal(&[cold, hot]);
        self.b.switch_to_block(cold);
        self.slow();
        let slow: Vec<_> = (0..n.units()).map(|unit| self.unit(dst, unit).into()).collect();
        self.b.ins().jump(join, &slow);
        self.b.switch_to_block(hot);
        self.each2(dst, n, ty, ab, f);
        let fast: Vec<_> = (0..n.units()).map(|unit| self.unit(dst, unit).into()).collect();
        self.b.ins().jump(join, &fast);
        self.seal(&[join]);
        self.b.switch_to_block(join);
        for (unit, value) in joined.into_iter().enumerate() {
            self.set_unit(dst, unit, value);
        }
    }

    pub(super) fn vector_round(
        &mut self,
        dst: Val,
        n: VecLen,
        fs: FSize,
        mode: Round,
        inexact: Inexact,
        a: Val,
    ) {
        let Some(ty) = float_vector_type(fs) else { return self.slow() };
        if self.nan_rule != NanRule::X86 || inexact != Inexact::Raise {
            for unit in 0..n.units() {
                let x = self.unit(a, unit);
                let Some(value) = self.rounded(fs, Shape::Packed, mode, inexact, x) else {
                    return self.slow();
                };
                self.set_unit(dst, unit, value);
            }
            return;
        }
        if matches!(mode, Round::Current | Round::Away) {
            return self.slow();
        }
        self.each1(dst, n, ty, a, |this, x| match mode {
            Round::Down => this.b.ins().floor(x),
            Round::Up => this.b.ins().ceil(x),
            Round::Zero => this.b.ins().trunc(x),
            _ => this.b.ins().nearest(x),
        });
    }

    pub(super) fn vector_widen(&mut self, dst: Val, n: VecLen, from: FSize, half: Half, a: Val) {
        if from != FSize::F32 || self.nan_rule == NanRule::ArmDefault {
            return self.slow();
        }
        let high = self.b.func.dfg.immediates.push((8..24).collect::<Vec<u8>>().into());
        self.each1(dst, n, types::I8X16, a, |this, x| {
            let low = if half == Half::High { this.b.ins().shuffle(x, x, high) } else { x };
            let typed = this.cast(types::F32X4, low);
            this.b.ins().fvpromote_low(typed)
        });
    }

    pub(super) fn vector_narrow(&mut self, dst: Val, n: VecLen, from: FSize, a: Val) {
        if from != FSize::F64 || self.nan_rule == NanRule::ArmDefault {
            return self.slow();
        }
        self.each1(dst, n, types::F64X2, a, |this, x| this.b.ins().fvdemote(x));
        self.settle_vector(dst, n, FSize::F32, Tiny::Possible);
    }

    pub(super) fn vector_to_int(
        &mut self,
        dst: Val,
        n: VecLen,
        fs: FSize,
        signed: Sign,
        mode: Round,
        over: Overflow,
        a: Val,
    ) {
        if over == Overflow::Saturate && self.nan_rule != NanRule::X86 {
            return self.saturating_to_int(n, fs, signed, mode, a);
        }
        if (fs, signed, mode, over) != (FSize::F32, Sign::Signed, Round::Zero, Overflow::Indefinite) {
            return self.slow();
        }
        self.each1(dst, n, types::F32X4, a, |this, x| this.b.ins().x86_cvtt2dq(types::I32X4, x));
    }

    /// What certainly fits, and what the host can round.
    fn saturating_to_int(&mut self, n: VecLen, fs: FSize, signed: Sign, mode: Round, a: Val) {
        let (Some(ty), true, false) =
            (float_vector_type(fs), n == VecLen::X1, matches!(mode, Round::Current | Round::Away))
        else {
            return self.slow();
        };
        let int = vector_type(fs.lane());
        let bits = self.unit_as(int, a, 0);
        let limit = if fs == FSize::F64 { (1023 + 62) << 52 } else { (127 + 30) << 23 };
        let most = self.lanes(fs, limit - 1);
        // Lanes with the highest bit set do not fit.
        let beyond = if signed == Sign::Signed {
            let absolute = self.lanes(fs, fs.width().mask() >> 1);
            let magnitude = self.b.ins().band(bits, absolute);
            self.b.ins().icmp(IntCC::SignedGreaterThan, magnitude, most)
        } else {
            let above = self.b.ins().icmp(IntCC::SignedGreaterThan, bits, most);
            self.b.ins().bor(above, bits)
        };
        let beyond = self.b.ins().vhigh_bits(types::I32, beyond);
        let usual = self.is_zero(beyond);
        let x = self.unit_as(ty, a, 0);
        self.usually(usual, |this| {
            let rounded = match mode {
                Round::Nearest => this.b.ins().nearest(x),
                Round::Down => this.b.ins().floor(x),
                Round::Up => this.b.ins().ceil(x),
                _ => x,
            };
            let value = if fs == FSize::F32 {
                this.b.ins().x86_cvtt2dq(types::I32X4, rounded)
            } else {
                this.each_lane(types::I64X2, rounded, |this, x| this.b.ins().fcvt_to_sint_sat(types::I64, x))
            };
            this.cast(types::I8X16, value)
        });
    }

    /// A vector of two from a function of each lane.
    fn each_lane(
        &mut self,
        ty: ir::Type,
        vector: ir::Value,
        mut f: impl FnMut(&mut Self, ir::Value) -> ir::Value,
    ) -> ir::Value {
        let [low, high] = [0, 1].map(|lane| {
            let x = self.b.ins().extractlane(vector, lane);
            f(self, x)
        });
        let value = self.b.ins().scalar_to_vector(ty, low);
        self.b.ins().insertlane(value, high, 1)
    }

    pub(super) fn vector_from_int(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, a: Val) {
        if (fs, signed) != (FSize::F32, Sign::Signed) {
            return self.lanes_to_float(n, fs, signed, a);
        }
        self.each1(dst, n, types::I32X4, a, |this, x| this.b.ins().fcvt_from_sint(types::F32X4, x));
    }

    /// Doublewords one by one; unsigned lanes where none has its highest bit set.
    fn lanes_to_float(&mut self, n: VecLen, fs: FSize, signed: Sign, a: Val) {
        let (Some(ty), true) = (float_vector_type(fs), n == VecLen::X1) else { return self.slow() };
        let int = vector_type(fs.lane());
        let x = self.unit_as(int, a, 0);
        let convert = |this: &mut Self| {
            let value = if fs == FSize::F32 {
                this.b.ins().fcvt_from_sint(ty, x)
            } else {
                this.each_lane(ty, x, |this, x| this.b.ins().fcvt_from_sint(types::F64, x))
            };
            this.cast(types::I8X16, value)
        };
        if signed == Sign::Signed {
            let value = convert(self);
            let Some((dst, _)) = self.op.result() else { return };
            return self.set_unit(dst, 0, value);
        }
        let negative = self.b.ins().vhigh_bits(types::I32, x);
        let usual = self.is_zero(negative);
        self.usually(usual, convert);
    }
}
