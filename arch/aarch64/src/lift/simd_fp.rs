//! Advanced SIMD on floating-point lanes.
//!
//! Lanes that an instruction does not have must raise nothing, so operands of 8-byte and of scalar forms
//! are copied into the unused lanes before the operation, which then runs on all 16 bytes.

use super::fp::sign_bit;
use super::fp_convert::power_of_two;
use super::simd::{each, is_scalar, sign};
use super::simd_narrow::half;
use super::{Lifter, X1};
use crate::decode::Insn;
use crate::{fpenv, helpers};
use guest::ir::{FSize, FloatCc, Inexact, IntCc, Lane, MinMax, Nans, Round, Val, Width};

/// Rounding of `FRINT*` and `FCVT*` by bit 23 and opcode bit 12.
const fn mode_of(insn: Insn) -> Round {
    match (insn.bit(12), insn.bit(23)) {
        (false, false) => Round::Nearest,
        (false, true) => Round::Up,
        (true, false) => Round::Down,
        (true, true) => Round::Zero,
    }
}

/// Minimum and maximum by opcode bit 13 or 14 (clear: the `NM` forms) and bit 23 (set: minimum).
const fn minmax(propagates: bool, minimum: bool) -> MinMax {
    match (propagates, minimum) {
        (true, false) => MinMax::ArmMax,
        (true, true) => MinMax::ArmMin,
        (false, false) => MinMax::ArmMaxNum,
        (false, true) => MinMax::ArmMinNum,
    }
}

impl Lifter {
    /// The size of vector float lanes.
    pub fn fsize(&self, insn: Insn) -> FSize {
        if self.half { FSize::F16 } else { insn.fsize() }
    }

    /// A float operand with the lanes that count repeated in those that do not.
    pub fn vf(&mut self, insn: Insn, fs: FSize, n: u16) -> Val {
        if is_scalar(insn) {
            let low = self.v_low(fs.width(), n);
            return self.ir.vsplat(X1, fs.lane(), low);
        }
        self.v_doubled(insn, n)
    }

    fn vf_finish(&mut self, insn: Insn, fs: FSize, value: Val) {
        self.finish(insn, fs.lane(), value);
    }

    fn vf_unary(&mut self, insn: Insn, f: impl FnOnce(&mut Self, FSize, Val) -> Val) {
        let fs = self.fsize(insn);
        let a = self.vf(insn, fs, insn.rn());
        let r = f(self, fs, a);
        self.vf_finish(insn, fs, r);
    }

    fn float_constant(&mut self, fs: FSize, bits: u64) -> Val {
        self.vector_constant(each(fs.lane(), bits))
    }

    fn lanes_abs(&mut self, fs: FSize, a: Val) -> Val {
        let sign = self.float_constant(fs, sign_bit(fs));
        self.ir.vandnot(X1, a, sign)
    }

    pub fn lanes_negate(&mut self, fs: FSize, a: Val) -> Val {
        let sign = self.float_constant(fs, sign_bit(fs));
        self.ir.vxor(X1, a, sign)
    }

    /// The three-operand instructions without accumulation, told apart by `U`, bit 23 and the opcode.
    pub fn vector_fp(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let (a, b) = (self.vf(insn, fs, insn.rn()), self.vf(insn, fs, insn.rm()));
        let r = self.lanes_fp(insn, fs, a, b);
        self.vf_finish(insn, fs, r);
    }

