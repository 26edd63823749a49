//! Conversions between floats and integers or fixed-point numbers.

use super::simd::is_scalar;
use super::{Lifter, X1};
use crate::decode::Insn;
use crate::helpers;
use guest::ir::{ArmFloat, FSize, Inexact, IntCc, Lane, Overflow, Round, Sign, Val, Width, flag};

/// The rounding mode that `rmode` (bits 20:19) names.
const fn rmode(insn: Insn) -> Round {
    match insn.bits(19, 2) {
        0 => Round::Nearest,
        1 => Round::Up,
        2 => Round::Down,
        _ => Round::Zero,
    }
}

/// Bit 16 of these encodings: unsigned.
const fn sign(insn: Insn) -> Sign {
    if insn.bit(16) { Sign::Unsigned } else { Sign::Signed }
}

/// The bits of 2^`exponent`.
pub fn power_of_two(fs: FSize, exponent: i64) -> u64 {
    match fs {
        FSize::F64 => ((1023 + exponent) as u64) << 52,
        FSize::F32 => ((127 + exponent) as u64) << 23,
        FSize::F16 => ((15 + exponent) as u64) << 10,
    }
}

impl Lifter {
    pub fn fp_to_int(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let a = self.f(fs, insn.rn());
        let mode = if insn.bit(18) { Round::Away } else { rmode(insn) };
        let r = self.ir.ftoi(fs, insn.sf(), sign(insn), mode, Overflow::Saturate, a);
        self.set_x(insn.rd(), r);
    }

