//! Advanced SIMD where source and result lanes differ in size, and products by element.

use super::simd::{each, is_scalar, sign, visible};
use super::{Lifter, X1};
use crate::decode::Insn;
use crate::helpers::LaneOp;
use guest::ir::{Half, Lane, Narrow, Sign, Val};

/// What becomes of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accumulate {
    No,
    Add,
    Sub,
}

/// The half of the sources that long operations read.
pub const fn half(insn: Insn) -> Half {
    if insn.q() && !is_scalar(insn) { Half::High } else { Half::Low }
}

const fn by_element(insn: Insn) -> Accumulate {
    match insn.bits(14, 2) {
        0 => Accumulate::Add,
        1 => Accumulate::Sub,
        _ => Accumulate::No,
    }
}

const fn three_different(insn: Insn) -> Accumulate {
    match insn.bits(13, 2) {
        0 => Accumulate::Add,
        1 => Accumulate::Sub,
        _ => Accumulate::No,
    }
}

impl Lifter {
    fn widen(&mut self, insn: Insn, value: Val) -> Val {
        self.ir.vwiden(X1, insn.lane(), sign(insn), half(insn), value)
    }

    /// `SADDL`, `SADDW`, `SSUBL`, `SSUBW` and the unsigned ones.
    pub fn add_long(&mut self, insn: Insn) {
        let Some(wide) = insn.lane().wider() else { return };
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let a = if insn.bit(12) { a } else { self.widen(insn, a) };
        let b = self.widen(insn, b);
        let r = if insn.bit(13) { self.ir.vsub(X1, wide, a, b) } else { self.ir.vadd(X1, wide, a, b) };
        self.set_v(insn.rd(), r);
    }

    /// `SABAL`, `SABDL` and the unsigned ones.
    pub fn abd_long(&mut self, insn: Insn) {
        let Some(wide) = insn.lane().wider() else { return };
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let (a, b) = (self.widen(insn, a), self.widen(insn, b));
        let difference = self.absolute_difference(wide, Sign::Signed, a, b);
        let r = if insn.bit(13) {
            difference
        } else {
            let old = self.v(insn.rd());
            self.ir.vadd(X1, wide, old, difference)
        };
        self.set_v(insn.rd(), r);
    }

    /// `ADDHN`, `SUBHN`, and with `U` rounded.
    pub fn add_high_narrow(&mut self, insn: Insn) {
        let lane = insn.lane();
        let Some(wide) = lane.wider() else { return };
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let mut sum = if insn.bit(13) { self.ir.vsub(X1, wide, a, b) } else { self.ir.vadd(X1, wide, a, b) };
        if insn.u() {
            let round = self.vector_constant(each(wide, 1 << (lane.bits() - 1)));
            sum = self.ir.vadd(X1, wide, sum, round);
        }
        let count = self.imm(u64::from(lane.bits()));
        let high = self.ir.vshr(X1, wide, sum, count);
        self.write_narrowed(insn, wide, Narrow::Truncate, high);
    }

    pub fn mul_long(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.multiply_long(insn, b, three_different(insn));
    }

