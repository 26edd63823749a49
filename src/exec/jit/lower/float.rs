//! Scalar floats, under the guest's own MXCSR: the host's instructions where they do exactly what the op
//! says, the interpreter's code for NaNs under AArch64's rules and for what the host lacks.
//!
//! Checks on operands and x86's results look at the bits: a float comparison would raise flags.

use super::Lowering;
use super::values::{float_type, vector_of};
use crate::exec::jit::entry;
use crate::host::rounding::{self, Shape};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, MemFlagsData, Signature, types};
use cranelift_codegen::isa::CallConv;
use guest::ir::{
    ArmFloat, FSize, FloatCc, Inexact, Kind, MinMax, NanRule, Nans, Overflow, Round, Sign, Val, Width,
};

/// Whether an operation may round an inexact result up to the smallest normal number: Arm then tells of an
/// underflow, the host does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tiny {
    Never,
    Possible,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
}

pub fn float_condition(cc: FloatCc) -> Option<FloatCC> {
    Some(match cc {
        FloatCc::Eq => FloatCC::Equal,
        FloatCc::Lt => FloatCC::LessThan,
        FloatCc::Le => FloatCC::LessThanOrEqual,
        FloatCc::Gt => FloatCC::GreaterThan,
        FloatCc::Ge => FloatCC::GreaterThanOrEqual,
        FloatCc::Ord => FloatCC::Ordered,
        FloatCc::Une => FloatCC::NotEqual,
        FloatCc::Uge => FloatCC::UnorderedOrGreaterThanOrEqual,
        FloatCc::Ugt => FloatCC::UnorderedOrGreaterThan,
        FloatCc::Ule => FloatCC::UnorderedOrLessThanOrEqual,
        FloatCc::Ult => FloatCC::UnorderedOrLessThan,
        FloatCc::Uno => FloatCC::Unordered,
        FloatCc::Ueq => FloatCC::UnorderedOrEqual,
        FloatCc::One => FloatCC::OrderedNotEqual,
        FloatCc::True | FloatCc::False => return None,
    })
}

/// The bits of positive infinity.
pub fn infinity(fs: FSize) -> u64 {
    match fs {
        FSize::F16 => 0x7c00,
        FSize::F32 => 0x7f80_0000,
        FSize::F64 => 0x7ff0_0000_0000_0000,
    }
}

/// The bits of the smallest normal number.
pub fn lowest_normal(fs: FSize) -> u64 {
    match fs {
        FSize::F16 => 1 << 10,
        FSize::F32 => 1 << 23,
        FSize::F64 => 1 << 52,
    }
}

/// The bits of 2^k.
fn power_of_two(fs: FSize, k: u64) -> u64 {
    if fs == FSize::F64 { (1023 + k) << 52 } else { (127 + k) << 23 }
}

impl Lowering<'_, '_> {
    /// The operands of the op at hand in their integer form, made now: code on either side of a branch
    /// may use them.
    pub(super) fn prepare_operands(&mut self) {
        let op = self.op;
        op.for_each_use(|v| {
            if self.vals.kind(v) == Kind::Int {
                self.int(v);
            }
        });
    }

    pub(super) fn scalar_arith(&mut self, op: Arith, dst: Val, fs: FSize, a: Val, b: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        let (x, y) = (self.float(ty, a), self.float(ty, b));
        let value = self.arith(op, x, y);
        let tiny = self.tiny(op, fs, [a, b]);
        self.settle(dst, fs, value, tiny);
    }

    /// A sum that is too small for a normal number is exact, and so is a product with a power of two that is not small.
    pub(super) fn tiny(&self, op: Arith, fs: FSize, operands: [Val; 2]) -> Tiny {
        match op {
            Arith::Add | Arith::Sub => Tiny::Never,
            Arith::Mul if operands.iter().any(|&v| self.floats.is_power_of_two(fs, v)) => Tiny::Never,
            _ => Tiny::Possible,
        }
    }

    /// With two NaNs the first counts: a load must not be folded into the first place, which would swap.
    pub(super) fn arith(&mut self, op: Arith, x: ir::Value, y: ir::Value) -> ir::Value {
        match op {
            Arith::Add => self.b.ins().fadd(x, y),
            Arith::Sub => self.b.ins().fsub(x, y),
            Arith::Mul => self.b.ins().fmul(x, y),
            Arith::Div => self.b.ins().fdiv(x, y),
        }
    }

