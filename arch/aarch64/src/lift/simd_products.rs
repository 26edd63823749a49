//! Sums of products: dot products, small matrices, complex numbers, products that widen.

use super::simd::{each, sign, visible};
use super::{Lifter, X1};
use crate::decode::Insn;
use crate::fpenv;
use crate::helpers::{self, BfOp, LaneOp, lane_imm};
use guest::ir::{ArmFloat, FSize, Half, IntCc, Lane, Sign, Val, Width};

impl Lifter {
    // ---- bytes ----

    /// Adjacent sums of the lanes of a:b.
    fn pairwise_sums(&mut self, a: Val, b: Val) -> Val {
        let lane = |e: usize| (e % 4 * 4..e % 4 * 4 + 4).map(move |byte| (e / 4 * 16 + byte) as u8);
        let index = |odd: usize| {
            let bytes: Vec<u8> = (0..4).flat_map(|e| lane(2 * e + odd)).collect();
            bytes.iter().rev().fold(0u128, |bits, &byte| bits << 8 | u128::from(byte))
        };
        let (even, odd) = (self.vector_constant(index(0)), self.vector_constant(index(1)));
        let (even, odd) = (self.ir.vshuffle(X1, a, b, even), self.ir.vshuffle(X1, a, b, odd));
        self.ir.vadd(X1, Lane::S, even, odd)
    }

    /// Products of the bytes of one half each, summed in pairs.
    fn byte_products(
        &mut self,
        (a, a_sign, a_half): (Val, Sign, Half),
        (b, b_sign, b_half): (Val, Sign, Half),
    ) -> Val {
        let a = self.ir.vwiden(X1, Lane::B, a_sign, a_half, a);
        let b = self.ir.vwiden(X1, Lane::B, b_sign, b_half, b);
        self.ir.vmaddw(X1, a, b)
    }

    /// Vd plus the sums of four products of bytes each.
    fn dot_with(&mut self, insn: Insn, a_sign: Sign, b: Val, b_sign: Sign) {
        let a = self.v(insn.rn());
        let [low, high] =
            [Half::Low, Half::High].map(|half| self.byte_products((a, a_sign, half), (b, b_sign, half)));
        let sums = self.pairwise_sums(low, high);
        let old = self.v(insn.rd());
        let r = self.ir.vadd(X1, Lane::S, old, sums);
        self.finish(insn, Lane::S, r);
    }

    pub fn dot(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.dot_with(insn, sign(insn), b, sign(insn));
    }