    fn lanes_fp(&mut self, insn: Insn, fs: FSize, a: Val, b: Val) -> Val {
        let (u, op) = (insn.u(), insn.bit(23));
        match (insn.bits(11, 3), u, op) {
            (0b000, _, _) => self.ir.vfminmax(X1, minmax(false, op), fs, a, b),
            (0b010, false, false) => self.ir.vfadd(X1, fs, a, b),
            (0b010, false, true) => self.ir.vfsub(X1, fs, a, b),
            (0b010, true, _) => {
                let difference = self.ir.vfsub(X1, fs, a, b);
                self.lanes_abs(fs, difference)
            }
            (0b011, false, _) => self.lanes_fmulx(fs, a, b),
            (0b011, true, _) => self.ir.vfmul(X1, fs, a, b),
            (0b100, false, _) => self.ir.vfcmp(X1, FloatCc::Eq, Nans::Quiet, fs, a, b),
            (0b100, true, _) => self.ir.vfcmp(X1, greater(op), Nans::Signal, fs, a, b),
            (0b101, _, _) => {
                let (a, b) = (self.lanes_abs(fs, a), self.lanes_abs(fs, b));
                self.ir.vfcmp(X1, greater(op), Nans::Signal, fs, a, b)
            }
            (0b110, _, _) => self.ir.vfminmax(X1, minmax(true, op), fs, a, b),
            (_, false, false) => self.lanes_frecps(fs, a, b),
            (_, false, true) => self.lanes_frsqrts(fs, a, b),
            (_, true, _) => self.ir.vfdiv(X1, fs, a, b),
        }
    }

    /// All ones in lanes where one operand is zero and the other infinite. The comparison with zero
    /// goes through the float unit, which knows whether denormals count as zero.
    fn zero_times_infinity(&mut self, fs: FSize, a: Val, b: Val) -> Val {
        let (zero, infinity) = (self.zeros(), self.float_constant(fs, infinity(fs)));
        let mut either = [zero; 2];
        for (slot, (x, y)) in either.iter_mut().zip([(a, b), (b, a)]) {
            let is_zero = self.ir.vfcmp(X1, FloatCc::Eq, Nans::Quiet, fs, x, zero);
            let magnitude = self.lanes_abs(fs, y);
            let is_infinite = self.ir.vicmp(X1, fs.lane(), IntCc::Eq, magnitude, infinity);
            *slot = self.ir.vand(X1, is_zero, is_infinite);
        }
        self.ir.vor(X1, either[0], either[1])
    }

    /// `FMULX`: zero times infinity is 2 with the product's sign.
    fn lanes_fmulx(&mut self, fs: FSize, a: Val, b: Val) -> Val {
        let special = self.zero_times_infinity(fs, a, b);
        let sign = self.float_constant(fs, sign_bit(fs));
        let (two, one) =
            (self.float_constant(fs, power_of_two(fs, 1)), self.float_constant(fs, power_of_two(fs, 0)));
        let signed_two = self.ir.vbitsel(X1, sign, a, two);
        let signed_one = self.ir.vbitsel(X1, sign, b, one);
        let a = self.ir.vbitsel(X1, special, signed_two, a);
        let b = self.ir.vbitsel(X1, special, signed_one, b);
        self.ir.vfmul(X1, fs, a, b)
    }

    /// `FRECPS`: 2 - a * b, rounded once; 2 for zero times infinity.
    fn lanes_frecps(&mut self, fs: FSize, a: Val, b: Val) -> Val {
        let special = self.zero_times_infinity(fs, a, b);
        let (a, b) = (self.ir.vandnot(X1, a, special), self.ir.vandnot(X1, b, special));
        let (a, two) = (self.lanes_negate(fs, a), self.float_constant(fs, power_of_two(fs, 1)));
        self.ir.vfma(X1, fs, a, b, two)
    }

