//! Scalar floats, under the guest's own MXCSR: the host's instructions where they do exactly what the op
//! says, the interpreter's code for NaNs under AArch64's rules and for what the host lacks.
//!
//! Checks on operands and results look at the bits: a float comparison would raise flags.

use super::Lowering;
use super::values::float_type;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use guest::ir::{FSize, FloatCc, Inexact, Kind, MinMax, NanRule, Nans, Overflow, Round, Sign, Val, Width};

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
        // A sum that is too small for a normal number is exact.
        let tiny = if matches!(op, Arith::Mul | Arith::Div) { Tiny::Possible } else { Tiny::Never };
        self.settle(dst, fs, value, tiny);
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
        let int = if ty == types::F64 { types::I64 } else { types::I32 };
        let bits = self.b.ins().bitcast(int, MemFlagsData::new(), value);
        let magnitude = self.b.ins().ishl_imm_u(bits, 1);
        let limit = self
            .b
            .ins()
            .iconst(int, (infinity(fs) << 1) as i64 & if int == types::I32 { 0xffff_ffff } else { -1 });
        let mut nan = self.b.ins().icmp(IntCC::UnsignedGreaterThan, magnitude, limit);
        if tiny == Tiny::Possible {
            let lowest = self.b.ins().iconst(int, (lowest_normal(fs) << 1) as i64);
            let lowest = self.b.ins().icmp(IntCC::Equal, magnitude, lowest);
            nan = self.b.ins().bor(nan, lowest);
        }
        let (cold, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let joined = self.b.append_block_param(join, ty);
        self.b.ins().brif(nan, cold, &[], join, &[value.into()]);
        self.b.switch_to_block(cold);
        self.slow();
        let slow = self.float(ty, dst);
        self.b.ins().jump(join, &[slow.into()]);
        self.b.switch_to_block(join);
        self.set_float(dst, joined);
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
        if self.may_be_same(x, y) {
            // A choice between equals is none, for Cranelift; a NaN's flag would be lost.
            return self.slow();
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
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        let (cold, join) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.ins().brif(unordered, cold, &[], join, &[]);
        self.b.switch_to_block(cold);
        self.slow();
        self.b.ins().jump(join, &[]);
        self.b.switch_to_block(join);
    }

    pub(super) fn float_ordering(&mut self, dst: Val, nans: Nans, fs: FSize, a: Val, b: Val) {
        let Some(ty) = float_type(fs) else { return self.slow() };
        let (x, y) = (self.float(ty, a), self.float(ty, b));
        self.signal_nans(nans, x, y);
        let less = self.b.ins().fcmp(FloatCC::LessThan, x, y);
        let equal = self.b.ins().fcmp(FloatCC::Equal, x, y);
        let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        let [zero, one, two, three] = [0, 1, 2, 3].map(|code| self.iconst(code));
        let value = self.b.ins().select(less, one, two);
        let value = self.b.ins().select(equal, zero, value);
        let value = self.b.ins().select(unordered, three, value);
        self.set(dst, value);
    }

    pub(super) fn float_round(&mut self, dst: Val, fs: FSize, mode: Round, inexact: Inexact, a: Val) {
        let native = self.nan_rule == NanRule::X86 && inexact == Inexact::Raise;
        let Some(ty) = float_type(fs).filter(|_| native) else { return self.slow() };
        let x = self.float(ty, a);
        let value = match mode {
            Round::Nearest => self.b.ins().nearest(x),
            Round::Down => self.b.ins().floor(x),
            Round::Up => self.b.ins().ceil(x),
            Round::Zero => self.b.ins().trunc(x),
            Round::Current | Round::Away => return self.slow(),
        };
        self.set_float(dst, value);
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

    /// Truncation of what certainly fits; the rest (other modes, NaNs, overflow) in the interpreter.
    pub(super) fn float_to_int(
        &mut self,
        fs: FSize,
        w: Width,
        signed: Sign,
        mode: Round,
        _over: Overflow,
        a: Val,
    ) {
        let (Some(ty), Round::Zero, Width::W32 | Width::W64) = (float_type(fs), mode, w) else {
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
            let value = this.b.ins().fcvt_to_sint_sat(to, x);
            this.widen(value)
        });
    }
}

/// Whether the host has FMA; the interpreter demands it too.
pub fn has_fma() -> bool {
    std::arch::is_x86_feature_detected!("fma")
}