    pub(super) fn square_root(&mut self, dst: Val, fs: FSize, a: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        let x = self.float(ty, a);
        let value = self.b.ins().sqrt(x);
        self.settle(dst, fs, value, Tiny::Never);
    }

    /// The host's NaNs are x86's; other rules ask the interpreter.
    fn settle(&mut self, dst: Val, fs: FSize, value: ir::Value, tiny: Tiny) {
        if self.nan_rule == NanRule::X86 {
            return self.set_float(dst, value);
        }
        self.settle_nan(dst, fs, value, tiny);
    }

    /// The value, or the interpreter's where it is a NaN, or where it may have underflowed before it was rounded.
    fn settle_nan(&mut self, dst: Val, fs: FSize, value: ir::Value, tiny: Tiny) {
        self.prepare_operands();
        let ty = self.b.func.dfg.value_type(value);
        let nan = match self.nan_rule {
            NanRule::X86 => self.has_bits_of_nan(fs, value),
            _ => self.is_doubtful(fs, value, tiny),
        };
        self.is_done = true;
        let (cold, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let joined = self.b.append_block_param(join, ty);
        self.b.ins().brif(nan, cold, &[], join, &[value.into()]);
        self.seal(&[cold]);
        self.b.switch_to_block(cold);
        self.slow();
        let slow = self.float(ty, dst);
        self.b.ins().jump(join, &[slow.into()]);
        self.seal(&[join]);
        self.b.switch_to_block(join);
        self.set_float(dst, joined);
    }

    /// A comparison, which tells x86 alone of denormals, and nobody of the quiet NaNs that results are.
    fn is_doubtful(&mut self, fs: FSize, value: ir::Value, tiny: Tiny) -> ir::Value {
        if tiny == Tiny::Never {
            return self.b.ins().fcmp(FloatCC::Unordered, value, value);
        }
        let ty = self.b.func.dfg.value_type(value);
        let absolute = self.float_of_bits(ty, fs, fs.width().mask() >> 1);
        let magnitude = self.b.ins().band(value, absolute);
        let lowest = self.float_of_bits(ty, fs, lowest_normal(fs));
        self.b.ins().fcmp(FloatCC::UnorderedOrEqual, magnitude, lowest)
    }

    /// A constant in a vector register, where it may stay throughout a loop.
    fn float_of_bits(&mut self, ty: ir::Type, fs: FSize, bits: u64) -> ir::Value {
        let lanes = self.lanes(fs, bits);
        let typed = self.cast(vector_of(ty), lanes);
        self.b.ins().extractlane(typed, 0)
    }

    fn has_bits_of_nan(&mut self, fs: FSize, value: ir::Value) -> ir::Value {
        let narrow = fs == FSize::F32;
        let int = if narrow { types::I32 } else { types::I64 };
        let bits = self.b.ins().bitcast(int, MemFlagsData::new(), value);
        let magnitude = self.b.ins().ishl_imm_u(bits, 1);
        let limit = (infinity(fs) << 1) as i64 & if narrow { 0xffff_ffff } else { -1 };
        let limit = self.b.ins().iconst(int, limit);
        self.b.ins().icmp(IntCC::UnsignedGreaterThan, magnitude, limit)
    }

    /// The forms of FMA rank NaN operands differently, so no rule's NaNs come from it.
    pub(super) fn fused(&mut self, dst: Val, fs: FSize, abc: [Val; 3]) {
        let Some(ty) = float_type(fs).filter(|_| has_fma()) else { return self.slow() };
        let [x, y, z] = abc.map(|v| self.float(ty, v));
        let value = self.b.ins().fma(x, y, z);
        let tiny = if self.nan_rule == NanRule::X86 { Tiny::Never } else { Tiny::Possible };
        self.settle_nan(dst, fs, value, tiny);
    }

    pub(super) fn min_max(&mut self, dst: Val, op: MinMax, fs: FSize, a: Val, b: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        let (x, y) = (self.float(ty, a), self.float(ty, b));
        if matches!(op, MinMax::X86Min | MinMax::X86Max) && self.may_be_same(x, y) {
            // A choice between equals is none, for Cranelift; a NaN's flag would be lost.
            return self.slow();
        }
        if !matches!(op, MinMax::X86Min | MinMax::X86Max) {
            return self.arm_min_max(dst, op, x, y);
        }
        // These two forms are the ones that Cranelift makes MINSS and MAXSS of.
        let first = match op {
            MinMax::X86Min => self.b.ins().fcmp(FloatCC::LessThan, x, y),
            MinMax::X86Max => self.b.ins().fcmp(FloatCC::LessThan, y, x),
            _ => return self.slow(),
        };
        let value = self.b.ins().select(first, x, y);
        self.set_float(dst, value);
    }

    /// Of numbers AArch64's minimum and maximum are Cranelift's, which rank zeros by their signs too.
    fn arm_min_max(&mut self, dst: Val, op: MinMax, x: ir::Value, y: ir::Value) {
        if self.nan_rule == NanRule::X86 {
            // The environment may flush denormals.
            return self.slow();
        }
        self.prepare_operands();
        let ty = self.b.func.dfg.value_type(x);
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        let (hot, cold, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let joined = self.b.append_block_param(join, ty);
        self.b.ins().brif(unordered, cold, &[], hot, &[]);
        self.seal(&[cold, hot]);
        self.b.switch_to_block(cold);
        self.slow();
        let slow = self.float(ty, dst);
        self.b.ins().jump(join, &[slow.into()]);
        self.b.switch_to_block(hot);
        let value = match op {
            MinMax::ArmMin | MinMax::ArmMinNum => self.b.ins().fmin(x, y),
            _ => self.b.ins().fmax(x, y),
        };
        self.b.ins().jump(join, &[value.into()]);
        self.seal(&[join]);
        self.b.switch_to_block(join);
        self.set_float(dst, joined);
    }

    /// AArch64's own products and steps, of operands whose exponents are far from all limits: then nothing is special
    /// about them, and no result is tiny or too large.
    pub(super) fn arm_float(&mut self, op: ArmFloat, fs: FSize, a: Val, b: Val) {
        let known = matches!(op, ArmFloat::Mulx | ArmFloat::RecipStep | ArmFloat::RsqrtStep);
        let known = known && has_fma() && self.nan_rule != NanRule::X86;
        let Some(ty) = float_type(fs).filter(|_| known) else { return self.slow() };
        self.prepare_operands();
        let (x, y) = (self.float(ty, a), self.float(ty, b));
        let [first, second] = [a, b].map(|v| self.has_middle_exponent(fs, v));
        let usual = self.b.ins().band(first, second);
        self.usually(usual, |this| {
            let value = match op {
                ArmFloat::Mulx => this.b.ins().fmul(x, y),
                ArmFloat::RecipStep => this.step(ty, 2.0, x, y),
                _ => {
                    let difference = this.step(ty, 3.0, x, y);
                    let half = this.float_constant(ty, 0.5);
                    this.b.ins().fmul(difference, half)
                }
            };
            let int = if ty == types::F64 { types::I64 } else { types::I32 };
            let bits = this.b.ins().bitcast(int, MemFlagsData::new(), value);
            this.widen(bits)
        });
    }

    /// `from - x * y`, rounded once.
    fn step(&mut self, ty: ir::Type, from: f64, x: ir::Value, y: ir::Value) -> ir::Value {
        let (from, x) = (self.float_constant(ty, from), self.b.ins().fneg(x));
        self.b.ins().fma(x, y, from)
    }

    fn float_constant(&mut self, ty: ir::Type, value: f64) -> ir::Value {
        if ty == types::F64 { self.b.ins().f64const(value) } else { self.b.ins().f32const(value as f32) }
    }

    /// Whether the exponent is of the middle half of all: products and their differences stay in range.
    fn has_middle_exponent(&mut self, fs: FSize, v: Val) -> ir::Value {
        let (fraction, exponents) = if fs == FSize::F64 { (52, 0x7ff) } else { (23, 0xff) };
        let bits = self.int(v);
        let shifted = self.b.ins().ushr_imm_u(bits, fraction);
        let exponent = self.b.ins().band_imm_u(shifted, exponents);
        let quarter = (exponents + 1) / 4;
        let above = self.b.ins().iadd_imm_s(exponent, -(quarter + 4));
        self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, above, 2 * quarter - 8)
    }

    pub(super) fn float_compare(&mut self, dst: Val, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) {
        let (Some(ty), Some(cc)) = (float_type(fs), float_condition(cc)) else { return self.slow() };
        let (x, y) = (self.float(ty, a), self.float(ty, b));
        self.signal_nans(nans, x, y);
        let holds = self.b.ins().fcmp(cc, x, y);
        self.set_narrow(dst, holds);
    }

    /// The host's comparison is the quiet one: where operands are unordered and that signals, the
    /// interpreter does it again for the flag.
    fn signal_nans(&mut self, nans: Nans, x: ir::Value, y: ir::Value) {
        if nans == Nans::Quiet {
            return;
        }
        self.prepare_operands();
        self.is_done = true;
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        let (cold, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.ins().brif(unordered, cold, &[], join, &[]);
        self.seal(&[cold]);
        self.b.switch_to_block(cold);
        self.slow();
        self.b.ins().jump(join, &[]);
        self.seal(&[join]);
        self.b.switch_to_block(join);
    }

    pub(super) fn float_ordering(&mut self, dst: Val, nans: Nans, fs: FSize, a: Val, b: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        let (x, y) = (self.float(ty, a), self.float(ty, b));
        self.signal_nans(nans, x, y);
        // Each is one condition of the host's: 1 for less, 2 for greater, 3 for unordered.
        let conditions = [FloatCC::UnorderedOrLessThan, FloatCC::UnorderedOrGreaterThan];
        let [below, above] = conditions.map(|cc| self.b.ins().fcmp(cc, x, y));
        let [below, above] = [below, above].map(|holds| self.widen(holds));
        let above = self.b.ins().ishl_imm_u(above, 1);
        let value = self.b.ins().bor(below, above);
        self.set(dst, value);
    }

    pub(super) fn float_round(&mut self, dst: Val, fs: FSize, mode: Round, inexact: Inexact, a: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        let x = self.float(ty, a);
        if self.nan_rule != NanRule::X86 || inexact != Inexact::Raise {
            let whole = self.b.ins().scalar_to_vector(vector_of(ty), x);
            let Some(rounded) = self.rounded(fs, Shape::Scalar, mode, inexact, whole) else {
                return self.slow();
            };
            let rounded = self.cast(vector_of(ty), rounded);
            let value = self.b.ins().extractlane(rounded, 0);
            return self.set_float(dst, value);
        }
        let value = match mode {
            Round::Nearest => self.b.ins().nearest(x),
            Round::Down => self.b.ins().floor(x),
            Round::Up => self.b.ins().ceil(x),
            Round::Zero => self.b.ins().trunc(x),
            Round::Current | Round::Away => return self.slow(),
        };
        self.set_float(dst, value);
    }

    /// A call of the host's own rounding; `None` where the interpreter must do it.
    pub(super) fn rounded(
        &mut self,
        fs: FSize,
        shape: Shape,
        mode: Round,
        inexact: Inexact,
        x: ir::Value,
    ) -> Option<ir::Value> {
        // Away from zero takes a difference, which tells x86 of denormals.
        let unlike =
            self.nan_rule == NanRule::ArmDefault || self.nan_rule == NanRule::X86 && mode == Round::Away;
        if unlike || !rounding::supported() {
            return None;
        }
        let index = rounding::index(fs, shape, mode, inexact)?;
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(types::I8X16));
        signature.returns.push(AbiParam::new(types::I8X16));
        let signature = self.b.import_signature(signature);
        let context = self.context();
        let flags = self.context_flags.with_readonly();
        let callee = self.b.ins().load(types::I64, flags, context, entry::ROUNDING + 8 * index as i32);
        let bytes = self.cast(types::I8X16, x);
        let call = self.b.ins().call_indirect(signature, callee, &[bytes]);
        Some(self.b.inst_results(call)[0])
    }

    pub(super) fn float_convert(&mut self, dst: Val, from: FSize, to: FSize, a: Val) {
        if self.nan_rule == NanRule::ArmDefault {
            return self.slow();
        }
        let value = match (from, to) {
            (FSize::F32, FSize::F64) => {
                let x = self.float(types::F32, a);
                self.b.ins().fpromote(types::F64, x)
            }
            (FSize::F64, FSize::F32) => {
                let x = self.float(types::F64, a);
                let value = self.b.ins().fdemote(types::F32, x);
                return self.settle(dst, to, value, Tiny::Possible);
            }
            _ => return self.slow(),
        };
        self.set_float(dst, value);
    }

    pub(super) fn int_to_float(&mut self, dst: Val, fs: FSize, w: Width, signed: Sign, a: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        match (w, signed) {
            (Width::W64, Sign::Unsigned) => {
                let x = self.int(a);
                let zero = self.iconst(0);
                let usual = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, zero);
                self.usually(usual, |this| {
                    let value = this.b.ins().fcvt_from_sint(ty, x);
                    let bits = if ty == types::F64 { types::I64 } else { types::I32 };
                    let bits = this.b.ins().bitcast(bits, MemFlagsData::new(), value);
                    this.widen(bits)
                });
            }
            (Width::W32, Sign::Signed) => {
                let x = self.narrow(w, a);
                let value = self.b.ins().fcvt_from_sint(ty, x);
                self.set_float(dst, value);
            }
            _ => {
                let x = self.extended(w, signed, a);
                let value = self.b.ins().fcvt_from_sint(ty, x);
                self.set_float(dst, value);
            }
        }
    }

