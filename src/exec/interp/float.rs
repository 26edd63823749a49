//! Float operations on bit patterns, under the guest's environment and NaN rule.
//!
//! Arithmetic is the host's own instruction; what the host has no instruction for (conversions to
//! integers in every mode and with either overflow rule, half precision, AArch64's minimum and maximum)
//! is integer code that raises the flags itself. The compiler calls the same functions for its slow paths.
//!
//! AArch64's results are the host's, but for NaNs and for the smallest normal number: Arm detects tininess before
//! rounding, so a product that is rounded up to that number has underflowed. Those come from
//! [`guest::arm_float`], and so does everything where FPCR asks for more than a rounding mode and the default NaN.

use crate::host::fp;
use guest::arm_float::{Extreme, Rounding, Unit};
use guest::ir::{
    ArmFloat, FSize, FloatCc, Inexact, MinMax, NanRule, Nans, Overflow, Round, Sign, Width, flags::ordering,
};

/// MXCSR bits.
mod bit {
    pub const INVALID: u32 = 1;
    pub const INEXACT: u32 = 1 << 5;
    pub const DENORMALS_ARE_ZERO: u32 = 1 << 6;
    pub const ROUNDING: u32 = 3 << 13;
}

/// Two-operand arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
}

fn mantissa_bits(fs: FSize) -> u32 {
    match fs {
        FSize::F16 => 10,
        FSize::F32 => 23,
        FSize::F64 => 52,
    }
}

fn exponent_mask(fs: FSize) -> u64 {
    fs.width().mask() >> 1 & !(fs.width().mask() >> (fs.width().bits() - mantissa_bits(fs)))
}

fn sign_bit(fs: FSize) -> u64 {
    fs.width().sign_bit()
}

/// Whether the bits are a NaN.
pub fn is_nan(fs: FSize, a: u64) -> bool {
    a & (fs.width().mask() >> 1) > exponent_mask(fs)
}

fn is_zero(fs: FSize, a: u64) -> bool {
    a & (fs.width().mask() >> 1) == 0
}

fn is_infinite(fs: FSize, a: u64) -> bool {
    a & (fs.width().mask() >> 1) == exponent_mask(fs)
}

/// The bits of the smallest normal number.
fn lowest_normal(fs: FSize) -> u64 {
    1 << mantissa_bits(fs)
}

/// Whether AArch64's result may be another than the host's, or its flags.
fn unsettled(rule: NanRule, fs: FSize, result: u64) -> bool {
    rule != NanRule::X86 && (is_nan(fs, result) || result & (fs.width().mask() >> 1) == lowest_normal(fs))
}

/// A result of AArch64's unit, in the environment's rounding mode; its flags are raised.
fn soft(rule: NanRule, operation: impl FnOnce(&mut Unit) -> u64) -> u64 {
    let mut unit = Unit::new(arm_rounding(effective(Round::Current)), rule.control());
    let result = operation(&mut unit);
    let raised = unit.raised;
    // MXCSR has a flag for denormals between the first and the second of FPSR's.
    let common = raised & 1 | (raised & 0x1e) << 1;
    let own = if raised & guest::arm_float::flag::INPUT_DENORMAL != 0 { fp::INPUT_DENORMAL } else { 0 };
    raise(common | own);
    result
}

/// AArch64's name of a rounding mode that is not [`Round::Current`].
fn arm_rounding(mode: Round) -> Rounding {
    match mode {
        Round::Nearest | Round::Current => Rounding::Nearest,
        Round::Down => Rounding::Down,
        Round::Up => Rounding::Up,
        Round::Zero => Rounding::Zero,
        Round::Away => Rounding::Away,
    }
}

/// An operation that only AArch64 has.
pub fn arm(rule: NanRule, op: ArmFloat, fs: FSize, imm: u32, a: u64, b: u64) -> u64 {
    soft(rule, |unit| unit.other(op, fs, imm, a, b))
}

/// Raises sticky exception flags.
fn raise(flags: u32) {
    let now = fp::mxcsr();
    if now & flags != flags {
        fp::set_mxcsr(now | flags);
    }
}

