//! Conversions between formats, integers and fixed-point numbers.

use super::{
    BRAIN, DOUBLE, Finite, Format, HALF, Lost, Number, Rounding, SINGLE, Unit, control, flag, scaled,
};
use crate::ir::{FSize, Sign, Width};

impl Unit {
    /// `FPConvert`: halves are never flushed here, and may be of the alternative format.
    pub fn convert(&mut self, from: FSize, to: FSize, a: u64) -> u64 {
        let flush_half = self.control & control::FLUSH_HALF;
        self.control &= !control::FLUSH_HALF;
        let result = self.converted(Format::of(from), Format::of(to), a, self.rounding);
        self.control |= flush_half;
        result
    }

    fn converted(&mut self, from: Format, to: Format, a: u64, rounding: Rounding) -> u64 {
        let alternative = self.has(control::ALTERNATIVE_HALF);
        if alternative && from == HALF {
            return self.of_alternative(to, a);
        }
        let number = self.unpack(from, a);
        if alternative && to == HALF {
            return self.alternative_half(number, from);
        }
        match number {
            Number::Nan(bits, signals) => {
                if signals {
                    self.raise(flag::INVALID);
                }
                if self.has(control::DEFAULT_NAN) { to.default_nan() } else { nan_as(from, to, bits) }
            }
            Number::Infinite(sign) => to.signed(sign, to.infinity()),
            Number::Zero(sign) => to.signed(sign, 0),
            Number::Finite(value) => self.round_as(to, value, rounding),
        }
    }

    /// The largest exponent is one like the others.
    fn of_alternative(&mut self, to: Format, a: u64) -> u64 {
        let (sign, field, fraction) = (a & 1 << 15 != 0, (a >> 10 & 31) as i32, a & 0x3ff);
        let significand = if field == 0 { fraction } else { fraction | 1 << 10 };
        if significand == 0 {
            return to.signed(sign, 0);
        }
        let exponent = field.max(1) - 1 + HALF.lowest() - 10;
        self.round(to, Finite { sign, significand: significand.into(), exponent })
    }

    fn alternative_half(&mut self, number: Number, from: Format) -> u64 {
        const LARGEST: u64 = 0x7fff;
        match number {
            Number::Nan(bits, _) => {
                self.raise(flag::INVALID);
                HALF.signed(bits & from.sign_bit() != 0, 0)
            }
            Number::Infinite(sign) => {
                self.raise(flag::INVALID);
                HALF.signed(sign, LARGEST)
            }
            Number::Zero(sign) => HALF.signed(sign, 0),
            Number::Finite(value) => {
                // A format with one more bit of exponent has the same small numbers, half as wide apart: so the
                // largest exponent is cut off here.
                let top = value.exponent + 127 - value.significand.leading_zeros() as i32;
                let (mut own, big) = (self.clone(), top >= 15);
                let shifted = if big { Finite { exponent: value.exponent - 8, ..value } } else { value };
                let bits = own.round(HALF, shifted);
                let magnitude = (bits & LARGEST) + if big { 8 << 10 } else { 0 };
                if magnitude > LARGEST || top > 16 {
                    self.raise(flag::INVALID);
                    return HALF.signed(value.sign, LARGEST);
                }
                self.raise(own.raised);
                HALF.signed(value.sign, magnitude)
            }
        }
    }

    /// `FCVTXN`
    pub(super) fn single_odd(&mut self, a: u64) -> u64 {
        self.converted(DOUBLE, SINGLE, a, Rounding::Odd)
    }

    /// `FPConvertBF`
    pub(super) fn brain(&mut self, a: u64) -> u64 {
        self.converted(SINGLE, BRAIN, a, self.rounding)
    }

    /// `FPToFixed`: the number times 2^`fraction` as a `w`-bit integer.
    pub fn to_fixed(
        &mut self,
        fs: FSize,
        w: Width,
        sign: Sign,
        rounding: Rounding,
        fraction: i32,
        a: u64,
    ) -> u64 {
        let f = Format::of(fs);
        let value = match self.unpack(f, a) {
            Number::Nan(..) => {
                self.raise(flag::INVALID);
                return 0;
            }
            Number::Infinite(negative) => {
                self.raise(flag::INVALID);
                return limit(w, sign, negative);
            }
            Number::Zero(_) => return 0,
            Number::Finite(value) => Finite { exponent: value.exponent + fraction, ..value },
        };
        let (magnitude, exact) = integral(value, rounding);
        let most = match (sign, value.sign) {
            (Sign::Signed, negative) => u128::from(w.sign_bit()) - u128::from(!negative),
            (Sign::Unsigned, true) => 0,
            (Sign::Unsigned, false) => u128::from(w.mask()),
        };
        if magnitude > most {
            self.raise(flag::INVALID);
            return limit(w, sign, value.sign);
        }
        if !exact {
            self.raise(flag::INEXACT);
        }
        let bits = magnitude as u64;
        (if value.sign { bits.wrapping_neg() } else { bits }) & w.mask()
    }