    /// What certainly fits; the rest (NaNs, overflow, rounding as the environment has it) in the interpreter.
    pub(super) fn float_to_int(
        &mut self,
        fs: FSize,
        w: Width,
        signed: Sign,
        mode: Round,
        _over: Overflow,
        a: Val,
    ) {
        let lacking = mode == Round::Current || mode == Round::Away && self.nan_rule == NanRule::X86;
        let (Some(ty), Width::W32 | Width::W64, false) = (float_type(fs), w, lacking) else {
            return self.slow();
        };
        self.prepare_operands();
        let x = self.float(ty, a);
        let bits = self.narrow(fs.width(), a);
        let bits = self.widen(bits);
        let k = match (w, signed) {
            (Width::W32, Sign::Unsigned) => 32,
            (Width::W32, Sign::Signed) => 31,
            _ => 63,
        };
        // Rounding may lead to the next power.
        let k = if mode == Round::Zero { k } else { k - 1 };
        let limit = self.iconst(power_of_two(fs, k));
        let magnitude = if signed == Sign::Signed {
            let mask = self.iconst(fs.width().mask() >> 1);
            self.b.ins().band(bits, mask)
        } else {
            bits
        };
        let usual = self.b.ins().icmp(IntCC::UnsignedLessThan, magnitude, limit);
        let narrow = w == Width::W32 && signed == Sign::Signed;
        let to = if narrow { types::I32 } else { types::I64 };
        self.usually(usual, |this| {
            // The host's rounding and conversion raise Inexact, as they should.
            let rounded = match mode {
                Round::Nearest => this.b.ins().nearest(x),
                Round::Down => this.b.ins().floor(x),
                Round::Up => this.b.ins().ceil(x),
                _ => x,
            };
            let value = this.b.ins().fcvt_to_sint_sat(to, rounded);
            let value = if mode == Round::Away { this.away_from(x, value) } else { value };
            this.widen(value)
        });
    }