    pub fn int_to_fp(&mut self, insn: Insn) {
        let a = self.x(insn.rn());
        let fs = insn.ftype();
        let r = self.ir.itof(fs, insn.sf(), sign(insn), a);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    /// The immediate of the fixed-point ops on halves.
    fn fixed_form(w: Width, sign: Sign, fraction: i64) -> u32 {
        fraction as u32 | u32::from(sign == Sign::Signed) << 8 | (w as u32) << 10
    }

    /// An integer times 2^-fraction in half precision.
    pub fn fixed_to_half(&mut self, w: Width, sign: Sign, a: Val, fraction: i64) -> Val {
        let zero = self.imm(0);
        let form = Self::fixed_form(w, sign, fraction);
        self.ir.farm(ArmFloat::FixedToHalf, FSize::F16, form, a, zero)
    }

    /// A half-precision number times 2^fraction as an integer.
    pub fn half_to_fixed(&mut self, w: Width, sign: Sign, a: Val, fraction: i64) -> Val {
        let zero = self.imm(0);
        let form = Self::fixed_form(w, sign, fraction);
        self.ir.farm(ArmFloat::HalfToFixed, FSize::F16, form, a, zero)
    }

    /// Vd = f of each lane of Vn.
    pub fn each_lane(&mut self, insn: Insn, lane: Lane, mut f: impl FnMut(&mut Self, Val) -> Val) {
        let count = lane_count(insn, lane);
        let whole = self.v(insn.rn());
        let mut result = self.zeros();
        for i in 0..count {
            let a = self.ir.vextract(X1, lane, i, whole);
            let r = f(self, a);
            result = self.ir.vinsert(X1, lane, i, result, r);
        }
        self.set_v(insn.rd(), result);
    }

    pub fn fixed_to_fp(&mut self, insn: Insn) {
        let (fs, fraction) = (insn.ftype(), 64 - i64::from(insn.bits(10, 6)));
        let a = self.x(insn.rn());
        if fs == FSize::F16 {
            let r = self.fixed_to_half(insn.sf(), sign(insn), a, fraction);
            return self.set_v_scalar(insn.rd(), fs.width(), r);
        }
        let r = self.ir.itof(fs, insn.sf(), sign(insn), a);
        let scale = self.imm(power_of_two(fs, -fraction));
        let r = self.ir.fmul(fs, r, scale);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    pub fn fp_to_fixed(&mut self, insn: Insn) {
        let (fs, fraction) = (insn.ftype(), 64 - i64::from(insn.bits(10, 6)));
        let a = self.f(fs, insn.rn());
        if fs == FSize::F16 {
            let r = self.half_to_fixed(insn.sf(), sign(insn), a, fraction);
            return self.set_x(insn.rd(), r);
        }
        let scaled = self.scale_for_fixed(fs, a, fraction);
        let r = self.ir.ftoi(fs, insn.sf(), sign(insn), Round::Zero, Overflow::Saturate, scaled);
        self.set_x(insn.rd(), r);
    }

    /// `a` times 2^fraction, but `a` itself where it is too large to fit an integer anyway, so that the
    /// product never overflows: only Invalid may be raised for it.
    fn scale_for_fixed(&mut self, fs: FSize, a: Val, fraction: i64) -> Val {
        let w = fs.width();
        let (one, limit) = (self.imm(1), self.imm(power_of_two(fs, 64) << 1));
        let magnitude = self.ir.shl(w, a, one);
        let large = self.ir.icmp(IntCc::Uge, w, magnitude, limit);
        let (unit, scale) = (self.imm(power_of_two(fs, 0)), self.imm(power_of_two(fs, fraction)));
        let factor = self.ir.select(large, unit, scale);
        self.ir.fmul(fs, a, factor)
    }

    /// The same on lanes.
    pub fn scale_lanes_for_fixed(&mut self, fs: FSize, a: Val, fraction: i64) -> Val {
        let lane = fs.lane();
        let splat = |l: &mut Self, bits| l.vector_constant(super::simd::each(lane, bits));
        let (one, limit) = (self.imm(1), splat(self, power_of_two(fs, 64) << 1));
        let magnitude = self.ir.vshl(X1, lane, a, one);
        let large = self.ir.vicmp(X1, lane, IntCc::Uge, magnitude, limit);
        let (unit, scale) = (splat(self, power_of_two(fs, 0)), splat(self, power_of_two(fs, fraction)));
        let factor = self.ir.vbitsel(X1, large, unit, scale);
        self.ir.vfmul(X1, fs, a, factor)
    }

    /// `FJCVTZS`: as JavaScript converts, modulo 2^32. Z tells that the value was an exact integer.
    pub fn fjcvtzs(&mut self, insn: Insn) {
        let a = self.f(FSize::F64, insn.rn());
        let zero = self.imm(0);
        // Raises what the conversion raises.
        let converted =
            self.ir.ftoi(FSize::F64, Width::W32, Sign::Signed, Round::Zero, Overflow::Saturate, a);
        let r = self.ir.call(helpers::TO_INT32_MODULO, a, zero, zero);
        let back = self.ir.sext(Width::W32, r);
        let same = self.ir.icmp(IntCc::Eq, Width::W32, converted, r);
        let back = self.ir.itof(FSize::F64, Width::W64, Sign::Signed, back);
        let exact = self.ir.icmp(IntCc::Eq, Width::W64, back, a);
        let exact = self.ir.and(Width::W64, exact, same);
        let place = self.imm(u64::from(flag::Z.trailing_zeros()));
        let flags = self.ir.shl(Width::W64, exact, place);
        self.ir.put_flags(flags);
        self.set_x(insn.rd(), r);
    }

    /// `FRINT32Z`, `FRINT32X`, `FRINT64Z`, `FRINT64X`.
    pub fn frint_to_size(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let a = self.f(fs, insn.rn());
        let w = if insn.bit(16) { Width::W64 } else { Width::W32 };
        let r = self.round_to_size(fs, w, insn.bit(15), a);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    pub fn vector_frint_to_size(&mut self, insn: Insn) {
        let fs = self.fsize(insn);
        let w = if insn.bit(12) { Width::W64 } else { Width::W32 };
        self.each_lane(insn, fs.lane(), |l, a| l.round_to_size(fs, w, insn.u(), a));
    }

    /// `FPRoundIntN`: what does not fit a signed integer of `w` bits, and a NaN, gives the most negative one
    /// and Invalid alone. Fitting values round to zero, or with `current` as FPCR says.
    fn round_to_size(&mut self, fs: FSize, w: Width, current: bool, a: Val) -> Val {
        let mode = if current { Round::Current } else { Round::Zero };
        let most = power_of_two(fs, i64::from(w.bits()) - 1);
        let lowest = self.imm(most | super::fp::sign_bit(fs));
        // The conversion raises Invalid where the number does not fit, Inexact where it is not integral.
        let integer = self.ir.ftoi(fs, w, Sign::Signed, mode, Overflow::Indefinite, a);
        let indefinite = self.imm(w.sign_bit());
        let bad = self.ir.icmp(IntCc::Eq, w, integer, indefinite);
        let neutral = self.ir.select(bad, lowest, a);
        let rounded = self.ir.fround(fs, mode, Inexact::Suppress, neutral);
        self.ir.select(bad, lowest, rounded)
    }

    /// Converts lanes to saturated integers.
    pub fn lanes_to_int(&mut self, fs: FSize, sign: Sign, mode: Round, a: Val) -> Val {
        self.ir.vftoi(X1, fs, sign, mode, Overflow::Saturate, a)
    }
}

/// Lanes that the instruction has.
pub fn lane_count(insn: Insn, lane: Lane) -> u8 {
    match (is_scalar(insn), insn.q()) {
        (true, _) => 1,
        (_, q) => (if q { 16 } else { 8 }) / lane.bytes() as u8,
    }
}