/// Widens a half-precision operand for the host; other sizes pass.
fn up(fs: FSize, a: u64) -> u128 {
    match fs {
        FSize::F16 => fp::cvtph2ps(u128::from(a & 0xffff)) & 0xffff_ffff,
        _ => u128::from(a),
    }
}

/// The host's result at the guest's size.
fn down(fs: FSize, r: u128) -> u64 {
    match fs {
        FSize::F16 => fp::cvtps2ph(r) as u64 & 0xffff,
        _ => r as u64 & fs.width().mask(),
    }
}

/// The operation on AArch64's unit.
fn soft_arith(rule: NanRule, op: Arith, fs: FSize, a: u64, b: u64) -> u64 {
    soft(rule, |unit| match op {
        Arith::Add => unit.add(fs, a, b),
        Arith::Sub => unit.sub(fs, a, b),
        Arith::Mul => unit.mul(fs, a, b),
        Arith::Div => unit.div(fs, a, b),
    })
}

pub fn arith(rule: NanRule, op: Arith, fs: FSize, a: u64, b: u64) -> u64 {
    if rule.is_soft() {
        return soft_arith(rule, op, fs, a, b);
    }
    let (x, y) = (up(fs, a), up(fs, b));
    let r = match (op, fs == FSize::F64) {
        (Arith::Add, false) => fp::addss(x, y),
        (Arith::Add, true) => fp::addsd(x, y),
        (Arith::Sub, false) => fp::subss(x, y),
        (Arith::Sub, true) => fp::subsd(x, y),
        (Arith::Mul, false) => fp::mulss(x, y),
        (Arith::Mul, true) => fp::mulsd(x, y),
        (Arith::Div, false) => fp::divss(x, y),
        (Arith::Div, true) => fp::divsd(x, y),
    };
    let result = down(fs, r);
    if unsettled(rule, fs, result) { soft_arith(rule, op, fs, a, b) } else { result }
}

/// The same on all lanes of a unit (f32 or f64 in one instruction).
pub fn arith_unit(rule: NanRule, op: Arith, fs: FSize, a: u128, b: u128) -> u128 {
    let each = || super::lanes::map2(fs.lane(), a, b, |x, y| arith(rule, op, fs, x, y));
    let r = match (op, fs) {
        _ if rule.is_soft() => return each(),
        (_, FSize::F16) => return each(),
        (Arith::Add, FSize::F32) => fp::addps(a, b),
        (Arith::Add, FSize::F64) => fp::addpd(a, b),
        (Arith::Sub, FSize::F32) => fp::subps(a, b),
        (Arith::Sub, FSize::F64) => fp::subpd(a, b),
        (Arith::Mul, FSize::F32) => fp::mulps(a, b),
        (Arith::Mul, FSize::F64) => fp::mulpd(a, b),
        (Arith::Div, FSize::F32) => fp::divps(a, b),
        (Arith::Div, FSize::F64) => fp::divpd(a, b),
    };
    if any_unsettled(rule, fs, r) { each() } else { r }
}

/// [`unsettled`] for any lane.
fn any_unsettled(rule: NanRule, fs: FSize, r: u128) -> bool {
    let lane = fs.lane();
    rule != NanRule::X86
        && (0..16 / lane.bytes()).any(|i| unsettled(rule, fs, super::lanes::lane_of(lane, r, i)))
}

pub fn sqrt(rule: NanRule, fs: FSize, a: u64) -> u64 {
    if rule.is_soft() {
        return soft(rule, |unit| unit.sqrt(fs, a));
    }
    let r = if fs == FSize::F64 { fp::sqrtsd(up(fs, a)) } else { fp::sqrtss(up(fs, a)) };
    let result = down(fs, r);
    if unsettled(rule, fs, result) { soft(rule, |unit| unit.sqrt(fs, a)) } else { result }
}

pub fn sqrt_unit(rule: NanRule, fs: FSize, a: u128) -> u128 {
    let each = || super::lanes::map1(fs.lane(), a, |x| sqrt(rule, fs, x));
    let r = match fs {
        _ if rule.is_soft() => return each(),
        FSize::F16 => return each(),
        FSize::F32 => fp::sqrtps(a),
        FSize::F64 => fp::sqrtpd(a),
    };
    if any_unsettled(rule, fs, r) { each() } else { r }
}

