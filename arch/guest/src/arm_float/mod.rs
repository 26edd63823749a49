//! AArch64 floating point by the manual's pseudocode (Arm ARM, "shared/functions/float"), in integers.
//!
//! The engine computes with the host's own floats. Where those and Arm differ (NaNs, results that round up to the
//! smallest normal number, flushed denormals, half precision, the alternative half-precision format), or the host
//! has no such instruction, it asks here. Exceptions are collected in FPSR's layout.

mod arithmetic;
mod convert;
mod estimate;
#[cfg(test)]
mod tests;

pub use arithmetic::Extreme;
pub use estimate::{recip_estimate, rsqrt_estimate};

use crate::ir::{ArmFloat, FSize};

/// FPSR's cumulative exception bits.
pub mod flag {
    pub const INVALID: u32 = 1;
    pub const DIVIDE_BY_ZERO: u32 = 1 << 1;
    pub const OVERFLOW: u32 = 1 << 2;
    pub const UNDERFLOW: u32 = 1 << 3;
    pub const INEXACT: u32 = 1 << 4;
    pub const INPUT_DENORMAL: u32 = 1 << 7;
}

/// FPCR's bits that change results besides the rounding mode.
pub mod control {
    /// DN
    pub const DEFAULT_NAN: u8 = 1;
    /// FZ
    pub const FLUSH: u8 = 1 << 1;
    /// FZ16
    pub const FLUSH_HALF: u8 = 1 << 2;
    /// AHP
    pub const ALTERNATIVE_HALF: u8 = 1 << 3;
}

/// `FPRounding`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    Nearest,
    Up,
    Down,
    Zero,
    Away,
    Odd,
}

/// A format: bits of exponent and of fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Format {
    exponent: u32,
    fraction: u32,
}

const HALF: Format = Format { exponent: 5, fraction: 10 };
const SINGLE: Format = Format { exponent: 8, fraction: 23 };
const DOUBLE: Format = Format { exponent: 11, fraction: 52 };
const BRAIN: Format = Format { exponent: 8, fraction: 7 };

impl Format {
    const fn of(fs: FSize) -> Self {
        match fs {
            FSize::F16 => HALF,
            FSize::F32 => SINGLE,
            FSize::F64 => DOUBLE,
        }
    }
    const fn sign_bit(self) -> u64 {
        1 << (self.exponent + self.fraction)
    }
    const fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.fraction
    }
    const fn quiet_bit(self) -> u64 {
        1 << (self.fraction - 1)
    }
    const fn default_nan(self) -> u64 {
        self.infinity() | self.quiet_bit()
    }
    /// The exponent of the smallest normal number.
    const fn lowest(self) -> i32 {
        2 - (1 << (self.exponent - 1))
    }
    const fn signed(self, sign: bool, bits: u64) -> u64 {
        if sign { self.sign_bit() | bits } else { bits }
    }
}

/// A value that is not zero: `significand * 2^exponent`. Bits that were lost below are noted in the lowest bit
/// of the significand, which then is far below what a result keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Finite {
    sign: bool,
    significand: u128,
    exponent: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Number {
    Zero(bool),
    Finite(Finite),
    Infinite(bool),
    /// The operand's bits, and whether it signals.
    Nan(u64, bool),
}

impl Number {
    const fn sign(self, format: Format) -> bool {
        match self {
            Self::Zero(sign) | Self::Infinite(sign) => sign,
            Self::Finite(f) => f.sign,
            Self::Nan(bits, _) => bits & format.sign_bit() != 0,
        }
    }
}

/// The unit's state: how it is to compute, and what it has raised.
#[derive(Clone, Debug)]
pub struct Unit {
    pub rounding: Rounding,
    /// Bits of [`control`].
    pub control: u8,
    /// Bits of [`flag`].
    pub raised: u32,
}

impl Unit {
    #[must_use]
    pub const fn new(rounding: Rounding, control: u8) -> Self {
        Self { rounding, control, raised: 0 }
    }

    const fn has(&self, bits: u8) -> bool {
        self.control & bits != 0
    }

    fn raise(&mut self, bits: u32) {
        self.raised |= bits;
    }

    const fn flushes(&self, format: Format) -> bool {
        self.has(if format.exponent == HALF.exponent { control::FLUSH_HALF } else { control::FLUSH })
    }

    /// `FPUnpack`: flushed halves raise nothing.
    fn unpack(&mut self, f: Format, bits: u64) -> Number {
        let sign = bits & f.sign_bit() != 0;
        let (field, fraction) =
            (bits >> f.fraction & ((1 << f.exponent) - 1), bits & ((1 << f.fraction) - 1));
        if field == 0 {
            if fraction != 0 && self.flushes(f) {
                if f != HALF {
                    self.raise(flag::INPUT_DENORMAL);
                }
                return Number::Zero(sign);
            }
            return match fraction {
                0 => Number::Zero(sign),
                _ => Self::finite(f, sign, 1, fraction),
            };
        }
        if field == (1 << f.exponent) - 1 {
            return match fraction {
                0 => Number::Infinite(sign),
                _ => Number::Nan(bits & (f.sign_bit() | (f.sign_bit() - 1)), fraction & f.quiet_bit() == 0),
            };
        }
        Self::finite(f, sign, field as i32, fraction | 1 << f.fraction)
    }

    const fn finite(f: Format, sign: bool, field: i32, significand: u64) -> Number {
        let exponent = field - 1 + f.lowest() - f.fraction as i32;
        Number::Finite(Finite { sign, significand: significand as u128, exponent })
    }