    /// `FixedToFP`: the integer times 2^-`fraction`.
    pub fn from_fixed(&mut self, fs: FSize, w: Width, sign: Sign, fraction: i32, a: u64) -> u64 {
        let value = match sign {
            Sign::Signed => w.sign_extend(a) as i64,
            Sign::Unsigned => 0,
        };
        let significand = if sign == Sign::Signed { value.unsigned_abs() } else { a & w.mask() };
        if significand == 0 {
            return 0;
        }
        let value = Finite { sign: value < 0, significand: significand.into(), exponent: -fraction };
        self.round(Format::of(fs), value)
    }

    /// The immediate of the two fixed-point ops: fraction bits, bit 8 signed, bits 11:10 the width.
    const fn fixed_form(imm: u32) -> (i32, Sign, Width) {
        let w = match imm >> 10 & 3 {
            1 => Width::W16,
            2 => Width::W32,
            _ => Width::W64,
        };
        ((imm & 0xff) as i32, if imm & 0x100 != 0 { Sign::Signed } else { Sign::Unsigned }, w)
    }

    pub(super) fn fixed_to_half(&mut self, imm: u32, a: u64) -> u64 {
        let (fraction, sign, w) = Self::fixed_form(imm);
        self.from_fixed(FSize::F16, w, sign, fraction, a)
    }

    pub(super) fn half_to_fixed(&mut self, imm: u32, a: u64) -> u64 {
        let (fraction, sign, w) = Self::fixed_form(imm);
        self.to_fixed(FSize::F16, w, sign, Rounding::Zero, fraction, a)
    }

    /// `FPRoundInt`
    pub fn round_to_integral(&mut self, fs: FSize, rounding: Rounding, raises: bool, a: u64) -> u64 {
        let f = Format::of(fs);
        match self.unpack(f, a) {
            Number::Nan(bits, signals) => self.nan(f, (bits, signals)),
            Number::Infinite(sign) => f.signed(sign, f.infinity()),
            Number::Zero(sign) => f.signed(sign, 0),
            Number::Finite(value) => {
                let (magnitude, exact) =
                    if value.exponent >= 0 { (0, true) } else { integral(value, rounding) };
                if value.exponent >= 0 {
                    return a & (f.sign_bit() | (f.sign_bit() - 1));
                }
                if raises && !exact {
                    self.raise(flag::INEXACT);
                }
                if magnitude == 0 {
                    return f.signed(value.sign, 0);
                }
                self.round_as(f, Finite { significand: magnitude, exponent: 0, ..value }, Rounding::Zero)
            }
        }
    }
}

/// The largest or smallest integer.
fn limit(w: Width, sign: Sign, negative: bool) -> u64 {
    match (sign, negative) {
        (Sign::Signed, _) => w.sign_bit() - u64::from(!negative),
        (Sign::Unsigned, true) => 0,
        (Sign::Unsigned, false) => w.mask(),
    }
}

/// The rounded magnitude (2^100 for anything larger) and whether it is exact.
fn integral(value: Finite, rounding: Rounding) -> (u128, bool) {
    let top = value.exponent + 127 - value.significand.leading_zeros() as i32;
    if top > 64 {
        return (1 << 100, true);
    }
    let (whole, lost, half) = scaled_wide(value);
    let up = match rounding {
        Rounding::Nearest => lost == Lost::Most || half && whole & 1 == 1,
        Rounding::Away => lost == Lost::Most || half,
        Rounding::Up => lost != Lost::Nothing && !value.sign,
        Rounding::Down => lost != Lost::Nothing && value.sign,
        Rounding::Zero | Rounding::Odd => false,
    };
    (whole + u128::from(up), lost == Lost::Nothing)
}

/// The value in ones.
fn scaled_wide(value: Finite) -> (u128, Lost, bool) {
    if value.exponent >= 0 {
        return (value.significand << value.exponent, Lost::Nothing, false);
    }
    let (whole, lost, half) = scaled(value, 0);
    (whole.into(), lost, half)
}

/// `FPConvertNaN`: the top of the payload stays.
fn nan_as(from: Format, to: Format, bits: u64) -> u64 {
    let payload = bits & ((1 << from.fraction) - 1);
    let payload = if from.fraction > to.fraction {
        payload >> (from.fraction - to.fraction)
    } else {
        payload << (to.fraction - from.fraction)
    };
    to.signed(bits & from.sign_bit() != 0, to.infinity() | to.quiet_bit() | payload)
}
