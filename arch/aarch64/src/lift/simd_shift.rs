//! Advanced SIMD shifts.

use super::simd::{each, sign};
use super::{Lifter, X1};
use crate::decode::{Insn, lane};
use crate::helpers::{self, LaneOp, lane_imm};
use guest::ir::{Lane, Narrow, Sign, Val};

/// The lane size that `immh` gives (for narrowing and lengthening shifts, the smaller one).
fn shift_lane(insn: Insn) -> Lane {
    lane(insn.bits(19, 4).max(1).ilog2())
}

fn right_count(insn: Insn) -> u32 {
    2 * shift_lane(insn).bits() - insn.bits(16, 7)
}

fn left_count(insn: Insn) -> u32 {
    insn.bits(16, 7) - shift_lane(insn).bits()
}

impl Lifter {
    fn shift_lanes_right(&mut self, lane: Lane, sign: Sign, value: Val, count: u32) -> Val {
        if count >= lane.bits() && sign == Sign::Unsigned {
            return self.zeros();
        }
        let count = self.imm(u64::from(count.min(lane.bits() - 1)));
        match sign {
            Sign::Signed => self.ir.vsar(X1, lane, value, count),
            Sign::Unsigned => self.ir.vshr(X1, lane, value, count),
        }
    }

    /// Shifts right and adds the last bit shifted out.
    fn shift_rounding(&mut self, lane: Lane, sign: Sign, value: Val, count: u32) -> Val {
        let shifted = self.shift_lanes_right(lane, sign, value, count);
        let last = self.shift_lanes_right(lane, Sign::Unsigned, value, count - 1);
        let one = self.vector_constant(each(lane, 1));
        let last = self.ir.vand(X1, last, one);
        self.ir.vadd(X1, lane, shifted, last)
    }

    /// `SSHR`, `SSRA`, `SRSHR`, `SRSRA` and the unsigned ones.
    pub fn shift_right(&mut self, insn: Insn) {
        let (lane, count) = (shift_lane(insn), right_count(insn));
        let value = self.v(insn.rn());
        let shifted = if insn.bit(13) {
            self.shift_rounding(lane, sign(insn), value, count)
        } else {
            self.shift_lanes_right(lane, sign(insn), value, count)
        };
        let r = if insn.bit(12) {
            let old = self.v(insn.rd());
            self.ir.vadd(X1, lane, old, shifted)
        } else {
            shifted
        };
        self.finish(insn, lane, r);
    }

    fn shift_lanes_left(&mut self, lane: Lane, value: Val, count: u32) -> Val {
        if count == 0 {
            return value;
        }
        let count = self.imm(u64::from(count));
        self.ir.vshl(X1, lane, value, count)
    }

    pub fn shift_left(&mut self, insn: Insn) {
        let lane = shift_lane(insn);
        let value = self.v(insn.rn());
        let r = self.shift_lanes_left(lane, value, left_count(insn));
        self.finish(insn, lane, r);
    }

    /// `SRI`, `SLI`: the bits that the shift leaves free stay as they were.
    pub fn shift_insert(&mut self, insn: Insn) {
        let lane = shift_lane(insn);
        let (value, old) = (self.v(insn.rn()), self.v(insn.rd()));
        let all = lane.width().mask();
        let (shifted, written) = if insn.bit(12) {
            let count = left_count(insn);
            (self.shift_lanes_left(lane, value, count), all << count & all)
        } else {
            let count = right_count(insn);
            let written = all.checked_shr(count).unwrap_or(0);
            (self.shift_lanes_right(lane, Sign::Unsigned, value, count), written)
        };
        let mask = self.vector_constant(each(lane, written));
        let r = self.ir.vbitsel(X1, mask, shifted, old);
        self.finish(insn, lane, r);
    }

    /// `SQSHL`, `UQSHL` by a constant, `SQSHLU`.
    pub fn shift_left_saturating(&mut self, insn: Insn) {
        let lane = shift_lane(insn);
        let op = if insn.bit(12) { LaneOp::ShiftSaturating } else { LaneOp::ShiftToUnsigned };
        let (value, count) =
            (self.v(insn.rn()), self.vector_constant(each(lane, u64::from(left_count(insn)))));
        let r = self.lanes_with_qc(insn, op, lane, sign(insn), (value, count, value));
        self.finish(insn, lane, r);
    }

    /// `SHRN`, `RSHRN`, `SQSHRN`, `SQSHRUN`, `UQSHRN` and the rounding ones.
    pub fn shift_right_narrow(&mut self, insn: Insn) {
        let Some(wide) = shift_lane(insn).wider() else { return };
        let (how, sign) = match (insn.bit(12), insn.u()) {
            (false, false) => (Narrow::Truncate, Sign::Unsigned),
            (false, true) => (Narrow::SignedToUnsigned, Sign::Signed),
            (true, false) => (Narrow::Signed, Sign::Signed),
            (true, true) => (Narrow::Unsigned, Sign::Unsigned),
        };
        let (value, count) = (self.v(insn.rn()), right_count(insn));
        let shifted = if insn.bit(11) {
            self.shift_rounding(wide, sign, value, count)
        } else {
            self.shift_lanes_right(wide, sign, value, count)
        };
        self.narrow_lanes(insn, wide, how, shifted);
    }

    /// `SSHLL`, `USHLL`.
    pub fn shift_left_long(&mut self, insn: Insn) {
        let lane = shift_lane(insn);
        let Some(wide) = lane.wider() else { return };
        let value = self.v(insn.rn());
        let widened = self.ir.vwiden(X1, lane, sign(insn), super::simd_narrow::half(insn), value);
        let r = self.shift_lanes_left(wide, widened, left_count(insn));
        self.set_v(insn.rd(), r);
    }

    /// Shifts by the signed low byte of each lane of Vm, left where positive.
    pub fn shift_register(&mut self, insn: Insn) {
        let lane = insn.lane();
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let r = match (insn.bit(11), insn.bit(12)) {
            (false, false) => self.shift_both_ways(lane, sign(insn), a, b),
            (false, true) => {
                let imm = lane_imm(LaneOp::ShiftRounding, lane, sign(insn));
                self.ir.call_vec(X1, helpers::LANES, a, b, a, imm)
            }
            (true, rounding) => {
                let op = if rounding { LaneOp::ShiftRoundingSaturating } else { LaneOp::ShiftSaturating };
                self.lanes_with_qc(insn, op, lane, sign(insn), (a, b, a))
            }
        };
        self.finish(insn, lane, r);
    }

    /// Left by the count, right by the negated count; of the two counts, as unsigned bytes, one is out
    /// of range unless both are 0.
    fn shift_both_ways(&mut self, lane: Lane, sign: Sign, a: Val, b: Val) -> Val {
        let byte = self.vector_constant(each(lane, 0xff));
        let left_counts = self.ir.vand(X1, b, byte);
        let negated = self.ir.vneg(X1, lane, b);
        let right_counts = self.ir.vand(X1, negated, byte);
        let left = self.ir.vshlv(X1, lane, a, left_counts);
        if sign == Sign::Unsigned {
            let right = self.ir.vshrv(X1, lane, a, right_counts);
            return self.ir.vor(X1, left, right);
        }
        let right = self.ir.vsarv(X1, lane, a, right_counts);
        let up = self.shift_lanes_left(lane, b, lane.bits() - 8);
        let goes_right = self.shift_lanes_right(lane, Sign::Signed, up, lane.bits() - 1);
        self.ir.vbitsel(X1, goes_right, right, left)
    }
}