/// a * b + c, rounded once. AArch64 ranks the addend's NaN first, and calls infinity times zero plus a
/// quiet NaN invalid.
pub fn fma(rule: NanRule, fs: FSize, a: u64, b: u64, c: u64) -> u64 {
    let result = match fs {
        _ if rule.is_soft() => return soft(rule, |unit| unit.fma(fs, a, b, c)),
        FSize::F64 => fp::fmasd(u128::from(a), u128::from(b), u128::from(c)) as u64,
        FSize::F32 => fp::fmass(u128::from(a), u128::from(b), u128::from(c)) as u64 & 0xffff_ffff,
        FSize::F16 => return soft(rule, |unit| unit.fma(fs, a, b, c)),
    };
    if unsettled(rule, fs, result) { soft(rule, |unit| unit.fma(fs, a, b, c)) } else { result }
}

pub fn fma_unit(rule: NanRule, fs: FSize, a: u128, b: u128, c: u128) -> u128 {
    let lane = fs.lane();
    let of = super::lanes::lane_of;
    let each =
        || super::lanes::build(lane, |i| fma(rule, fs, of(lane, a, i), of(lane, b, i), of(lane, c, i)));
    let r = match fs {
        _ if rule.is_soft() => return each(),
        FSize::F32 => fp::fmaps(a, b, c),
        FSize::F64 => fp::fmapd(a, b, c),
        FSize::F16 => return each(),
    };
    if any_unsettled(rule, fs, r) { each() } else { r }
}

/// How a compares with b (see [`ordering`]).
pub fn compare(rule: NanRule, nans: Nans, fs: FSize, a: u64, b: u64) -> u64 {
    if rule.is_soft() {
        return soft(rule, |unit| unit.compare(fs, nans == Nans::Signal, a, b));
    }
    let (x, y) = (up(fs, a), up(fs, b));
    match (nans, fs == FSize::F64) {
        (Nans::Quiet, true) => fp::ucomisd(x, y),
        (Nans::Quiet, false) => fp::ucomiss(x, y),
        (Nans::Signal, true) => fp::comisd(x, y),
        (Nans::Signal, false) => fp::comiss(x, y),
    }
}

/// Whether an ordering satisfies the comparison.
pub fn holds(cc: FloatCc, order: u64) -> bool {
    let (eq, lt, gt) = (order == ordering::EQUAL, order == ordering::LESS, order == ordering::GREATER);
    let uno = order == ordering::UNORDERED;
    match cc {
        FloatCc::Eq => eq,
        FloatCc::Lt => lt,
        FloatCc::Le => lt || eq,
        FloatCc::Gt => gt,
        FloatCc::Ge => gt || eq,
        FloatCc::Ord => !uno,
        FloatCc::Une => !eq,
        FloatCc::Uge => !lt,
        FloatCc::Ugt => gt || uno,
        FloatCc::Ule => !gt,
        FloatCc::Ult => lt || uno,
        FloatCc::Uno => uno,
        FloatCc::Ueq => eq || uno,
        FloatCc::One => lt || gt,
        FloatCc::True => true,
        FloatCc::False => false,
    }
}

pub fn minmax(rule: NanRule, op: MinMax, fs: FSize, a: u64, b: u64) -> u64 {
    let (x, y) = (up(fs, a), up(fs, b));
    let host = |is_min: bool| match (is_min, fs == FSize::F64) {
        (true, true) => fp::minsd(x, y),
        (true, false) => fp::minss(x, y),
        (false, true) => fp::maxsd(x, y),
        (false, false) => fp::maxss(x, y),
    };
    let (which, numbers) = match op {
        MinMax::X86Min => return down(fs, host(true)),
        MinMax::X86Max => return down(fs, host(false)),
        MinMax::ArmMin => (Extreme::Min, false),
        MinMax::ArmMax => (Extreme::Max, false),
        MinMax::ArmMinNum => (Extreme::Min, true),
        MinMax::ArmMaxNum => (Extreme::Max, true),
    };
    let special = is_nan(fs, a) || is_nan(fs, b) || is_zero(fs, a) && is_zero(fs, b);
    if special || rule.is_soft() {
        return soft(rule, |unit| unit.extreme(fs, which, numbers, a, b));
    }
    down(fs, host(which == Extreme::Min))
}

