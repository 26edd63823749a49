//! Advanced SIMD: integer arithmetic on lanes of one size, and reductions.
//!
//! Scalar forms run on the whole vector like the others; only what is written back, and what may set QC,
//! is cut to the lanes that the instruction has.

use super::{Lifter, X1};
use crate::decode::Insn;
use crate::helpers::{self, LaneOp, lane_imm};
use crate::state::QC;
use guest::ir::{Half, IntCc, Lane, Narrow, Reduce, Sign, Val, Width};

/// The signedness that `U` gives.
pub const fn sign(insn: Insn) -> Sign {
    if insn.u() { Sign::Unsigned } else { Sign::Signed }
}

/// Whether this is the scalar form of a vector instruction.
pub const fn is_scalar(insn: Insn) -> bool {
    insn.bit(28)
}

/// The part of a vector that the instruction has: one lane, the low half, or all.
pub const fn visible(insn: Insn, lane: Lane) -> u128 {
    if is_scalar(insn) {
        return (1 << lane.bits()) - 1;
    }
    if insn.q() { u128::MAX } else { u64::MAX as u128 }
}

/// `value` repeated in every lane.
pub const fn each(lane: Lane, value: u64) -> u128 {
    let mask = (1u128 << lane.bits()) - 1;
    (value as u128 & mask).wrapping_mul(u128::MAX / mask)
}

impl Lifter {
    pub fn cut(&mut self, value: Val, mask: u128) -> Val {
        if mask == u128::MAX {
            return value;
        }
        let mask = self.vector_constant(mask);
        self.ir.vand(X1, value, mask)
    }

    /// Writes Vd, cut to what the instruction has.
    pub fn finish(&mut self, insn: Insn, lane: Lane, value: Val) {
        let value = self.cut(value, visible(insn, lane));
        self.set_v(insn.rd(), value);
    }

    /// Sets QC where a visible bit of `difference` is set.
    pub fn note_saturation(&mut self, difference: Val, mask: u128) {
        let difference = self.cut(difference, mask);
        let old = self.ir.read_vector(X1, QC);
        let merged = self.ir.vor(X1, old, difference);
        self.ir.vput(X1, QC, merged);
    }

    /// Notes where the exact and the saturated result differ.
    fn note_difference(&mut self, insn: Insn, lane: Lane, exact: Val, saturated: Val) {
        let difference = self.ir.vxor(X1, exact, saturated);
        self.note_saturation(difference, visible(insn, lane));
    }

    /// Vd = f(Vn, Vm).
    fn binary(&mut self, insn: Insn, f: impl FnOnce(&mut Self, Lane, Val, Val) -> Val) {
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let r = f(self, insn.lane(), a, b);
        self.finish(insn, insn.lane(), r);
    }

    /// Vd = f(Vn).
    fn unary(&mut self, insn: Insn, f: impl FnOnce(&mut Self, Lane, Val) -> Val) {
        let a = self.v(insn.rn());
        let r = f(self, insn.lane(), a);
        self.finish(insn, insn.lane(), r);
    }

    pub fn zeros(&mut self) -> Val {
        self.vector_constant(0)
    }

