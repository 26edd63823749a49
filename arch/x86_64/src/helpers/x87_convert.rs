//! Conversions between extended floats and memory's formats, where they are exact: those need no unit.
//!
//! Most loads and stores of programs are such. What is denormal, infinite, no number, or has to be rounded is left to
//! [`guest::helper::HelperContext::x87`].

use super::x87::format;
use guest::helper::F80;

const EXTENDED_BIAS: u64 = 16383;

/// A binary interchange format.
struct Binary {
    /// Bits of its fraction and of its exponent.
    fraction: u32,
    exponent: u32,
}

const F32: Binary = Binary { fraction: 23, exponent: 8 };
const F64: Binary = Binary { fraction: 52, exponent: 11 };

impl Binary {
    const fn bias(&self) -> u64 {
        (1 << (self.exponent - 1)) - 1
    }

    const fn top(&self) -> u64 {
        (1 << self.exponent) - 1
    }

    /// Zeros and normal numbers.
    fn extend(&self, bits: u64) -> Option<F80> {
        let sign = bits >> (self.fraction + self.exponent) & 1;
        let exponent = bits >> self.fraction & self.top();
        let fraction = bits & ((1 << self.fraction) - 1);
        match exponent {
            0 if fraction == 0 => Some(extended(sign, 0, 0)),
            0 => None,
            _ if exponent == self.top() => None,
            _ => {
                let significand = 1 << 63 | fraction << (63 - self.fraction);
                Some(extended(sign, exponent + EXTENDED_BIAS - self.bias(), significand))
            }
        }
    }

    /// What is a zero or a normal number of this format without being rounded.
    fn narrow(&self, value: &F80) -> Option<u64> {
        let (sign, exponent, significand) = parts(value);
        let sign = sign << (self.fraction + self.exponent);
        if exponent == 0 && significand == 0 {
            return Some(sign);
        }
        let rest = significand << (self.fraction + 1);
        let biased = (exponent + self.bias()).checked_sub(EXTENDED_BIAS)?;
        let is_normal = significand >> 63 != 0 && (1..self.top()).contains(&biased);
        let fraction = significand << 1 >> (64 - self.fraction);
        (is_normal && rest == 0).then_some(sign | biased << self.fraction | fraction)
    }
}

fn extended(sign: u64, exponent: u64, significand: u64) -> F80 {
    let mut value = [0; 10];
    value[..8].copy_from_slice(&significand.to_le_bytes());
    value[8..].copy_from_slice(&((sign << 15 | exponent) as u16).to_le_bytes());
    value
}

/// Sign, exponent, significand.
fn parts(value: &F80) -> (u64, u64, u64) {
    let top = u64::from(u16::from_le_bytes([value[8], value[9]]));
    (top >> 15, top & 0x7fff, u64::from_le_bytes(std::array::from_fn(|i| value[i])))
}

fn from_integer(value: i64) -> F80 {
    let magnitude = value.unsigned_abs();
    if magnitude == 0 {
        return [0; 10];
    }
    let shift = magnitude.leading_zeros();
    extended(u64::from(value < 0), EXTENDED_BIAS + 63 - u64::from(shift), magnitude << shift)
}

/// The operand in memory as an extended float, where that raises nothing.
pub(super) fn load(code: u64, raw: &F80) -> Option<F80> {
    let bits = u64::from_le_bytes(std::array::from_fn(|i| raw[i]));
    match code {
        format::F32 => F32.extend(bits & 0xffff_ffff),
        format::F64 => F64.extend(bits),
        format::I16 => Some(from_integer(i64::from(bits as i16))),
        format::I32 => Some(from_integer(i64::from(bits as i32))),
        format::I64 => Some(from_integer(bits as i64)),
        _ => None,
    }
}

/// The bytes that a store writes, where it raises nothing.
pub(super) fn store(code: u64, value: &F80) -> Option<F80> {
    let bits = match code {
        format::F32 => F32.narrow(value)?,
        format::F64 => F64.narrow(value)?,
        _ => return None,
    };
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&bits.to_le_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_come_back_as_they_were() {
        for value in [0.0, -0.0, 1.0, -1.5, 1e300, -1e-300, f64::MIN_POSITIVE, f64::MAX] {
            let mut raw = [0; 10];
            raw[..8].copy_from_slice(&value.to_bits().to_le_bytes());
            let extended = load(format::F64, &raw).unwrap();
            assert_eq!(store(format::F64, &extended), Some(raw), "{value}");
        }
    }

    #[test]
    fn what_must_be_rounded_is_left_to_the_unit() {
        let third = extended(0, EXTENDED_BIAS - 2, 0xaaaa_aaaa_aaaa_aaab);
        assert_eq!(store(format::F64, &third), None);
        let tiny = extended(0, EXTENDED_BIAS - 1023, 1 << 63);
        assert_eq!(store(format::F64, &tiny), None);
        assert_eq!(load(format::F64, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn integers_are_normalised() {
        assert_eq!(from_integer(-1), extended(1, EXTENDED_BIAS, 1 << 63));
        assert_eq!(from_integer(i64::MIN), extended(1, EXTENDED_BIAS + 63, 1 << 63));
    }
}