/// The rounding mode that `mode` means now.
fn effective(mode: Round) -> Round {
    match mode {
        Round::Current => match fp::mxcsr() & bit::ROUNDING {
            0 => Round::Nearest,
            0x2000 => Round::Down,
            0x4000 => Round::Up,
            _ => Round::Zero,
        },
        other => other,
    }
}

/// Rounds to an integral value.
pub fn round(rule: NanRule, fs: FSize, mode: Round, inexact: Inexact, a: u64) -> u64 {
    if rule != NanRule::X86 && (rule.is_soft() || is_nan(fs, a)) {
        let mode = arm_rounding(effective(mode));
        return soft(rule, |unit| unit.round_to_integral(fs, mode, inexact == Inexact::Raise, a));
    }
    if is_nan(fs, a) {
        return down(fs, quieted(fs, a));
    }
    let exact = match mode {
        Round::Away => round_away(fs, a),
        _ => {
            let code = match effective(mode) {
                Round::Down => 1,
                Round::Up => 2,
                Round::Zero => 3,
                _ => 0,
            };
            let x = up(fs, a);
            down(fs, if fs == FSize::F64 { fp::roundsd(x, code | 8) } else { fp::roundss(x, code | 8) })
        }
    };
    if inexact == Inexact::Raise && exact != a & fs.width().mask() && !flushed(fs, a) {
        raise(bit::INEXACT);
    }
    exact
}

/// A NaN made quiet by the host (which raises Invalid for a signalling one).
fn quieted(fs: FSize, a: u64) -> u128 {
    let x = up(fs, a);
    if fs == FSize::F64 { fp::addsd(x, x) } else { fp::addss(x, x) }
}

/// Whether the input is a denormal that counts as zero now.
fn flushed(fs: FSize, a: u64) -> bool {
    fs != FSize::F16
        && a & exponent_mask(fs) == 0
        && !is_zero(fs, a)
        && fp::mxcsr() & bit::DENORMALS_ARE_ZERO != 0
}

/// Rounds to the nearest integral value, ties away from zero.
fn round_away(fs: FSize, a: u64) -> u64 {
    let m = mantissa_bits(fs);
    let a = a & fs.width().mask();
    let bias = exponent_mask(fs) >> (m + 1);
    let exponent = ((a & exponent_mask(fs)) >> m) as i64 - bias as i64;
    match exponent {
        i64::MIN..=-2 => a & sign_bit(fs),
        -1 => (a & sign_bit(fs)) | bias << m,
        e if e >= i64::from(m) => a,
        e => {
            let fraction = (1u64 << (i64::from(m) - e)) - 1;
            (a + (fraction.wrapping_add(1) >> 1)) & !fraction
        }
    }
}

/// Converts between float sizes.
pub fn convert(rule: NanRule, from: FSize, to: FSize, a: u64) -> u64 {
    if rule.is_soft() {
        return soft(rule, |unit| unit.convert(from, to, a));
    }
    let result = match (from, to) {
        (FSize::F32, FSize::F64) => fp::cvtss2sd(u128::from(a)) as u64,
        (FSize::F64, FSize::F32) => fp::cvtsd2ss(u128::from(a)) as u64 & 0xffff_ffff,
        (FSize::F16, FSize::F32) => up(from, a) as u64,
        (FSize::F16, FSize::F64) => fp::cvtss2sd(up(from, a)) as u64,
        (FSize::F32, FSize::F16) => down(to, u128::from(a)),
        (FSize::F64, FSize::F16) => return soft(rule, |unit| unit.convert(from, to, a)),
        _ => a & from.width().mask(),
    };
    if unsettled(rule, to, result) { soft(rule, |unit| unit.convert(from, to, a)) } else { result }
}

/// f32 lanes to f16 in the lower half of a unit.
pub fn to_half_unit(mode: Round, a: u128) -> u128 {
    fp::cvtps2ph_rounded(
        a,
        match mode {
            Round::Nearest | Round::Away => 0,
            Round::Down => 1,
            Round::Up => 2,
            Round::Zero => 3,
            Round::Current => 4,
        },
    )
}

