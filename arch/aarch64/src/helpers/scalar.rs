//! Helpers on integers and on the bits of floats.

use crate::fpenv;

/// `CRC32*` (`kind` bit 2 clear, polynomial 0x04C11DB7) and `CRC32C*` (set, 0x1EDC6F41), of the
/// `1 << (kind & 3)` low bytes of `data`.
pub fn crc32(crc: u64, data: u64, kind: u64) -> u64 {
    let polynomial: u32 = if kind & 4 != 0 { 0x82f6_3b78 } else { 0xedb8_8320 };
    let mut crc = crc as u32;
    for byte in data.to_le_bytes().into_iter().take(1 << (kind & 3)) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { polynomial } else { 0 };
        }
    }
    u64::from(crc)
}

pub fn fpsr_read(kept: u64, environment: u64, qc: u64) -> u64 {
    fpenv::merge_fpsr(kept, environment as u32) | if qc != 0 { 1 << 27 } else { 0 }
}

pub fn fpsr_to_environment(fpsr: u64, fpcr: u64, _environment: u64) -> u64 {
    u64::from(fpenv::environment(fpcr, fpsr))
}

pub fn fpsr_merge(kept: u64, environment: u64, _fpcr: u64) -> u64 {
    fpenv::merge_fpsr(kept, environment as u32)
}

pub fn fpcr_to_environment(environment: u64, fpcr: u64, kept: u64) -> u64 {
    u64::from(fpenv::with_fpcr(environment as u32, fpcr, kept))
}

/// A float's format: bits of fraction and of exponent.
#[derive(Clone, Copy)]
struct Format {
    fraction: u32,
    exponent: u32,
}

const F16: Format = Format { fraction: 10, exponent: 5 };
const F32: Format = Format { fraction: 23, exponent: 8 };
const F64: Format = Format { fraction: 52, exponent: 11 };

impl Format {
    const fn of(bits: u64) -> Self {
        match bits {
            64 => F64,
            16 => F16,
            _ => F32,
        }
    }
    const fn sign(self, value: u64) -> u64 {
        value & 1 << (self.fraction + self.exponent)
    }
    const fn max_exponent(self) -> u64 {
        (1 << self.exponent) - 1
    }
    const fn exponent_of(self, value: u64) -> u64 {
        value >> self.fraction & self.max_exponent()
    }
    const fn fraction_of(self, value: u64) -> u64 {
        value & ((1 << self.fraction) - 1)
    }
    const fn infinity(self) -> u64 {
        self.max_exponent() << self.fraction
    }
    const fn bias(self) -> i64 {
        (self.max_exponent() >> 1) as i64
    }
}

/// Bits of the third argument of the estimates: the operand size in bits, FPCR.FZ in bit 8, the rounding
/// mode (FPCR's numbering) in bits 10:9.
const FLUSH: u64 = 1 << 8;

/// `FPRecipEstimate` of a value that is no NaN.
pub fn reciprocal(value: u64, _: u64, how: u64) -> u64 {
    let f = Format::of(how & 0xff);
    let (sign, mut exponent, mut fraction) =
        (f.sign(value), f.exponent_of(value) as i64, f.fraction_of(value));
    if exponent as u64 == f.max_exponent() {
        return sign;
    }
    if exponent == 0 && (fraction == 0 || how & FLUSH != 0) {
        return sign | f.infinity();
    }
    if exponent == 0 {
        if fraction >> (f.fraction - 2) == 0 {
            // The reciprocal is too large: infinity or the largest number, as rounding says.
            let to_infinity = match how >> 9 & 3 {
                0 => true,
                1 => sign == 0,
                2 => sign != 0,
                _ => false,
            };
            return sign | if to_infinity { f.infinity() } else { f.infinity() - 1 };
        }
        let shift = if fraction >> (f.fraction - 1) == 0 { 2 } else { 1 };
        exponent = 1 - i64::from(shift);
        fraction = fraction << shift & ((1 << f.fraction) - 1);
    }
    let result_exponent = 2 * f.bias() - 1 - exponent;
    if result_exponent < 1 && how & FLUSH != 0 {
        return sign;
    }
    let scaled = 0x100 | fraction >> (f.fraction - 8);
    let estimate = (reciprocal_estimate(scaled) & 0xff) << (f.fraction - 8);
    let implicit = 1 << f.fraction;
    sign | match result_exponent {
        0 => (estimate | implicit) >> 1,
        -1 => (estimate | implicit) >> 2,
        e => (e as u64) << f.fraction | estimate,
    }
}

/// `RecipEstimate`: 256..511 to 256..511.
pub const fn reciprocal_estimate(a: u64) -> u64 {
    let a = a * 2 + 1;
    let b = (1 << 19) / a;
    b.div_ceil(2)
}

