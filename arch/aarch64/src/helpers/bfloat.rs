//! Brain floats: products and sums as the manual's `BFDotAdd` has them, which is as no other unit does it:
//! rounded to odd, denormals flushed, every NaN the default one, and no exceptions.

/// The operation: the helper's immediate. `a` is Vd, `b` Vn, `c` Vm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum BfOp {
    Dot,
    Matrix,
}

pub fn execute(a: u128, b: u128, c: u128, op: u32) -> u128 {
    let word = |v: u128, i: usize| (v >> (32 * i)) as u32;
    let lane = |i: usize| {
        if op == BfOp::Dot as u32 {
            return dot(word(a, i), word(b, i), word(c, i));
        }
        // A 2x2 matrix plus a 2x4 times a 4x2 one, rows and columns of two words each.
        let (row, column) = (i / 2 * 2, i % 2 * 2);
        let first = dot(word(a, i), word(b, row), word(c, column));
        dot(first, word(b, row + 1), word(c, column + 1))
    };
    (0..4).rev().fold(0, |bits, i| bits << 32 | u128::from(lane(i)))
}

/// The addend plus the products of the two pairs that the words hold.
fn dot(addend: u32, a: u32, b: u32) -> u32 {
    let products = add(multiply(a << 16, b << 16), multiply(a & 0xffff_0000, b & 0xffff_0000));
    add(addend, products)
}

const SIGN: u32 = 1 << 31;
const INFINITY: u32 = 0x7f80_0000;
const DEFAULT_NAN: u32 = 0x7fc0_0000;

fn is_nan(a: u32) -> bool {
    a & !SIGN > INFINITY
}

/// With denormals flushed.
fn flush(a: u32) -> u32 {
    if a & INFINITY == 0 { a & SIGN } else { a }
}

fn multiply(a: u32, b: u32) -> u32 {
    let (a, b) = (flush(a), flush(b));
    let sign = (a ^ b) & SIGN;
    let (x, y) = (a & !SIGN, b & !SIGN);
    if is_nan(a) || is_nan(b) || (x.max(y) == INFINITY && x.min(y) == 0) {
        return DEFAULT_NAN;
    }
    match (x.max(y), x.min(y)) {
        (INFINITY, _) => sign | INFINITY,
        (_, 0) => sign,
        _ => {
            let product = u128::from(significand(x)) * u128::from(significand(y));
            round(sign, product, exponent(x) + exponent(y))
        }
    }
}

fn add(a: u32, b: u32) -> u32 {
    let (a, b) = (flush(a), flush(b));
    let (x, y) = (a & !SIGN, b & !SIGN);
    if is_nan(a) || is_nan(b) || (x == INFINITY && y == INFINITY && a != b) {
        return DEFAULT_NAN;
    }
    if x == INFINITY || y == INFINITY {
        return if x == INFINITY { a } else { b };
    }
    match (x, y) {
        (0, 0) => return if a == b { a } else { 0 },
        (0, _) => return b,
        (_, 0) => return a,
        _ => {}
    }
    let ((big, small), sign) = if x >= y { ((x, y), a & SIGN) } else { ((y, x), b & SIGN) };
    // The larger significand stands 64 bits up; what is too far below it only leaves a trace.
    let distance = (exponent(big) - exponent(small)) as u32;
    let (high, low) = (u128::from(significand(big)) << 64, u128::from(significand(small)) << 64);
    let low = if distance > 64 { 1 } else { low >> distance };
    let sum = if (a ^ b) & SIGN == 0 { high + low } else { high - low };
    if sum == 0 { 0 } else { round(sign, sum, exponent(big) - 64) }
}

fn significand(a: u32) -> u32 {
    a & 0x007f_ffff | 0x0080_0000
}

/// The exponent that goes with [`significand`] as an integer.
fn exponent(a: u32) -> i32 {
    (a >> 23) as i32 - 150
}

/// `value` times 2^`exponent` in single precision: rounded to odd, infinite where too large, zero where too
/// small for a normal number.
fn round(sign: u32, value: u128, exponent: i32) -> u32 {
    let up = value.leading_zeros();
    let aligned = value << up;
    let kept = (aligned >> 104) as u32;
    let odd = u32::from(aligned << 24 != 0);
    let biased = exponent + 104 - up as i32 + 150;
    match biased {
        ..=0 => sign,
        255.. => sign | INFINITY,
        e => sign | (e as u32) << 23 | (kept & 0x007f_ffff) | odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_sums_are_exact_and_others_odd() {
        let bits = f32::to_bits;
        assert_eq!(add(bits(1.5), bits(2.25)), bits(3.75));
        assert_eq!(add(bits(1.0), bits(-1.0)), 0);
        assert_eq!(add(bits(-0.0), bits(-0.0)), bits(-0.0));
        assert_eq!(add(bits(-0.0), bits(0.0)), 0);
        assert_eq!(add(bits(1.0), bits(1e-30)), bits(1.0) + 1);
        assert_eq!(add(bits(1.0), bits(-1e-30)), bits(1.0) - 1);
        assert_eq!(multiply(bits(3.0), bits(-0.5)), bits(-1.5));
        assert_eq!(multiply(bits(1e38), bits(1e38)), INFINITY);
        assert_eq!(multiply(bits(1e-38), bits(1e-20)), 0);
    }
}
