//! Conversions between floats and integers or fixed-point numbers.

use super::{Lifter, X1};
use crate::decode::Insn;
use guest::ir::{FSize, FloatCc, IntCc, Nans, Overflow, Round, Sign, Val};

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
        _ => ((127 + exponent) as u64) << 23,
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

    pub fn fixed_to_fp(&mut self, insn: Insn) {
        let (fs, fraction) = (insn.ftype(), 64 - i64::from(insn.bits(10, 6)));
        let a = self.x(insn.rn());
        let r = self.ir.itof(fs, insn.sf(), sign(insn), a);
        let scale = self.imm(power_of_two(fs, -fraction));
        let r = self.ir.fmul(fs, r, scale);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    pub fn fp_to_fixed(&mut self, insn: Insn) {
        let (fs, fraction) = (insn.ftype(), 64 - i64::from(insn.bits(10, 6)));
        let a = self.f(fs, insn.rn());
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

    /// Converts lanes to saturated integers.
    pub fn lanes_to_int(&mut self, fs: FSize, sign: Sign, mode: Round, a: Val) -> Val {
        self.ir.vftoi(X1, fs, sign, mode, Overflow::Saturate, a)
    }

    /// `a` where `c` holds, else a value for which the op that follows raises nothing.
    pub fn only_where(&mut self, c: Val, a: Val, neutral: u64) -> Val {
        let neutral = self.imm(neutral);
        self.ir.select(c, a, neutral)
    }

    /// 1 where the float is a NaN; raises Invalid for a signalling one.
    pub fn is_nan(&mut self, fs: FSize, a: Val) -> Val {
        self.ir.fcmp(FloatCc::Uno, Nans::Quiet, fs, a, a)
    }
}