    /// `FPProcessNaN`
    fn nan(&mut self, f: Format, (bits, signals): (u64, bool)) -> u64 {
        if signals {
            self.raise(flag::INVALID);
        }
        if self.has(control::DEFAULT_NAN) { f.default_nan() } else { bits | f.quiet_bit() }
    }

    /// `FPProcessNaNs`, `FPProcessNaNs3`: the first that signals, else the first.
    fn nans(&mut self, f: Format, operands: &[Number]) -> Option<u64> {
        let nans = || {
            operands.iter().filter_map(|n| match *n {
                Number::Nan(bits, signals) => Some((bits, signals)),
                _ => None,
            })
        };
        let chosen = nans().find(|&(_, signals)| signals).or_else(|| nans().next())?;
        Some(self.nan(f, chosen))
    }

    /// The default NaN, for an invalid operation.
    fn invalid(&mut self, f: Format) -> u64 {
        self.raise(flag::INVALID);
        f.default_nan()
    }

    /// `FPRoundBase` under the unit's own rounding mode.
    fn round(&mut self, f: Format, value: Finite) -> u64 {
        self.round_as(f, value, self.rounding)
    }

    fn round_as(&mut self, f: Format, value: Finite, rounding: Rounding) -> u64 {
        let top = 127 - value.significand.leading_zeros() as i32;
        let exponent = value.exponent + top;
        if exponent < f.lowest() && self.flushes(f) {
            self.raise(flag::UNDERFLOW);
            return f.signed(value.sign, 0);
        }
        let biased = (exponent - f.lowest() + 1).max(0);
        // The weight of the result's last place.
        let last = exponent.max(f.lowest()) - f.fraction as i32;
        let (mut mantissa, lost, half) = scaled(value, last);
        let inexact = lost != Lost::Nothing;
        if biased == 0 && inexact {
            self.raise(flag::UNDERFLOW);
        }
        let up = match rounding {
            Rounding::Nearest => lost == Lost::Most || half && mantissa & 1 == 1,
            Rounding::Away => lost == Lost::Most || half,
            Rounding::Up => inexact && !value.sign,
            Rounding::Down => inexact && value.sign,
            Rounding::Zero | Rounding::Odd => false,
        };
        mantissa += u64::from(up);
        if rounding == Rounding::Odd && inexact {
            mantissa |= 1;
        }
        // A carry out of the fraction goes on into the exponent, by addition.
        let bits = if biased == 0 { mantissa } else { ((biased as u64 - 1) << f.fraction) + mantissa };
        self.finish(f, value.sign, bits, inexact, rounding)
    }

    /// Overflow and Inexact.
    fn finish(&mut self, f: Format, sign: bool, bits: u64, inexact: bool, rounding: Rounding) -> u64 {
        if bits >= f.infinity() {
            self.raise(flag::OVERFLOW | flag::INEXACT);
            let infinite = match rounding {
                Rounding::Nearest | Rounding::Away => true,
                Rounding::Up => !sign,
                Rounding::Down => sign,
                Rounding::Zero | Rounding::Odd => false,
            };
            return f.signed(sign, if infinite { f.infinity() } else { f.infinity() - 1 });
        }
        if inexact {
            self.raise(flag::INEXACT);
        }
        f.signed(sign, bits)
    }

    /// The zero that an exact difference gives.
    fn zero_sum(&self, f: Format) -> u64 {
        f.signed(self.rounding == Rounding::Down, 0)
    }

    /// Operations that no other op of the IR says.
    pub fn other(&mut self, op: ArmFloat, fs: FSize, imm: u32, a: u64, b: u64) -> u64 {
        match op {
            ArmFloat::Mulx => self.mulx(fs, a, b),
            ArmFloat::RecipStep => self.recip_step(fs, a, b),
            ArmFloat::RsqrtStep => self.rsqrt_step(fs, a, b),
            ArmFloat::RecipEstimate => self.recip_estimate(fs, a),
            ArmFloat::RsqrtEstimate => self.rsqrt_estimate(fs, a),
            ArmFloat::RecipExponent => self.recip_exponent(fs, a),
            ArmFloat::ToSingleOdd => self.single_odd(a),
            ArmFloat::ToBrain => self.brain(a),
            ArmFloat::FixedToHalf => self.fixed_to_half(imm, a),
            ArmFloat::HalfToFixed => self.half_to_fixed(imm, a),
        }
    }
}

/// What lay below the last place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lost {
    Nothing,
    /// Half of the last place or less.
    Some,
    /// More than half.
    Most,
}

/// The value in units of 2^`last`, what is lost, and whether that is exactly half.
fn scaled(value: Finite, last: i32) -> (u64, Lost, bool) {
    let shift = last - value.exponent;
    if shift <= 0 {
        return ((value.significand << -shift) as u64, Lost::Nothing, false);
    }
    if shift > 127 {
        let half = 1 << 127;
        let lost = if shift == 128 && value.significand > half { Lost::Most } else { Lost::Some };
        return (0, lost, shift == 128 && value.significand == half);
    }
    let (whole, rest) = (value.significand >> shift, value.significand & ((1u128 << shift) - 1));
    let half = 1u128 << (shift - 1);
    let lost = match rest {
        0 => Lost::Nothing,
        _ if rest > half => Lost::Most,
        _ => Lost::Some,
    };
    (whole as u64, lost, rest == half)
}