    pub fn mul_long_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, insn.lane());
        self.multiply_long(insn, b, by_element(insn));
    }

    fn multiply_long(&mut self, insn: Insn, b: Val, accumulate: Accumulate) {
        let Some(wide) = insn.lane().wider() else { return };
        let a = self.v(insn.rn());
        let product = self.ir.vmull(X1, insn.lane(), sign(insn), half(insn), a, b);
        let old = if accumulate == Accumulate::No { product } else { self.v(insn.rd()) };
        let r = match accumulate {
            Accumulate::No => product,
            Accumulate::Add => self.ir.vadd(X1, wide, old, product),
            Accumulate::Sub => self.ir.vsub(X1, wide, old, product),
        };
        self.set_v(insn.rd(), r);
    }

    pub fn sqdmull(&mut self, insn: Insn) {
        let b = self.v(insn.rm());
        self.double_long(insn, b, three_different(insn));
    }

    pub fn sqdmull_by_element(&mut self, insn: Insn) {
        let b = self.element(insn, insn.lane());
        self.double_long(insn, b, by_element(insn));
    }

    /// `SQDMULL`, `SQDMLAL`, `SQDMLSL`: doubling and accumulating saturate one after the other.
    fn double_long(&mut self, insn: Insn, b: Val, accumulate: Accumulate) {
        let Some(wide) = insn.lane().wider() else { return };
        let mask = if is_scalar(insn) { visible(insn, wide) } else { u128::MAX };
        let a = self.v(insn.rn());
        let product = self.ir.vmull(X1, insn.lane(), Sign::Signed, half(insn), a, b);
        let doubled = self.ir.vaddsat(X1, wide, Sign::Signed, product, product);
        let exact = self.ir.vadd(X1, wide, product, product);
        let lost = self.ir.vxor(X1, exact, doubled);
        self.note_saturation(lost, mask);
        if accumulate == Accumulate::No {
            let r = self.cut(doubled, mask);
            return self.set_v(insn.rd(), r);
        }
        let old = self.v(insn.rd());
        let (exact, r) = if accumulate == Accumulate::Add {
            let exact = self.ir.vadd(X1, wide, old, doubled);
            (exact, self.ir.vaddsat(X1, wide, Sign::Signed, old, doubled))
        } else {
            let exact = self.ir.vsub(X1, wide, old, doubled);
            (exact, self.ir.vsubsat(X1, wide, Sign::Signed, old, doubled))
        };
        let lost = self.ir.vxor(X1, exact, r);
        self.note_saturation(lost, mask);
        let r = self.cut(r, mask);
        self.set_v(insn.rd(), r);
    }

    /// `PMULL`, `PMULL2` on bytes.
    pub fn pmull(&mut self, insn: Insn) {
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let (a, b) = if insn.q() { (self.high_half(a), self.high_half(b)) } else { (a, b) };
        let r = self.lanes(LaneOp::PolynomialMulLong, Lane::B, Sign::Unsigned, a, b, a);
        self.set_v(insn.rd(), r);
    }

    /// The high half of a vector in both halves.
    fn high_half(&mut self, value: Val) -> Val {
        let top = self.ir.vextract(X1, Lane::D, 1, value);
        self.ir.vpair(X1, top, top)
    }

    /// The element that `H`, `L`, `M` and Rm select, in every lane.
    pub fn element(&mut self, insn: Insn, lane: Lane) -> Val {
        let (h, l, m) = (insn.bits(11, 1), insn.bits(21, 1), insn.bits(20, 1));
        let (n, index) = match lane {
            Lane::H => (insn.rm() & 15, h << 2 | l << 1 | m),
            Lane::S => (insn.rm(), h << 1 | l),
            _ => (insn.rm(), h),
        };
        let whole = self.v(n);
        self.splat_lane(whole, lane, index as usize, 16)
    }

    /// `MUL`, `MLA`, `MLS`.
    pub fn mul_by_element(&mut self, insn: Insn) {
        let lane = insn.lane();
        let (a, b) = (self.v(insn.rn()), self.element(insn, lane));
        let product = self.ir.vmul(X1, lane, a, b);
        let old = self.v(insn.rd());
        let r = match by_element(insn) {
            Accumulate::No => product,
            Accumulate::Add => self.ir.vadd(X1, lane, old, product),
            Accumulate::Sub => self.ir.vsub(X1, lane, old, product),
        };
        self.set_v_q(insn, r);
    }

    pub fn sqdmulh_by_element(&mut self, insn: Insn) {
        let op = if insn.bit(12) { LaneOp::DoublingMulHighRounding } else { LaneOp::DoublingMulHigh };
        let lane = insn.lane();
        let (a, b) = (self.v(insn.rn()), self.element(insn, lane));
        let r = self.lanes_with_qc(insn, op, lane, Sign::Signed, (a, b, a));
        self.finish(insn, lane, r);
    }

    pub fn sqrdmlah_by_element(&mut self, insn: Insn) {
        let op = if insn.bit(13) { LaneOp::DoublingMulSubHigh } else { LaneOp::DoublingMulAddHigh };
        let lane = insn.lane();
        let (a, b, c) = (self.v(insn.rn()), self.element(insn, lane), self.v(insn.rd()));
        let r = self.lanes_with_qc(insn, op, lane, Sign::Signed, (a, b, c));
        self.finish(insn, lane, r);
    }

    /// `XTN`, `SQXTN`, `SQXTUN`, `UQXTN`.
    pub fn xtn(&mut self, insn: Insn) {
        let Some(wide) = insn.lane().wider() else { return };
        let value = self.v(insn.rn());
        let how = match (insn.bit(14), insn.u()) {
            (false, false) => Narrow::Truncate,
            (false, true) => Narrow::SignedToUnsigned,
            (true, false) => Narrow::Signed,
            (true, true) => Narrow::Unsigned,
        };
        self.narrow_lanes(insn, wide, how, value);
    }

    /// Narrows, writes, and sets QC where a lane does not fit.
    pub fn narrow_lanes(&mut self, insn: Insn, wide: Lane, how: Narrow, value: Val) {
        let low = self.write_narrowed(insn, wide, how, value);
        let sign = match how {
            Narrow::Truncate => return,
            Narrow::Signed => Sign::Signed,
            Narrow::SignedToUnsigned | Narrow::Unsigned => Sign::Unsigned,
        };
        let Some(narrow) = wide.narrower() else { return };
        let back = self.ir.vwiden(X1, narrow, sign, Half::Low, low);
        let lost = self.ir.vxor(X1, back, value);
        let mask = if is_scalar(insn) { visible(insn, wide) } else { u128::MAX };
        self.note_saturation(lost, mask);
    }

    pub fn shll(&mut self, insn: Insn) {
        let Some(wide) = insn.lane().wider() else { return };
        let value = self.v(insn.rn());
        let widened = self.ir.vwiden(X1, insn.lane(), Sign::Unsigned, half(insn), value);
        let count = self.imm(u64::from(insn.lane().bits()));
        let r = self.ir.vshl(X1, wide, widened, count);
        self.set_v(insn.rd(), r);
    }
}