/// Float to a `w`-bit integer, zero-extended.
pub fn to_int(rule: NanRule, fs: FSize, w: Width, signed: Sign, mode: Round, over: Overflow, a: u64) -> u64 {
    if rule.is_soft() {
        let (mode, mut invalid) = (arm_rounding(effective(mode)), false);
        let result = soft(rule, |unit| {
            let result = unit.to_fixed(fs, w, signed, mode, 0, a);
            invalid = unit.raised & guest::arm_float::flag::INVALID != 0;
            result
        });
        return if invalid && over == Overflow::Indefinite { w.sign_bit() } else { result };
    }
    let a = a & fs.width().mask();
    let negative = a & sign_bit(fs) != 0;
    if is_nan(fs, a) || is_infinite(fs, a) {
        raise(bit::INVALID);
        return out_of_range(w, signed, over, negative, is_nan(fs, a));
    }
    if is_zero(fs, a) || flushed(fs, a) {
        return 0;
    }
    let (magnitude, inexact) = integral_magnitude(fs, effective(mode), negative, a);
    let limit = match signed {
        Sign::Signed => u128::from(w.sign_bit()) - u128::from(!negative),
        Sign::Unsigned if negative => 0,
        Sign::Unsigned => u128::from(w.mask()),
    };
    if magnitude > limit {
        raise(bit::INVALID);
        return out_of_range(w, signed, over, negative, false);
    }
    if inexact {
        raise(bit::INEXACT);
    }
    let value = magnitude as u64;
    (if negative { value.wrapping_neg() } else { value }) & w.mask()
}

/// The rounded absolute value (saturated at 2^100) and whether rounding changed it.
fn integral_magnitude(fs: FSize, mode: Round, negative: bool, a: u64) -> (u128, bool) {
    let m = mantissa_bits(fs);
    let bias = (exponent_mask(fs) >> (m + 1)) as i64;
    let biased = ((a & exponent_mask(fs)) >> m) as i64;
    let fraction = u128::from(a & ((1 << m) - 1));
    let significand = if biased == 0 { fraction } else { fraction | 1 << m };
    let shift = biased.max(1) - bias - i64::from(m);
    if shift >= 0 {
        return (if shift > 64 { 1 << 100 } else { significand << shift }, false);
    }
    let down = (-shift).min(100) as u32;
    let (whole, rest) = (significand >> down, significand & ((1 << down) - 1));
    let half = 1u128 << (down - 1);
    let up = match mode {
        Round::Nearest | Round::Current => rest > half || (rest == half && whole & 1 == 1),
        Round::Away => rest >= half,
        Round::Down => negative && rest != 0,
        Round::Up => !negative && rest != 0,
        Round::Zero => false,
    };
    (whole + u128::from(up), rest != 0)
}

fn out_of_range(w: Width, signed: Sign, over: Overflow, negative: bool, nan: bool) -> u64 {
    match (over, signed) {
        (Overflow::Indefinite, Sign::Signed) => w.sign_bit(),
        (Overflow::Indefinite, Sign::Unsigned) => w.mask(),
        _ if nan => 0,
        (Overflow::Saturate, Sign::Signed) => w.sign_bit() - u64::from(!negative),
        (Overflow::Saturate, Sign::Unsigned) => {
            if negative {
                0
            } else {
                w.mask()
            }
        }
    }
}

/// Integer to float.
pub fn from_int(rule: NanRule, fs: FSize, w: Width, signed: Sign, a: u64) -> u64 {
    if fs == FSize::F16 && rule != NanRule::X86 {
        return soft(rule, |unit| unit.from_fixed(fs, w, signed, 0, a));
    }
    let (value, unsigned_top) = match signed {
        Sign::Signed => (w.sign_extend(a), false),
        Sign::Unsigned => (a & w.mask(), a & w.mask() & 1 << 63 != 0),
    };
    let from = if fs == FSize::F64 { fp::cvtsi2sd } else { fp::cvtsi2ss };
    if !unsigned_top {
        return down(fs, from(value));
    }
    let halved = from(value >> 1 | value & 1);
    down(fs, if fs == FSize::F64 { fp::addsd(halved, halved) } else { fp::addss(halved, halved) })
}