    pub fn hadd(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| l.ir.vhadd(X1, lane, sign(insn), a, b));
    }

    pub fn rhadd(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| l.ir.vrhadd(X1, lane, sign(insn), a, b));
    }

    pub fn hsub(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| l.ir.vhsub(X1, lane, sign(insn), a, b));
    }

    pub fn qadd(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| {
            let (exact, r) = (l.ir.vadd(X1, lane, a, b), l.ir.vaddsat(X1, lane, sign(insn), a, b));
            l.note_difference(insn, lane, exact, r);
            r
        });
    }

    pub fn qsub(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| {
            let (exact, r) = (l.ir.vsub(X1, lane, a, b), l.ir.vsubsat(X1, lane, sign(insn), a, b));
            l.note_difference(insn, lane, exact, r);
            r
        });
    }

    /// `AND`, `BIC`, `ORR`, `ORN`.
    pub fn vector_logic(&mut self, insn: Insn) {
        self.binary(insn, |l, _, a, b| match insn.bits(22, 2) {
            0 => l.ir.vand(X1, a, b),
            1 => l.ir.vandnot(X1, a, b),
            2 if a == b => a,
            2 => l.ir.vor(X1, a, b),
            _ => {
                let b = l.ir.vnot(X1, b);
                l.ir.vor(X1, a, b)
            }
        });
    }

    pub fn vector_eor(&mut self, insn: Insn) {
        self.binary(insn, |l, _, a, b| l.ir.vxor(X1, a, b));
    }

    /// `BSL`, `BIT`, `BIF`.
    pub fn bit_select(&mut self, insn: Insn) {
        let old = self.v(insn.rd());
        self.binary(insn, |l, _, a, b| match insn.bits(22, 2) {
            1 => l.ir.vbitsel(X1, old, a, b),
            2 => l.ir.vbitsel(X1, b, a, old),
            _ => l.ir.vbitsel(X1, b, old, a),
        });
    }

    /// `CMGT`, `CMHI`, `CMGE`, `CMHS`.
    pub fn cm_greater(&mut self, insn: Insn) {
        let cc = match (insn.u(), insn.bit(11)) {
            (false, false) => IntCc::Sgt,
            (true, false) => IntCc::Ugt,
            (false, true) => IntCc::Sge,
            (true, true) => IntCc::Uge,
        };
        self.binary(insn, |l, lane, a, b| l.ir.vicmp(X1, lane, cc, a, b));
    }

    pub fn cmtst_cmeq(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| {
            if insn.u() {
                return l.ir.vicmp(X1, lane, IntCc::Eq, a, b);
            }
            let (common, zero) = (l.ir.vand(X1, a, b), l.zeros());
            l.ir.vicmp(X1, lane, IntCc::Ne, common, zero)
        });
    }

    /// Comparisons with zero.
    pub fn cm_zero(&mut self, insn: Insn) {
        let cc = match (insn.bits(12, 2), insn.u()) {
            (0, false) => IntCc::Sgt,
            (0, true) => IntCc::Sge,
            (1, false) => IntCc::Eq,
            (1, true) => IntCc::Sle,
            _ => IntCc::Slt,
        };
        self.unary(insn, |l, lane, a| {
            let zero = l.zeros();
            l.ir.vicmp(X1, lane, cc, a, zero)
        });
    }

    pub fn vector_minmax(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| l.lane_minmax(insn, lane, a, b));
    }

    /// Maximum, or with bit 11 minimum.
    fn lane_minmax(&mut self, insn: Insn, lane: Lane, a: Val, b: Val) -> Val {
        if insn.bit(11) {
            self.ir.vmin(X1, lane, sign(insn), a, b)
        } else {
            self.ir.vmax(X1, lane, sign(insn), a, b)
        }
    }

    pub fn absolute_difference(&mut self, lane: Lane, sign: Sign, a: Val, b: Val) -> Val {
        let (max, min) = (self.ir.vmax(X1, lane, sign, a, b), self.ir.vmin(X1, lane, sign, a, b));
        self.ir.vsub(X1, lane, max, min)
    }

    /// `SABD`, `UABD`, and with bit 11 `SABA`, `UABA`.
    pub fn abd(&mut self, insn: Insn) {
        let old = self.v(insn.rd());
        self.binary(insn, |l, lane, a, b| {
            let difference = l.absolute_difference(lane, sign(insn), a, b);
            if insn.bit(11) { l.ir.vadd(X1, lane, old, difference) } else { difference }
        });
    }

    pub fn vector_add_sub(&mut self, insn: Insn) {
        self.binary(
            insn,
            |l, lane, a, b| {
                if insn.u() { l.ir.vsub(X1, lane, a, b) } else { l.ir.vadd(X1, lane, a, b) }
            },
        );
    }

    /// `MLA`, `MLS`.
    pub fn mla(&mut self, insn: Insn) {
        let old = self.v(insn.rd());
        self.binary(insn, |l, lane, a, b| {
            let product = l.ir.vmul(X1, lane, a, b);
            if insn.u() { l.ir.vsub(X1, lane, old, product) } else { l.ir.vadd(X1, lane, old, product) }
        });
    }

    pub fn vector_mul(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| l.ir.vmul(X1, lane, a, b));
    }

    /// A lane operation that only a helper has.
    pub fn lanes(&mut self, op: LaneOp, lane: Lane, sign: Sign, a: Val, b: Val, c: Val) -> Val {
        self.ir.call_vec(X1, helpers::LANES, a, b, c, lane_imm(op, lane, sign))
    }

    /// The same where lanes may saturate: sets QC.
    pub fn lanes_with_qc(
        &mut self,
        insn: Insn,
        op: LaneOp,
        lane: Lane,
        sign: Sign,
        (a, b, c): (Val, Val, Val),
    ) -> Val {
        let imm = lane_imm(op, lane, sign);
        let saturated = self.ir.call_vec(X1, helpers::LANES_SATURATED, a, b, c, imm);
        self.note_saturation(saturated, visible(insn, lane));
        self.ir.call_vec(X1, helpers::LANES, a, b, c, imm)
    }

    pub fn pmul(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| l.lanes(LaneOp::PolynomialMul, lane, Sign::Unsigned, a, b, a));
    }

    pub fn sqdmulh(&mut self, insn: Insn) {
        let op = if insn.u() { LaneOp::DoublingMulHighRounding } else { LaneOp::DoublingMulHigh };
        self.binary(insn, |l, lane, a, b| l.lanes_with_qc(insn, op, lane, Sign::Signed, (a, b, a)));
    }

    /// `SQRDMLAH`, `SQRDMLSH`.
    pub fn sqrdmlah(&mut self, insn: Insn) {
        let old = self.v(insn.rd());
        let op = if insn.bit(11) { LaneOp::DoublingMulSubHigh } else { LaneOp::DoublingMulAddHigh };
        self.binary(insn, |l, lane, a, b| l.lanes_with_qc(insn, op, lane, Sign::Signed, (a, b, old)));
    }

    pub fn suqadd(&mut self, insn: Insn) {
        let op = if insn.u() { LaneOp::AddSignedToUnsigned } else { LaneOp::AddUnsignedToSigned };
        let old = self.v(insn.rd());
        self.unary(insn, |l, lane, b| l.lanes_with_qc(insn, op, lane, Sign::Signed, (old, b, old)));
    }

    /// `SQABS`, `SQNEG`: zero minus a value that is never positive, or minus the operand.
    pub fn sqabs(&mut self, insn: Insn) {
        self.unary(insn, |l, lane, a| {
            let zero = l.zeros();
            let operand = if insn.u() {
                a
            } else {
                let negated = l.ir.vneg(X1, lane, a);
                l.ir.vmin(X1, lane, Sign::Signed, a, negated)
            };
            let exact = l.ir.vsub(X1, lane, zero, operand);
            let r = l.ir.vsubsat(X1, lane, Sign::Signed, zero, operand);
            l.note_difference(insn, lane, exact, r);
            r
        });
    }

    pub fn vector_abs_neg(&mut self, insn: Insn) {
        self.unary(insn, |l, lane, a| if insn.u() { l.ir.vneg(X1, lane, a) } else { l.ir.vabs(X1, lane, a) });
    }

    /// `CLS`, `CLZ`, `CNT`.
    pub fn vector_count(&mut self, insn: Insn) {
        self.unary(insn, |l, lane, a| match (insn.bit(12), insn.u()) {
            (true, _) => l.ir.vpopcnt(X1, lane, a),
            (false, true) => l.ir.vclz(X1, lane, a),
            (false, false) => {
                let one = l.imm(1);
                let shifted = l.ir.vsar(X1, lane, a, one);
                let changes = l.ir.vxor(X1, a, shifted);
                let (zeros, ones) = (l.ir.vclz(X1, lane, changes), l.vector_constant(each(lane, 1)));
                l.ir.vsub(X1, lane, zeros, ones)
            }
        });
    }

    pub fn vector_not(&mut self, insn: Insn) {
        self.unary(insn, |l, _, a| l.ir.vnot(X1, a));
    }

    pub fn vector_rbit(&mut self, insn: Insn) {
        self.unary(insn, |l, _, a| l.lanes(LaneOp::BitReverse, Lane::B, Sign::Unsigned, a, a, a));
    }

    /// `URECPE`, `URSQRTE`.
    pub fn unsigned_estimate(&mut self, insn: Insn) {
        let op = if insn.u() { LaneOp::ReciprocalSqrtEstimate } else { LaneOp::ReciprocalEstimate };
        self.unary(insn, |l, lane, a| l.lanes(op, lane, Sign::Unsigned, a, a, a));
    }

    /// `SADDLP`, `UADDLP`, and with bit 14 `SADALP`, `UADALP`: sums of neighbours.
    pub fn addlp(&mut self, insn: Insn) {
        let Some(wide) = insn.lane().wider() else { return };
        let old = self.v(insn.rd());
        let a = self.v(insn.rn());
        let half = self.imm(u64::from(insn.lane().bits()));
        let up = self.ir.vshl(X1, wide, a, half);
        let (even, odd) = match sign(insn) {
            Sign::Signed => (self.ir.vsar(X1, wide, up, half), self.ir.vsar(X1, wide, a, half)),
            Sign::Unsigned => (self.ir.vshr(X1, wide, up, half), self.ir.vshr(X1, wide, a, half)),
        };
        let sum = self.ir.vadd(X1, wide, even, odd);
        let r = if insn.bit(14) { self.ir.vadd(X1, wide, old, sum) } else { sum };
        self.set_v_q(insn, r);
    }

    pub fn addp(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| {
            let (even, odd) = l.unzip(insn, lane, a, b);
            l.ir.vadd(X1, lane, even, odd)
        });
    }

    pub fn minmax_pairwise(&mut self, insn: Insn) {
        self.binary(insn, |l, lane, a, b| {
            let (even, odd) = l.unzip(insn, lane, a, b);
            l.lane_minmax(insn, lane, even, odd)
        });
    }

    pub fn addp_scalar(&mut self, insn: Insn) {
        let a = self.v(insn.rn());
        let sum = self.ir.vreduce(X1, Lane::D, Reduce::Add, a);
        self.set_v_scalar(insn.rd(), Width::W64, sum);
    }

    pub fn addlv(&mut self, insn: Insn) {
        let Some(wide) = insn.lane().wider() else { return };
        let a = self.v(insn.rn());
        let low = self.ir.vwiden(X1, insn.lane(), sign(insn), Half::Low, a);
        let sums = if insn.q() {
            let high = self.ir.vwiden(X1, insn.lane(), sign(insn), Half::High, a);
            self.ir.vadd(X1, wide, low, high)
        } else {
            low
        };
        let sum = self.ir.vreduce(X1, wide, Reduce::Add, sums);
        self.set_v_scalar(insn.rd(), Width::W64, sum);
    }

    pub fn addv(&mut self, insn: Insn) {
        let a = self.v(insn.rn());
        let a = self.cut(a, visible(insn, insn.lane()));
        let sum = self.ir.vreduce(X1, insn.lane(), Reduce::Add, a);
        self.set_v_scalar(insn.rd(), Width::W64, sum);
    }

    /// `SMAXV`, `UMAXV`, and with bit 16 `SMINV`, `UMINV`.
    pub fn minmaxv(&mut self, insn: Insn) {
        let op = match (insn.bit(16), insn.u()) {
            (false, false) => Reduce::Smax,
            (false, true) => Reduce::Umax,
            (true, false) => Reduce::Smin,
            (true, true) => Reduce::Umin,
        };
        let a = self.v_doubled(insn, insn.rn());
        let r = self.ir.vreduce(X1, insn.lane(), op, a);
        self.set_v_scalar(insn.rd(), Width::W64, r);
    }

    /// A source vector whose upper half, where `Q` says there is none, repeats the lower.
    pub fn v_doubled(&mut self, insn: Insn, n: u16) -> Val {
        if insn.q() {
            return self.v(n);
        }
        let low = self.v_low(Width::W64, n);
        self.ir.vpair(X1, low, low)
    }

    /// Narrows lanes of `wide` size as `XTN` and the like write them: into the low half with zeros
    /// above, or with `Q` into the high half.
    pub fn write_narrowed(&mut self, insn: Insn, wide: Lane, how: Narrow, value: Val) -> Val {
        let zero = self.zeros();
        let low = self.ir.vnarrow(X1, wide, how, value, zero);
        let written = match (is_scalar(insn), insn.q(), wide.narrower()) {
            (true, _, Some(narrow)) => self.cut(low, (1 << narrow.bits()) - 1),
            (false, true, _) => {
                let old = self.v_low(Width::W64, insn.rd());
                let new = self.ir.vextract(X1, Lane::D, 0, low);
                self.ir.vpair(X1, old, new)
            }
            _ => low,
        };
        self.set_v(insn.rd(), written);
        low
    }
}