    /// The truncated `value` of `x`, rounded to the nearest with ties away from zero.
    fn away_from(&mut self, x: ir::Value, value: ir::Value) -> ir::Value {
        let (ty, to) = (self.b.func.dfg.value_type(x), self.b.func.dfg.value_type(value));
        let (int, half) =
            if ty == types::F64 { (types::I64, 0x3fe << 52) } else { (types::I32, 0x3f00_0000) };
        // Exact, both.
        let back = self.b.ins().fcvt_from_sint(ty, value);
        let rest = self.b.ins().fsub(x, back);
        let rest = self.b.ins().bitcast(int, MemFlagsData::new(), rest);
        let magnitude = self.b.ins().ishl_imm_u(rest, 1);
        let half =
            self.b.ins().iconst(int, if ty == types::F64 { half << 1 } else { half << 1 & 0xffff_ffff });
        let up = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, magnitude, half);
        let zero = self.b.ins().iconst(int, 0);
        let negative = self.b.ins().icmp(IntCC::SignedLessThan, rest, zero);
        let [one, none, minus] =
            [1, 0, if to == types::I32 { 0xffff_ffff } else { -1 }].map(|step| self.b.ins().iconst(to, step));
        let step = self.b.ins().select(negative, minus, one);
        let step = self.b.ins().select(up, step, none);
        self.b.ins().iadd(value, step)
    }
}

/// Whether the host has FMA; the interpreter demands it too.
pub fn has_fma() -> bool {
    std::arch::is_x86_feature_detected!("fma")
}
