//! Lane-wise integer operations that have no op of their own: shifts by a register with rounding and
//! saturation, saturating doubling products, polynomial products, estimates.
//!
//! One function computes result and saturation of all lanes; two helpers give one of the two each.

use guest::arm_float::{recip_estimate, rsqrt_estimate};
use guest::ir::{Lane, Sign};

/// The operation, in bits 7:0 of the helper's immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum LaneOp {
    /// Lanes of a shifted by the signed low bytes of the lanes of b; left where positive.
    Shift,
    /// The same, rounding right shifts.
    ShiftRounding,
    /// Saturating.
    ShiftSaturating,
    ShiftRoundingSaturating,
    /// Signed lanes saturated to unsigned.
    ShiftToUnsigned,
    /// High half of the doubled product.
    DoublingMulHigh,
    DoublingMulHighRounding,
    /// c plus the doubled product, rounded, high half.
    DoublingMulAddHigh,
    DoublingMulSubHigh,
    /// Signed a plus unsigned b, saturated to signed.
    AddUnsignedToSigned,
    /// Unsigned a plus signed b, saturated to unsigned.
    AddSignedToUnsigned,
    PolynomialMul,
    BitReverse,
    ReciprocalEstimate,
    ReciprocalSqrtEstimate,
    /// Polynomial products of the low 8 bytes, 16 bits each.
    PolynomialMulLong,
    /// The low half-precision lanes as single-precision bits; signalling NaNs stay so.
    HalfToSingle,
}

const OPS: [LaneOp; 17] = [
    LaneOp::Shift,
    LaneOp::ShiftRounding,
    LaneOp::ShiftSaturating,
    LaneOp::ShiftRoundingSaturating,
    LaneOp::ShiftToUnsigned,
    LaneOp::DoublingMulHigh,
    LaneOp::DoublingMulHighRounding,
    LaneOp::DoublingMulAddHigh,
    LaneOp::DoublingMulSubHigh,
    LaneOp::AddUnsignedToSigned,
    LaneOp::AddSignedToUnsigned,
    LaneOp::PolynomialMul,
    LaneOp::BitReverse,
    LaneOp::ReciprocalEstimate,
    LaneOp::ReciprocalSqrtEstimate,
    LaneOp::PolynomialMulLong,
    LaneOp::HalfToSingle,
];

/// The helpers' immediate.
pub const fn lane_imm(op: LaneOp, lane: Lane, sign: Sign) -> u32 {
    op as u32 | (lane as u32) << 8 | (sign as u32) << 10
}

pub fn result(a: u128, b: u128, c: u128, imm: u32) -> u128 {
    each_lane(a, b, c, imm).0
}

pub fn saturated(a: u128, b: u128, c: u128, imm: u32) -> u128 {
    each_lane(a, b, c, imm).1
}

/// The bounds of a lane's result.
#[derive(Clone, Copy)]
struct Range {
    bits: u32,
    signed: bool,
}

impl Range {
    const fn min(self) -> i128 {
        if self.signed { -(1 << (self.bits - 1)) } else { 0 }
    }
    const fn max(self) -> i128 {
        if self.signed { (1 << (self.bits - 1)) - 1 } else { (1 << self.bits) - 1 }
    }
    fn clamp(self, value: i128) -> (i128, bool) {
        let clamped = value.clamp(self.min(), self.max());
        (clamped, clamped != value)
    }
    const fn read(self, bits: u128) -> i128 {
        let up = 128 - self.bits;
        if self.signed { (bits as i128) << up >> up } else { (bits << up >> up) as i128 }
    }
}

fn each_lane(a: u128, b: u128, c: u128, imm: u32) -> (u128, u128) {
    let op = OPS[(imm & 31) as usize];
    if op == LaneOp::HalfToSingle {
        let single = |i: u32| u128::from(half_to_single((a >> (16 * i)) as u16)) << (32 * i);
        return ((0..4).map(single).sum(), 0);
    }
    if op == LaneOp::PolynomialMulLong {
        return (polynomial_mul_long(a, b), 0);
    }
    let bits = 8 << (imm >> 8 & 3);
    let range = Range { bits, signed: imm >> 10 & 1 != 0 };
    let mask = (1u128 << bits) - 1;
    let (mut values, mut flags) = (0, 0);
    for at in (0..128).step_by(bits as usize) {
        let (value, saturated) = one_lane(op, range, a >> at & mask, b >> at & mask, c >> at & mask);
        values |= (value as u128 & mask) << at;
        flags |= u128::from(saturated) << at;
    }
    (values, flags)
}

/// A half-precision number's bits in single precision.
fn half_to_single(half: u16) -> u32 {
    let (sign, exponent, fraction) =
        (u32::from(half & 0x8000) << 16, half >> 10 & 31, u32::from(half & 0x3ff));
    sign | match (exponent, fraction) {
        (31, _) => 0x7f80_0000 | fraction << 13,
        (0, 0) => 0,
        (0, _) => {
            let up = fraction.leading_zeros() - 21;
            (113 - up) << 23 | (fraction << up & 0x3ff) << 13
        }
        _ => (u32::from(exponent) + 112) << 23 | fraction << 13,
    }
}