    /// `FRSQRTS`: (3 - a * b) / 2, rounded once; 1.5 for zero times infinity. The halving goes before
    /// the product where a is large, because 3 - a * b could overflow, and after it where a is small,
    /// because half of it could underflow.
    fn lanes_frsqrts(&mut self, fs: FSize, a: Val, b: Val) -> Val {
        let special = self.zero_times_infinity(fs, a, b);
        let (a, b) = (self.ir.vandnot(X1, a, special), self.ir.vandnot(X1, b, special));
        let a = self.lanes_negate(fs, a);
        let magnitude = self.lanes_abs(fs, a);
        let one = self.float_constant(fs, power_of_two(fs, 0));
        let half = self.float_constant(fs, power_of_two(fs, -1));
        // Powers of two with the first bit of the fraction set.
        let plus_half = |exponent| power_of_two(fs, exponent) | lowest_normal(fs) >> 1;
        let (three, three_halves) = (plus_half(1), plus_half(0));
        let (three, three_halves) = (self.float_constant(fs, three), self.float_constant(fs, three_halves));
        let large = self.ir.vicmp(X1, fs.lane(), IntCc::Uge, magnitude, one);
        let before = self.ir.vbitsel(X1, large, half, one);
        let after = self.ir.vbitsel(X1, large, one, half);
        let addend = self.ir.vbitsel(X1, large, three_halves, three);
        // A signalling NaN must reach the sum unquieted, or it would lose to one in b.
        let infinity = self.float_constant(fs, infinity(fs));
        let nan = self.ir.vicmp(X1, fs.lane(), IntCc::Ugt, magnitude, infinity);
        let halved = self.ir.vfmul(X1, fs, a, before);
        let a = self.ir.vbitsel(X1, nan, a, halved);
        let r = self.ir.vfma(X1, fs, a, b, addend);
        self.ir.vfmul(X1, fs, r, after)
    }

    /// `FMLA`, and with bit 23 `FMLS`.
    pub fn vector_fmla(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let (a, b) = (self.vf(insn, fs, insn.rn()), self.vf(insn, fs, insn.rm()));
        let c = self.vf(insn, fs, insn.rd());
        let a = if insn.bit(23) { self.lanes_negate(fs, a) } else { a };
        let r = self.ir.vfma(X1, fs, a, b, c);
        self.vf_finish(insn, fs, r);
    }

    /// `FMUL`, `FMULX`, `FMLA`, `FMLS` by element.
    pub fn fp_by_element(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let (a, b) = (self.vf(insn, fs, insn.rn()), self.element(insn, fs.lane()));
        let r = match (insn.bits(14, 2), insn.u()) {
            (2, false) => self.ir.vfmul(X1, fs, a, b),
            (2, true) => self.lanes_fmulx(fs, a, b),
            (minus, _) => {
                let c = self.vf(insn, fs, insn.rd());
                let a = if minus == 1 { self.lanes_negate(fs, a) } else { a };
                self.ir.vfma(X1, fs, a, b, c)
            }
        };
        self.vf_finish(insn, fs, r);
    }

    /// `FADDP`, `FMAXP`, `FMINP`, `FMAXNMP`, `FMINNMP`.
    pub fn vector_fp_pairwise(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let (even, odd) = self.unzip(insn, fs.lane(), a, b);
        let r = match insn.bits(11, 3) {
            0b010 => self.ir.vfadd(X1, fs, even, odd),
            opcode => self.ir.vfminmax(X1, minmax(opcode == 0b110, insn.bit(23)), fs, even, odd),
        };
        self.vf_finish(insn, fs, r);
    }

