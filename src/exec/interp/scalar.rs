//! Integer arithmetic that is more than one Rust operator. Widths and results are as the op table says.

use guest::ir::{Sign, Width};

pub fn udiv(w: Width, a: u64, b: u64) -> u64 {
    (a & w.mask()).checked_div(b & w.mask()).unwrap_or(0)
}

pub fn sdiv(w: Width, a: u64, b: u64) -> u64 {
    let (a, b) = (w.sign_extend(a) as i64, w.sign_extend(b) as i64);
    if b == 0 { 0 } else { a.wrapping_div(b) as u64 & w.mask() }
}

pub fn umulh(w: Width, a: u64, b: u64) -> u64 {
    let product = u128::from(a & w.mask()) * u128::from(b & w.mask());
    (product >> w.bits()) as u64 & w.mask()
}

pub fn smulh(w: Width, a: u64, b: u64) -> u64 {
    let product = i128::from(w.sign_extend(a) as i64) * i128::from(w.sign_extend(b) as i64);
    (product >> w.bits()) as u64 & w.mask()
}

/// hi:lo as one unsigned number of twice the width.
fn wide(w: Width, hi: u64, lo: u64) -> u128 {
    u128::from(hi & w.mask()) << w.bits() | u128::from(lo & w.mask())
}

/// hi:lo as one signed number of twice the width.
fn wide_signed(w: Width, hi: u64, lo: u64) -> i128 {
    i128::from(w.sign_extend(hi) as i64) << w.bits() | i128::from(lo & w.mask())
}

/// Quotient and remainder of hi:lo by b, cut to the width; zeros where b is 0.
pub fn div_wide(w: Width, signed: Sign, hi: u64, lo: u64, b: u64) -> (u64, u64) {
    let (q, r) = match signed {
        Sign::Unsigned => {
            let (n, d) = (wide(w, hi, lo), u128::from(b & w.mask()));
            (n.checked_div(d).unwrap_or(0), n.checked_rem(d).unwrap_or(0))
        }
        Sign::Signed => {
            let (n, d) = (wide_signed(w, hi, lo), i128::from(w.sign_extend(b) as i64));
            (n.checked_div(d).unwrap_or(0) as u128, n.checked_rem(d).unwrap_or(0) as u128)
        }
    };
    (q as u64 & w.mask(), r as u64 & w.mask())
}

/// Whether x86's division of hi:lo by b raises #DE.
pub fn div_overflows(w: Width, signed: Sign, hi: u64, lo: u64, b: u64) -> bool {
    match signed {
        Sign::Unsigned => (b & w.mask()) == 0 || (hi & w.mask()) >= (b & w.mask()),
        Sign::Signed => {
            let divisor = i128::from(w.sign_extend(b) as i64);
            let quotient = wide_signed(w, hi, lo).checked_div(divisor);
            quotient.is_none_or(|q| q > i128::from(w.mask() >> 1) || q < -i128::from(w.sign_bit()))
        }
    }
}

pub fn rotl(w: Width, a: u64, b: u64) -> u64 {
    let (a, count) = (a & w.mask(), (b % u64::from(w.bits())) as u32);
    if count == 0 { a } else { (a << count | a >> (w.bits() - count)) & w.mask() }
}

pub fn clz(w: Width, a: u64) -> u64 {
    u64::from((a & w.mask()).leading_zeros() - (64 - w.bits()))
}

pub fn ctz(w: Width, a: u64) -> u64 {
    u64::from((a & w.mask()).trailing_zeros().min(w.bits()))
}

/// The `len` lowest bits set.
pub fn low_mask(len: u8) -> u64 {
    u64::MAX >> (64 - u32::from(len))
}