    pub fn dot_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, Lane::S);
        self.dot_with(insn, sign(insn), b, sign(insn));
    }

    pub fn usdot(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.dot_with(insn, Sign::Unsigned, b, Sign::Signed);
    }

    /// `USDOT`, or with bit 23 clear `SUDOT`.
    pub fn usdot_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, Lane::S);
        let (first, second) =
            if insn.bit(23) { (Sign::Unsigned, Sign::Signed) } else { (Sign::Signed, Sign::Unsigned) };
        self.dot_with(insn, first, b, second);
    }

    /// `SMMLA`, `UMMLA`, `USMMLA`: a 2x2 matrix plus the product of a 2x8 and an 8x2 matrix of bytes.
    pub fn matrix_of_bytes(&mut self, insn: Insn) {
        let (a_sign, b_sign) =
            if insn.bit(11) { (Sign::Unsigned, Sign::Signed) } else { (sign(insn), sign(insn)) };
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let rows = [Half::Low, Half::High].map(|row| {
            let [left, right] = [Half::Low, Half::High]
                .map(|column| self.byte_products((a, a_sign, row), (b, b_sign, column)));
            self.pairwise_sums(left, right)
        });
        let sums = self.pairwise_sums(rows[0], rows[1]);
        let old = self.v(insn.rd());
        let r = self.ir.vadd(X1, Lane::S, old, sums);
        self.set_v(insn.rd(), r);
    }

    // ---- brain floats ----

    fn bf(&mut self, insn: Insn, op: BfOp, b: Val) {
        let (old, a) = (self.v(insn.rd()), self.v(insn.rn()));
        let r = self.ir.call_vec(X1, helpers::BFLOAT, old, a, b, op as u32);
        self.finish(insn, Lane::S, r);
    }

    /// Single precision to a brain float.
    fn bfloat_from(&mut self, a: Val) -> Val {
        let zero = self.imm(0);
        self.ir.farm(ArmFloat::ToBrain, FSize::F32, 0, a, zero)
    }

    pub fn bfcvt(&mut self, insn: Insn) {
        let a = self.f(FSize::F32, insn.rn());
        let r = self.bfloat_from(a);
        self.set_v_scalar(insn.rd(), Width::W16, r);
    }

    /// Four lanes to the low half, or with `Q` to the high one.
    pub fn bfcvtn(&mut self, insn: Insn) {
        let (whole, mut low) = (self.v(insn.rn()), self.zeros());
        for i in 0..4 {
            let a = self.ir.vextract(X1, Lane::S, i, whole);
            let r = self.bfloat_from(a);
            low = self.ir.vinsert(X1, Lane::H, i, low, r);
        }
        self.write_low_or_high(insn, low);
    }

    pub fn bfdot(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.bf(insn, BfOp::Dot, b);
    }

    pub fn bfdot_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, Lane::S);
        self.bf(insn, BfOp::Dot, b);
    }

    pub fn bfmmla(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.bf(insn, BfOp::Matrix, b);
    }

    /// The even or, with `Q`, the odd lanes as single precision, multiplied and added, rounded once.
    fn bfmlal_with(&mut self, insn: Insn, b: Val) {
        let (a, c) = (self.v(insn.rn()), self.v(insn.rd()));
        let (a, b) = (self.bf_lanes(a, insn.q()), self.bf_lanes(b, insn.q()));
        let r = self.ir.vfma(X1, FSize::F32, a, b, c);
        self.set_v(insn.rd(), r);
    }

    fn bf_lanes(&mut self, a: Val, odd: bool) -> Val {
        if odd {
            let top = self.vector_constant(each(Lane::S, 0xffff_0000));
            return self.ir.vand(X1, a, top);
        }
        let count = self.imm(16);
        self.ir.vshl(X1, Lane::S, a, count)
    }

    pub fn bfmlal(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.bfmlal_with(insn, b);
    }

    pub fn bfmlal_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, Lane::H);
        self.bfmlal_with(insn, b);
    }

    // ---- half precision to single ----

    /// Half-precision lanes as single-precision bits; signalling NaNs stay signalling, so that the fused
    /// operation sees them.
    fn half_bits_widened(&mut self, a: Val) -> Val {
        let zero = self.zeros();
        self.ir.call_vec(
            X1,
            helpers::LANES,
            a,
            zero,
            zero,
            lane_imm(LaneOp::HalfToSingle, Lane::S, Sign::Signed),
        )
    }

    /// Vd plus or minus the products of half-precision lanes: those of the lower half of Vn, or of the upper.
    fn fmlal_with(&mut self, insn: Insn, subtract: bool, b: Val) {
        let c = self.vf(insn, FSize::F32, insn.rd());
        let a = self.v(insn.rn());
        let [a, b] = [a, b].map(|x| {
            let part = self.part_of_halves(insn, x);
            let part = if self.fpcr & fpenv::FZ16 != 0 { self.halves_flushed(part) } else { part };
            self.half_bits_widened(part)
        });
        let a = if subtract { self.lanes_negate(FSize::F32, a) } else { a };
        let r = self.ir.vfma(X1, FSize::F32, a, b, c);
        self.finish(insn, Lane::S, r);
    }

    /// Denormal halves as zeros, which raises nothing.
    fn halves_flushed(&mut self, a: Val) -> Val {
        let (exponents, signs) =
            (self.vector_constant(each(Lane::H, 0x7c00)), self.vector_constant(each(Lane::H, 0x8000)));
        let (exponent, zero) = (self.ir.vand(X1, a, exponents), self.zeros());
        let small = self.ir.vicmp(X1, Lane::H, IntCc::Eq, exponent, zero);
        let sign = self.ir.vand(X1, a, signs);
        self.ir.vbitsel(X1, small, sign, a)
    }

    /// The half-precision lanes that the instruction takes, as the low ones, those that it lacks repeated.
    fn part_of_halves(&mut self, insn: Insn, a: Val) -> Val {
        let (lane, index) =
            if insn.q() { (Lane::D, u8::from(insn.u())) } else { (Lane::S, u8::from(insn.u())) };
        let part = self.ir.vextract(X1, lane, index, a);
        self.ir.vsplat(X1, lane, part)
    }

    /// `FMLAL`, `FMLSL`, and with `U` the forms on the upper half.
    pub fn fmlal(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.fmlal_with(insn, insn.bit(23), b);
    }

    pub fn fmlal_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, Lane::H);
        self.fmlal_with(insn, insn.bit(14), b);
    }

    // ---- complex numbers ----

    /// Lanes of `a` at the places that `from` gives for each.
    fn arranged(&mut self, lane: Lane, a: Val, from: impl Fn(usize) -> usize) -> Val {
        let bytes = lane.bytes();
        let index = (0..16)
            .rev()
            .fold(0u128, |bits, byte| bits << 8 | (from(byte / bytes) * bytes + byte % bytes) as u128);
        let index = self.vector_constant(index);
        self.ir.vshuffle(X1, a, a, index)
    }

    /// A constant with the sign bits of the even lanes, of the odd ones, or of both.
    fn signs(&mut self, fs: FSize, even: bool, odd: bool) -> Val {
        let bits = fs.lane().bits();
        let sign = |set: bool| u128::from(set) << (bits - 1);
        let pair = sign(even) | sign(odd) << bits;
        let unit = (0..128).step_by(2 * bits as usize).fold(0, |unit, at| unit | pair << at);
        self.vector_constant(unit)
    }

    /// Vd plus the part of Vn times Vm that a rotation by 0, 90, 180 or 270 degrees takes.
    fn fcmla_with(&mut self, insn: Insn, rotation: u32, b: Val) {
        let fs = self.complex_size(insn);
        let (a, c) = (self.vf(insn, fs, insn.rn()), self.vf(insn, fs, insn.rd()));
        let odd = (rotation & 1) as usize;
        let a = self.arranged(fs.lane(), a, |i| i & !1 | odd);
        let b = if odd == 1 { self.arranged(fs.lane(), b, |i| i ^ 1) } else { b };
        let signs = self.signs(fs, matches!(rotation, 1 | 2), rotation >= 2);
        let b = self.ir.vxor(X1, b, signs);
        let r = self.ir.vfma(X1, fs, a, b, c);
        self.finish(insn, fs.lane(), r);
    }

    const fn complex_size(&self, insn: Insn) -> FSize {
        match (self.half, insn.bits(22, 2)) {
            (true, _) => FSize::F16,
            (_, 3) => FSize::F64,
            _ => FSize::F32,
        }
    }

    pub fn fcmla(&mut self, insn: Insn) {
        let fs = self.complex_size(insn);
        let b = self.vf(insn, fs, insn.rm());
        self.fcmla_with(insn, insn.bits(11, 2), b);
    }

    pub fn fcmla_by_element(&mut self, insn: Insn) {
        let (h, l) = (insn.bits(11, 1), insn.bits(21, 1));
        let (lane, index) = if self.half { (Lane::S, h << 1 | l) } else { (Lane::D, h) };
        let whole = self.v(insn.rm());
        let pair = self.ir.vextract(X1, lane, index as u8, whole);
        let b = self.ir.vsplat(X1, lane, pair);
        self.fcmla_with(insn, insn.bits(13, 2), b);
    }

    /// Vn plus Vm turned by 90 or 270 degrees.
    pub fn fcadd(&mut self, insn: Insn) {
        let fs = self.complex_size(insn);
        let (a, b) = (self.vf(insn, fs, insn.rn()), self.vf(insn, fs, insn.rm()));
        let swapped = self.arranged(fs.lane(), b, |i| i ^ 1);
        let signs = self.signs(fs, !insn.bit(12), insn.bit(12));
        let b = self.ir.vxor(X1, swapped, signs);
        let r = self.ir.vfadd(X1, fs, a, b);
        let r = self.cut(r, visible(insn, fs.lane()));
        self.set_v(insn.rd(), r);
    }
}
