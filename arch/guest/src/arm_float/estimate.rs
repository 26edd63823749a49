//! The estimate instructions and their tables.

use super::{Finite, Format, Number, Rounding, Unit, flag};
use crate::ir::FSize;

impl Unit {
    /// `FPRecipEstimate`
    pub(super) fn recip_estimate(&mut self, fs: FSize, a: u64) -> u64 {
        let f = Format::of(fs);
        let value = match self.unpack(f, a) {
            Number::Nan(bits, signals) => return self.nan(f, (bits, signals)),
            Number::Infinite(sign) => return f.signed(sign, 0),
            Number::Zero(sign) => {
                self.raise(flag::DIVIDE_BY_ZERO);
                return f.signed(sign, f.infinity());
            }
            Number::Finite(value) => value,
        };
        let (exponent, scaled) = split(value);
        if exponent < f.lowest() - 2 {
            // The reciprocal is too large.
            self.raise(flag::OVERFLOW | flag::INEXACT);
            let infinite = match self.rounding {
                Rounding::Up => !value.sign,
                Rounding::Down => value.sign,
                other => other == Rounding::Nearest,
            };
            return f.signed(value.sign, if infinite { f.infinity() } else { f.infinity() - 1 });
        }
        let result = -exponent - 1;
        if result < f.lowest() && self.flushes(f) {
            self.raise(flag::UNDERFLOW);
            return f.signed(value.sign, 0);
        }
        let fraction = (recip_estimate(0x100 | scaled) & 0xff) << (f.fraction - 8);
        let below = (f.lowest() - result).max(0) as u32;
        let bits = match below {
            0 => ((result - f.lowest() + 1) as u64) << f.fraction | fraction,
            _ => (fraction | 1 << f.fraction) >> below,
        };
        f.signed(value.sign, bits)
    }

    /// `FPRSqrtEstimate`
    pub(super) fn rsqrt_estimate(&mut self, fs: FSize, a: u64) -> u64 {
        let f = Format::of(fs);
        let value = match self.unpack(f, a) {
            Number::Nan(bits, signals) => return self.nan(f, (bits, signals)),
            Number::Zero(sign) => {
                self.raise(flag::DIVIDE_BY_ZERO);
                return f.signed(sign, f.infinity());
            }
            Number::Infinite(false) => return 0,
            Number::Finite(value) if !value.sign => value,
            _ => return self.invalid(f),
        };
        let (exponent, scaled) = split(value);
        let even = exponent & 1 == 0;
        let scaled = if even { 0x80 | scaled >> 1 } else { 0x100 | scaled };
        // An exponent field of 0 or 1 modulo 2 stands for an odd or even exponent.
        let result = (-1 - exponent).div_euclid(2);
        let bits = ((result - f.lowest() + 1) as u64) << f.fraction;
        bits | (rsqrt_estimate(scaled) & 0xff) << (f.fraction - 8)
    }

    /// `FPRecpX`
    pub(super) fn recip_exponent(&mut self, fs: FSize, a: u64) -> u64 {
        let f = Format::of(fs);
        if let Number::Nan(bits, signals) = self.unpack(f, a) {
            return self.nan(f, (bits, signals));
        }
        let most = f.infinity() >> f.fraction;
        let exponent = match a >> f.fraction & most {
            0 => most - 1,
            field => !field & most,
        };
        f.signed(a & f.sign_bit() != 0, exponent << f.fraction)
    }
}

/// The exponent and the eight bits behind the highest.
fn split(value: Finite) -> (i32, u64) {
    let up = value.significand.leading_zeros();
    let aligned = value.significand << up;
    (value.exponent + 127 - up as i32, (aligned >> 119) as u64 & 0xff)
}

/// `RecipEstimate`: 256..511 to 256..511.
#[must_use]
pub const fn recip_estimate(a: u64) -> u64 {
    let a = a * 2 + 1;
    let b = (1 << 19) / a;
    b.div_ceil(2)
}

/// `RecipSqrtEstimate`: 128..511 to 256..511.
#[must_use]
pub fn rsqrt_estimate(a: u64) -> u64 {
    static TABLE: [u16; 512] = {
        let (mut table, mut a) = ([0; 512], 128);
        while a < 512 {
            table[a] = rsqrt_entry(a as u64) as u16;
            a += 1;
        }
        table
    };
    u64::from(TABLE[a as usize & 511])
}

const fn rsqrt_entry(a: u64) -> u64 {
    let a = if a < 256 { a * 2 + 1 } else { (a >> 1 << 1) * 2 + 2 };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}