    pub fn scalar_fp_pairwise(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let whole = self.v(insn.rn());
        let a = self.ir.vextract(X1, fs.lane(), 0, whole);
        let b = self.ir.vextract(X1, fs.lane(), 1, whole);
        let r = match insn.bits(12, 5) {
            0b01101 => self.ir.fadd(fs, a, b),
            opcode => self.ir.fminmax(minmax(opcode == 0b01111, insn.bit(23)), fs, a, b),
        };
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    /// `FMAXV`, `FMINV`, `FMAXNMV`, `FMINNMV`: pairs, then the pair of the results.
    pub fn fminmaxv(&mut self, insn: Insn) {
        let op = minmax(insn.bits(12, 5) == 0b01111, insn.bit(23));
        let whole = self.v(insn.rn());
        let fs = self.fsize(insn);
        let count = (if insn.q() { 16 } else { 8 }) / fs.lane().bytes() as u8;
        let mut lanes: Vec<Val> = (0..count).map(|i| self.ir.vextract(X1, fs.lane(), i, whole)).collect();
        while lanes.len() > 1 {
            lanes = lanes.chunks_exact(2).map(|pair| self.ir.fminmax(op, fs, pair[0], pair[1])).collect();
        }
        self.set_v_scalar(insn.rd(), fs.width(), lanes[0]);
    }

    // ---- two-register operations ----

    pub fn vector_fabs_fneg(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let a = self.v(insn.rn());
        let r = if insn.u() { self.lanes_negate(fs, a) } else { self.lanes_abs(fs, a) };
        self.vf_finish(insn, fs, r);
    }

    pub fn vector_fsqrt(&mut self, insn: Insn) {
        self.vf_unary(insn, |l, fs, a| l.ir.vfsqrt(X1, fs, a));
    }

    pub fn vector_frint(&mut self, insn: Insn) {
        let (mode, inexact) = match (insn.u(), insn.bit(12), insn.bit(23)) {
            (false, _, _) => (mode_of(insn), Inexact::Suppress),
            (true, false, _) => (Round::Away, Inexact::Suppress),
            (true, true, false) => (Round::Current, Inexact::Raise),
            (true, true, true) => (Round::Current, Inexact::Suppress),
        };
        self.vf_unary(insn, |l, fs, a| l.ir.vfround(X1, fs, mode, inexact, a));
    }

    pub fn vector_fcvt(&mut self, insn: Insn) {
        let mode = if insn.bits(12, 5) == 0b11100 { Round::Away } else { mode_of(insn) };
        self.vf_unary(insn, |l, fs, a| l.lanes_to_int(fs, sign(insn), mode, a));
    }

    pub fn vector_scvtf(&mut self, insn: Insn) {
        self.vf_unary(insn, |l, fs, a| l.ir.vitof(X1, fs, sign(insn), a));
    }

    /// Comparisons with zero.
    pub fn fcm_zero(&mut self, insn: Insn) {
        let (cc, nans) = match (insn.bits(12, 2), insn.u()) {
            (0, false) => (FloatCc::Gt, Nans::Signal),
            (0, true) => (FloatCc::Ge, Nans::Signal),
            (1, false) => (FloatCc::Eq, Nans::Quiet),
            (1, true) => (FloatCc::Le, Nans::Signal),
            _ => (FloatCc::Lt, Nans::Signal),
        };
        self.vf_unary(insn, |l, fs, a| {
            let zero = l.zeros();
            l.ir.vfcmp(X1, cc, nans, fs, a, zero)
        });
    }

    /// Lane size and fraction bits of the fixed-point forms.
    fn fixed_point(&self, insn: Insn) -> (FSize, i64) {
        let fs = match (self.half, insn.bit(22)) {
            (true, _) => FSize::F16,
            (_, true) => FSize::F64,
            _ => FSize::F32,
        };
        (fs, i64::from(2 * fs.lane().bits() - insn.bits(16, 7)))
    }

    pub fn vector_fixed_to_fp(&mut self, insn: Insn) {
        let (fs, fraction) = self.fixed_point(insn);
        if fs == FSize::F16 {
            return self.each_half(insn, |l, a| l.fixed_to_half(Width::W16, sign(insn), a, fraction));
        }
        let a = self.vf(insn, fs, insn.rn());
        let converted = self.ir.vitof(X1, fs, sign(insn), a);
        let scale = self.float_constant(fs, power_of_two(fs, -fraction));
        let r = self.ir.vfmul(X1, fs, converted, scale);
        self.vf_finish(insn, fs, r);
    }

    pub fn vector_fp_to_fixed(&mut self, insn: Insn) {
        let (fs, fraction) = self.fixed_point(insn);
        if fs == FSize::F16 {
            return self.each_half(insn, |l, a| l.half_to_fixed(Width::W16, sign(insn), a, fraction));
        }
        let a = self.vf(insn, fs, insn.rn());
        let scaled = self.scale_lanes_for_fixed(fs, a, fraction);
        let r = self.lanes_to_int(fs, sign(insn), Round::Zero, scaled);
        self.vf_finish(insn, fs, r);
    }

    pub fn fcvtl(&mut self, insn: Insn) {
        let from = if insn.bit(22) { FSize::F32 } else { FSize::F16 };
        let a = self.v(insn.rn());
        let r = self.ir.vfwiden(X1, from, half(insn), a);
        self.set_v(insn.rd(), r);
    }

    pub fn fcvtn(&mut self, insn: Insn) {
        let from = if insn.bit(22) { FSize::F64 } else { FSize::F32 };
        let a = self.v(insn.rn());
        let low = self.ir.vfnarrow(X1, from, a);
        self.write_low_or_high(insn, low);
    }

    /// Writes the low 8 bytes of `low` to the low half of Vd with zeros above, or to the high half.
    pub fn write_low_or_high(&mut self, insn: Insn, low: Val) {
        if !insn.q() || is_scalar(insn) {
            return self.set_v(insn.rd(), low);
        }
        let old = self.v_low(Width::W64, insn.rd());
        let new = self.ir.vextract(X1, Lane::D, 0, low);
        let r = self.ir.vpair(X1, old, new);
        self.set_v(insn.rd(), r);
    }

    /// `FCVTXN`: to single precision, rounding to odd.
    pub fn fcvtxn(&mut self, insn: Insn) {
        let whole = self.v(insn.rn());
        let mut low = self.zeros();
        let count = if is_scalar(insn) { 1 } else { 2 };
        for i in 0..count {
            let a = self.ir.vextract(X1, Lane::D, i, whole);
            // Gives the result for NaNs, and raises for the others what rounding to odd raises.
            let converted = self.ir.fconvert(FSize::F64, FSize::F32, a);
            let flush = self.imm(self.fpcr & fpenv::FZ);
            let odd = self.ir.call(helpers::ROUND_TO_ODD, a, converted, flush);
            low = self.ir.vinsert(X1, Lane::S, i, low, odd);
        }
        self.write_low_or_high(insn, low);
    }

    // ---- estimates ----

    /// `FRECPE`, `FRSQRTE`.
    pub fn vector_estimate(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let lanes = match (is_scalar(insn), insn.q()) {
            (true, _) => 1,
            (_, q) => (if q { 16 } else { 8 }) / fs.lane().bytes(),
        };
        let whole = self.v(insn.rn());
        let mut r = self.zeros();
        for i in 0..lanes as u8 {
            let a = self.ir.vextract(X1, fs.lane(), i, whole);
            let estimate = if insn.u() { self.frsqrte(fs, a) } else { self.frecpe(fs, a) };
            r = self.ir.vinsert(X1, fs.lane(), i, r, estimate);
        }
        self.set_v(insn.rd(), r);
    }

    /// Whether denormals of this size count as zero.
    pub fn flushes(&self, fs: FSize) -> bool {
        self.fpcr & if fs == FSize::F16 { fpenv::FZ16 } else { fpenv::FZ } != 0
    }

    /// What the estimate helpers need to know besides the value.
    fn estimate_mode(&mut self, fs: FSize) -> Val {
        let flush = if self.flushes(fs) { 1 << 8 } else { 0 };
        self.imm(u64::from(fs.width().bits()) | flush | (self.fpcr >> 22 & 3) << 9)
    }

    /// 1 where the value counts as zero: denormals do when they are flushed.
    fn counts_as_zero(&mut self, fs: FSize, a: Val) -> Val {
        let kept = if self.flushes(fs) { infinity(fs) } else { !sign_bit(fs) & fs.width().mask() };
        let mask = self.imm(kept);
        let magnitude = self.ir.and(fs.width(), a, mask);
        self.is_zero(fs.width(), magnitude, false)
    }

    /// Raises DivideByZero where the value counts as zero.
    fn raise_for_zero(&mut self, fs: FSize, a: Val) {
        let zero = self.counts_as_zero(fs, a);
        let one = power_of_two(fs, 0);
        let divisor = self.only_where(zero, a, one);
        let one = self.imm(one);
        self.ir.fdiv(fs, one, divisor);
    }

    /// Raises Overflow and Inexact where the reciprocal is out of range: 2 to the largest exponent is
    /// squared there.
    fn raise_for_tiny(&mut self, fs: FSize, a: Val) {
        if self.flushes(fs) {
            return;
        }
        let (w, one) = (fs.width(), self.imm(1));
        let magnitude = self.ir.shl(w, a, one);
        // A quarter of the smallest normal number, shifted like the magnitude; zero wraps above it.
        let limit = self.imm((lowest_normal(fs) >> 2 << 1) - 1);
        let below = self.ir.sub(w, magnitude, one);
        let tiny = self.ir.icmp(IntCc::Ult, w, below, limit);
        let factor = self.imm(infinity(fs) - lowest_normal(fs));
        let factor = self.only_where(tiny, factor, 0);
        self.ir.fmul(fs, factor, factor);
    }

    fn frecpe(&mut self, fs: FSize, a: Val) -> Val {
        let nan = self.is_nan(fs, a);
        let operand = self.only_where(nan, a, 0);
        let quieted = self.ir.fadd(fs, operand, operand);
        self.raise_for_zero(fs, a);
        self.raise_for_tiny(fs, a);
        let (how, zero) = (self.estimate_mode(fs), self.imm(0));
        let estimate = self.ir.call(helpers::RECIPROCAL, a, zero, how);
        self.ir.select(nan, quieted, estimate)
    }

    /// The square root of what is negative or no number gives both the result and the exception.
    fn frsqrte(&mut self, fs: FSize, a: Val) -> Val {
        let nan = self.is_nan(fs, a);
        let zero = self.counts_as_zero(fs, a);
        let sign = self.ir.extract(fs.width().bits() as u8 - 1, 1, a);
        let negative = self.ir.andnot(Width::W64, sign, zero);
        let invalid = self.ir.or(Width::W64, nan, negative);
        let operand = self.only_where(invalid, a, 0);
        let root = self.ir.fsqrt(fs, operand);
        self.raise_for_zero(fs, a);
        let (how, zero) = (self.estimate_mode(fs), self.imm(0));
        let estimate = self.ir.call(helpers::RECIPROCAL_SQRT, a, zero, how);
        self.ir.select(invalid, root, estimate)
    }

    pub fn frecpx(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let a = self.f(fs, insn.rn());
        let nan = self.is_nan(fs, a);
        let operand = self.only_where(nan, a, 0);
        let quieted = self.ir.fadd(fs, operand, operand);
        let (how, zero) = (self.estimate_mode(fs), self.imm(0));
        let exponent = self.ir.call(helpers::RECIPROCAL_EXPONENT, a, zero, how);
        let r = self.ir.select(nan, quieted, exponent);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }
}

/// `FCMGE`/`FACGE`, or with bit 23 `FCMGT`/`FACGT`.
const fn greater(strictly: bool) -> FloatCc {
    if strictly { FloatCc::Gt } else { FloatCc::Ge }
}

/// The bits of the smallest normal number.
const fn lowest_normal(fs: FSize) -> u64 {
    match fs {
        FSize::F64 => 1 << 52,
        FSize::F32 => 1 << 23,
        FSize::F16 => 1 << 10,
    }
}

/// The bits of positive infinity.
const fn infinity(fs: FSize) -> u64 {
    match fs {
        FSize::F64 => 0x7ff0_0000_0000_0000,
        FSize::F32 => 0x7f80_0000,
        FSize::F16 => 0x7c00,
    }
}