fn one_lane(op: LaneOp, range: Range, a: u128, b: u128, c: u128) -> (i128, bool) {
    let signed = Range { signed: true, ..range };
    let unsigned = Range { signed: false, ..range };
    let exact = |value: u64| (i128::from(value), false);
    match op {
        LaneOp::Shift => (shift(range, a, b, false).0, false),
        LaneOp::ShiftRounding => (shift(range, a, b, true).0, false),
        LaneOp::ShiftSaturating => saturate_shift(range, range, a, b, false),
        LaneOp::ShiftRoundingSaturating => saturate_shift(range, range, a, b, true),
        LaneOp::ShiftToUnsigned => saturate_shift(signed, unsigned, a, b, false),
        LaneOp::DoublingMulHigh => doubling_mul(signed, a, b, 0),
        LaneOp::DoublingMulHighRounding => doubling_mul(signed, a, b, 1 << (range.bits - 1)),
        LaneOp::DoublingMulAddHigh => doubling_mul_add(signed, a, b, c, 1),
        LaneOp::DoublingMulSubHigh => doubling_mul_add(signed, a, b, c, -1),
        LaneOp::AddUnsignedToSigned => signed.clamp(signed.read(a) + unsigned.read(b)),
        LaneOp::AddSignedToUnsigned => unsigned.clamp(unsigned.read(a) + signed.read(b)),
        LaneOp::PolynomialMul => exact(u64::from(polynomial_mul(a as u8, b as u8))),
        LaneOp::BitReverse => exact((a as u64).reverse_bits() >> (64 - range.bits)),
        LaneOp::ReciprocalEstimate => exact(unsigned_reciprocal(a as u64)),
        LaneOp::ReciprocalSqrtEstimate => exact(unsigned_reciprocal_sqrt(a as u64)),
        LaneOp::PolynomialMulLong | LaneOp::HalfToSingle => exact(0),
    }
}

/// The shifted value, and whether it fell off the top of what an i128 holds.
fn shift(range: Range, a: u128, b: u128, rounding: bool) -> (i128, bool) {
    let (value, count) = (range.read(a), i32::from(b as i8));
    if count >= 0 {
        let lost = count >= range.bits as i32;
        return if lost { (0, value != 0) } else { (value << count, false) };
    }
    let right = count.unsigned_abs();
    // Beyond 64 bits nothing but the sign is left, and rounding takes that away.
    let right = right.min(66);
    let round = if rounding { 1i128 << (right - 1) } else { 0 };
    ((value + round) >> right, false)
}

fn saturate_shift(from: Range, to: Range, a: u128, b: u128, rounding: bool) -> (i128, bool) {
    let (value, lost) = shift(from, a, b, rounding);
    match (lost, from.read(a) < 0) {
        (true, true) => (to.min(), true),
        (true, false) => (to.max(), true),
        _ => to.clamp(value),
    }
}

fn doubling_mul(range: Range, a: u128, b: u128, round: i128) -> (i128, bool) {
    range.clamp((2 * range.read(a) * range.read(b) + round) >> range.bits)
}

fn doubling_mul_add(range: Range, a: u128, b: u128, c: u128, sign: i128) -> (i128, bool) {
    let product = 2 * range.read(a) * range.read(b) * sign;
    let sum = (range.read(c) << range.bits) + product + (1 << (range.bits - 1));
    range.clamp(sum >> range.bits)
}

fn polynomial_mul(a: u8, b: u8) -> u16 {
    (0..8).filter(|bit| b >> bit & 1 != 0).fold(0, |product, bit| product ^ u16::from(a) << bit)
}

fn polynomial_mul_long(a: u128, b: u128) -> u128 {
    (0..8).fold(0, |product, i| {
        let lane = polynomial_mul((a >> (8 * i)) as u8, (b >> (8 * i)) as u8);
        product | u128::from(lane) << (16 * i)
    })
}

/// `UnsignedRecipEstimate`.
fn unsigned_reciprocal(a: u64) -> u64 {
    if a >> 31 == 0 { 0xffff_ffff } else { recip_estimate(a >> 23 & 0x1ff) << 23 }
}

/// `UnsignedRSqrtEstimate`.
fn unsigned_reciprocal_sqrt(a: u64) -> u64 {
    if a >> 30 == 0 { 0xffff_ffff } else { rsqrt_estimate(a >> 23 & 0x1ff) << 23 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_right_shift_rounds_half_up() {
        let imm = lane_imm(LaneOp::ShiftRounding, Lane::B, Sign::Signed);
        assert_eq!(result(3, 0xff, 0, imm) & 0xff, 2);
        assert_eq!(result(0xfd, 0xff, 0, imm) & 0xff, 0xff);
    }

    #[test]
    fn saturating_shift_reports_lost_bits() {
        let imm = lane_imm(LaneOp::ShiftSaturating, Lane::H, Sign::Unsigned);
        assert_eq!(result(0x8001, 1, 0, imm) & 0xffff, 0xffff);
        assert_eq!(saturated(0x8001, 1, 0, imm), 1);
        assert_eq!(saturated(0x7001, 1, 0, imm), 0);
    }
}
