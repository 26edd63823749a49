//! Advanced SIMD on floating-point lanes.
//!
//! Lanes that an instruction does not have must raise nothing, so operands of 8-byte and of scalar forms
//! are copied into the unused lanes before the operation, which then runs on all 16 bytes.

use super::fp::sign_bit;
use super::fp_convert::{lane_count, power_of_two};
use super::simd::{each, is_scalar, sign};
use super::simd_narrow::half;
use super::{Lifter, X1};
use crate::decode::Insn;
use guest::ir::{ArmFloat, FSize, FloatCc, Inexact, Lane, MinMax, Nans, Round, Val, Width};

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
            (0b011, false, _) => self.lanes_farm(ArmFloat::Mulx, fs, lane_count(insn, fs.lane()), a, b),
            (0b011, true, _) => self.ir.vfmul(X1, fs, a, b),
            (0b100, false, _) => self.ir.vfcmp(X1, FloatCc::Eq, Nans::Quiet, fs, a, b),
            (0b100, true, _) => self.ir.vfcmp(X1, greater(op), Nans::Signal, fs, a, b),
            (0b101, _, _) => {
                let (a, b) = (self.lanes_abs(fs, a), self.lanes_abs(fs, b));
                self.ir.vfcmp(X1, greater(op), Nans::Signal, fs, a, b)
            }
            (0b110, _, _) => self.ir.vfminmax(X1, minmax(true, op), fs, a, b),
            (_, false, false) => self.lanes_farm(ArmFloat::RecipStep, fs, lane_count(insn, fs.lane()), a, b),
            (_, false, true) => self.lanes_farm(ArmFloat::RsqrtStep, fs, lane_count(insn, fs.lane()), a, b),
            (_, true, _) => self.ir.vfdiv(X1, fs, a, b),
        }
    }

    /// An operation that only AArch64 has, lane by lane.
    fn lanes_farm(&mut self, op: ArmFloat, fs: FSize, count: u8, a: Val, b: Val) -> Val {
        let mut r = self.zeros();
        for i in 0..count {
            let x = self.ir.vextract(X1, fs.lane(), i, a);
            let y = self.ir.vextract(X1, fs.lane(), i, b);
            let value = self.ir.farm(op, fs, 0, x, y);
            r = self.ir.vinsert(X1, fs.lane(), i, r, value);
        }
        r
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
            (2, true) => self.lanes_farm(ArmFloat::Mulx, fs, lane_count(insn, fs.lane()), a, b),
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
            return self
                .each_lane(insn, Lane::H, |l, a| l.fixed_to_half(Width::W16, sign(insn), a, fraction));
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
            return self
                .each_lane(insn, Lane::H, |l, a| l.half_to_fixed(Width::W16, sign(insn), a, fraction));
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
        let (mut low, zero) = (self.zeros(), self.imm(0));
        let count = if is_scalar(insn) { 1 } else { 2 };
        for i in 0..count {
            let a = self.ir.vextract(X1, Lane::D, i, whole);
            let odd = self.ir.farm(ArmFloat::ToSingleOdd, FSize::F64, 0, a, zero);
            low = self.ir.vinsert(X1, Lane::S, i, low, odd);
        }
        self.write_low_or_high(insn, low);
    }

    // ---- estimates ----

    /// `FRECPE`, `FRSQRTE`.
    pub fn vector_estimate(&mut self, insn: Insn) {
        let op = if insn.u() { ArmFloat::RsqrtEstimate } else { ArmFloat::RecipEstimate };
        self.each_estimate(insn, op);
    }

    pub fn frecpx(&mut self, insn: Insn) {
        self.each_estimate(insn, ArmFloat::RecipExponent);
    }

    fn each_estimate(&mut self, insn: Insn, op: ArmFloat) {
        let (fs, zero) = (self.fsize(insn), self.imm(0));
        self.each_lane(insn, fs.lane(), |l, a| l.ir.farm(op, fs, 0, a, zero));
    }
}

/// `FCMGE`/`FACGE`, or with bit 23 `FCMGT`/`FACGT`.
const fn greater(strictly: bool) -> FloatCc {
    if strictly { FloatCc::Gt } else { FloatCc::Ge }
}