/// `FPRSqrtEstimate` of a value that is no NaN and not below zero (those the caller replaces).
pub fn reciprocal_sqrt(value: u64, _: u64, how: u64) -> u64 {
    let f = Format::of(how & 0xff);
    let (sign, mut exponent, mut fraction) =
        (f.sign(value), f.exponent_of(value) as i64, f.fraction_of(value));
    if exponent as u64 == f.max_exponent() {
        return 0;
    }
    if exponent == 0 && (fraction == 0 || how & FLUSH != 0) {
        return sign | f.infinity();
    }
    if exponent == 0 {
        while fraction >> (f.fraction - 1) == 0 {
            fraction <<= 1;
            exponent -= 1;
        }
        fraction = fraction << 1 & ((1 << f.fraction) - 1);
    }
    let scaled = if exponent & 1 == 0 {
        0x100 | fraction >> (f.fraction - 8)
    } else {
        0x80 | fraction >> (f.fraction - 7)
    };
    let result_exponent = (3 * f.bias() - 1 - exponent) / 2;
    (result_exponent as u64) << f.fraction | (sqrt_estimate(scaled) & 0xff) << (f.fraction - 8)
}

/// `RecipSqrtEstimate`: 128..511 to 256..511.
pub const fn sqrt_estimate(a: u64) -> u64 {
    let a = if a < 256 { a * 2 + 1 } else { (a >> 1 << 1) * 2 + 2 };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// `FRECPX` of a value that is no NaN.
pub fn reciprocal_exponent(value: u64, _: u64, how: u64) -> u64 {
    let f = Format::of(how & 0xff);
    let exponent = match f.exponent_of(value) {
        0 => f.max_exponent() - 1,
        e => !e & f.max_exponent(),
    };
    f.sign(value) | exponent << f.fraction
}

/// An integer with at most 53 significant bits: bits that are lost are noted in the lowest that is kept.
pub fn integer_to_odd(value: u64, signed: u64, _: u64) -> u64 {
    let negative = signed != 0 && (value as i64) < 0;
    let magnitude = if negative { value.wrapping_neg() } else { value };
    let drop = (64 - magnitude.leading_zeros()).saturating_sub(53);
    let kept = magnitude >> drop << drop;
    let odd = kept | u64::from(kept != magnitude) << drop;
    if negative { odd.wrapping_neg() } else { odd }
}

/// The double's integer part modulo 2^32 (`FPToFixedJS`); 0 for what is no number.
pub fn to_int32_modulo(value: u64, _: u64, _: u64) -> u64 {
    let exponent = F64.exponent_of(value) as i64 - F64.bias();
    if !(0..=F64.bias()).contains(&exponent) {
        return 0;
    }
    let significand = 1 << F64.fraction | F64.fraction_of(value);
    let shift = exponent - i64::from(F64.fraction);
    let magnitude = match shift {
        32.. => 0,
        0.. => (significand as u32) << shift,
        _ => (significand >> -shift) as u32,
    };
    u64::from(if F64.sign(value) != 0 { magnitude.wrapping_neg() } else { magnitude })
}

/// A double as a single, rounded to odd (`FCVTXN`); `converted` is the result for a NaN. With `flush`,
/// denormal operands and results are zero.
pub fn round_to_odd(value: u64, converted: u64, flush: u64) -> u64 {
    let (sign, exponent) = (F64.sign(value) >> 32, F64.exponent_of(value) as i64 - F64.bias() + F32.bias());
    let fraction = F64.fraction_of(value);
    if F64.exponent_of(value) == F64.max_exponent() {
        return converted;
    }
    if exponent >= F32.max_exponent() as i64 {
        return sign | (F32.infinity() - 1);
    }
    if exponent < 1 && flush != 0 {
        return sign;
    }
    if F64.exponent_of(value) == 0 {
        return sign | u64::from(fraction != 0);
    }
    let significand = 1 << F64.fraction | fraction;
    let drop = (F64.fraction - F32.fraction) as i64 + (1 - exponent).max(0);
    let kept = if drop < 64 { significand >> drop } else { 0 };
    let lost = drop >= 64 || significand & ((1 << drop) - 1) != 0;
    let biased = if exponent > 0 { ((exponent - 1) as u64) << F32.fraction } else { 0 };
    sign | (biased + kept) | u64::from(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_of_the_check_string() {
        let sum = |kind: u64| !b"123456789".iter().fold(0xffff_ffff, |c, b| crc32(c, u64::from(*b), kind));
        assert_eq!(sum(0) as u32, 0xcbf4_3926);
        assert_eq!(sum(4) as u32, 0xe306_9283);
    }

    #[test]
    fn rounding_to_odd_keeps_what_is_exact_and_marks_what_is_not() {
        let odd = |value: f64| f32::from_bits(round_to_odd(value.to_bits(), 0, 0) as u32);
        assert_eq!(odd(1.5), 1.5);
        assert_eq!(odd(-f64::from(f32::MIN_POSITIVE) / 4.0), -f32::MIN_POSITIVE / 4.0);
        assert_eq!(odd(1.0 + 1e-12).to_bits(), 1.0f32.to_bits() + 1);
        assert_eq!(odd(1e300), f32::MAX);
        assert_eq!(odd(1e-300).to_bits(), 1);
    }

    #[test]
    fn estimates_are_within_eight_bits() {
        for value in [1.0f64, 1.5, 3.0, 7.25, 1e100, 1e-100] {
            let r = f64::from_bits(reciprocal(value.to_bits(), 0, 64));
            assert!((r * value - 1.0).abs() < 1.0 / 256.0);
            let s = f64::from_bits(reciprocal_sqrt(value.to_bits(), 0, 64));
            assert!((s * s * value - 1.0).abs() < 1.0 / 100.0);
        }
    }
}
