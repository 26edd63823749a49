//! The cryptographic extension: AES rounds, SHA-1 and SHA-256 steps, 64-bit polynomial products.
//!
//! The functions follow the manual's pseudocode on 128-bit integers; speed comes from the compiled
//! tier's own lowering, if anything needs it.

use super::{sha512, sm};

/// The operation: the helper's immediate. `a` is Vd, `b` Vn, `c` Vm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum CryptoOp {
    Aese,
    Aesd,
    Aesmc,
    Aesimc,
    Sha1c,
    Sha1p,
    Sha1m,
    Sha1h,
    Sha1su0,
    Sha1su1,
    Sha256h,
    Sha256h2,
    Sha256su0,
    Sha256su1,
    /// Polynomial product of the low halves.
    Pmull,
    /// Of the high halves.
    Pmull2,
    Sha512h,
    Sha512h2,
    Sha512su0,
    Sha512su1,
    Sm3tt1a,
    Sm3tt1b,
    Sm3tt2a,
    Sm3tt2b,
    Sm3partw1,
    Sm3partw2,
    Sm4e,
    Sm4ekey,
}

const OPS: [fn(u128, u128, u128) -> u128; 28] = [
    |a, b, _| sub_bytes(&SBOX, shift_rows(a ^ b, 1)),
    |a, b, _| sub_bytes(&INVERSE_SBOX, shift_rows(a ^ b, 3)),
    |_, b, _| mix_columns(b, [2, 3, 1, 1]),
    |_, b, _| mix_columns(b, [14, 11, 13, 9]),
    |a, b, c| sha1_hash(a, b, c, choose),
    |a, b, c| sha1_hash(a, b, c, |x, y, z| x ^ y ^ z),
    |a, b, c| sha1_hash(a, b, c, majority),
    |_, b, _| u128::from((b as u32).rotate_left(30)),
    |a, b, c| (b << 64 | a >> 64) ^ a ^ c,
    |a, b, _| sha1_su1(a, b),
    |a, b, c| sha256_hash(a, b, c).0,
    |a, b, c| sha256_hash(b, a, c).1,
    |a, b, _| sha256_su0(a, b),
    sha256_su1,
    |_, b, c| polynomial_product(b as u64, c as u64),
    |_, b, c| polynomial_product((b >> 64) as u64, (c >> 64) as u64),
    sha512::h,
    sha512::h2,
    |a, b, _| sha512::su0(a, b),
    sha512::su1,
    |a, b, c| sm::tt1(a, b, c, |x, y, z| x ^ y ^ z),
    |a, b, c| sm::tt1(a, b, c, majority),
    |a, b, c| sm::tt2(a, b, c, |x, y, z| x ^ y ^ z),
    |a, b, c| sm::tt2(a, b, c, choose),
    sm::partw1,
    sm::partw2,
    |a, b, _| sm::sm4_rounds(a, b, [2, 10, 18, 24]),
    |_, b, c| sm::sm4_rounds(b, c, [13, 23, 0, 0]),
];

pub fn execute(a: u128, b: u128, c: u128, op: u32) -> u128 {
    OPS[(op as usize).min(OPS.len() - 1)](a, b, c)
}

// ---- AES (FIPS 197); byte i of the state is row i % 4 of column i / 4 ----

const SBOX: [u8; 256] = sbox();
const INVERSE_SBOX: [u8; 256] = inverse(&SBOX);

/// Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
const fn gf_mul(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
        b >>= 1;
    }
    product
}

/// The multiplicative inverse (x to the 254) under the affine map.
const fn sbox() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut inverse, mut power, mut n) = (1, i as u8, 254);
        while n != 0 {
            if n & 1 != 0 {
                inverse = gf_mul(inverse, power);
            }
            power = gf_mul(power, power);
            n >>= 1;
        }
        let b = inverse;
        table[i] = b ^ b.rotate_left(1) ^ b.rotate_left(2) ^ b.rotate_left(3) ^ b.rotate_left(4) ^ 0x63;
        i += 1;
    }
    table
}

const fn inverse(table: &[u8; 256]) -> [u8; 256] {
    let mut out = [0; 256];
    let mut i = 0;
    while i < 256 {
        out[table[i] as usize] = i as u8;
        i += 1;
    }
    out
}

fn sub_bytes(table: &[u8; 256], state: u128) -> u128 {
    u128::from_le_bytes(state.to_le_bytes().map(|byte| table[usize::from(byte)]))
}

/// Row r comes from `r * step` columns to the right: 1 forward, 3 inverse.
fn shift_rows(state: u128, step: usize) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| bytes[i % 4 + 4 * ((i / 4 + step * (i % 4)) % 4)]))
}

fn mix_columns(state: u128, row: [u8; 4]) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| {
        (0..4).fold(0, |sum, k| sum ^ gf_mul(row[(k + 4 - i % 4) % 4], bytes[i / 4 * 4 + k]))
    }))
}

// ---- SHA (FIPS 180) ----

/// Word `i` of a vector.
const fn word(v: u128, i: usize) -> u32 {
    (v >> (32 * i)) as u32
}

fn words(v: [u32; 4]) -> u128 {
    v.iter().rev().fold(0, |all, w| all << 32 | u128::from(*w))
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}

fn sha1_hash(a: u128, b: u128, c: u128, f: fn(u32, u32, u32) -> u32) -> u128 {
    let (mut x, mut y) = (a, b as u32);
    for e in 0..4 {
        let t = f(word(x, 1), word(x, 2), word(x, 3));
        y = y.wrapping_add(word(x, 0).rotate_left(5)).wrapping_add(t).wrapping_add(word(c, e));
        let rotated = words([word(x, 0), word(x, 1).rotate_left(30), word(x, 2), word(x, 3)]);
        (y, x) = (word(rotated, 3), rotated << 32 | u128::from(y));
    }
    x
}

fn sha1_su1(a: u128, b: u128) -> u128 {
    let t = a ^ b >> 32;
    let last = word(t, 3).rotate_left(1) ^ word(t, 0).rotate_left(2);
    words([word(t, 0).rotate_left(1), word(t, 1).rotate_left(1), word(t, 2).rotate_left(1), last])
}

fn sha256_hash(mut x: u128, mut y: u128, w: u128) -> (u128, u128) {
    let upper0 = |v: u32| v.rotate_right(2) ^ v.rotate_right(13) ^ v.rotate_right(22);
    let upper1 = |v: u32| v.rotate_right(6) ^ v.rotate_right(11) ^ v.rotate_right(25);
    for e in 0..4 {
        let chosen = choose(word(y, 0), word(y, 1), word(y, 2));
        let most = majority(word(x, 0), word(x, 1), word(x, 2));
        let t = word(y, 3).wrapping_add(upper1(word(y, 0))).wrapping_add(chosen).wrapping_add(word(w, e));
        let x3 = t.wrapping_add(word(x, 3));
        let y3 = t.wrapping_add(upper0(word(x, 0))).wrapping_add(most);
        (x, y) = (x << 32 | u128::from(y3), y << 32 | u128::from(x3));
    }
    (x, y)
}

fn sha256_su0(a: u128, b: u128) -> u128 {
    let t = b << 96 | a >> 32;
    let lower0 = |v: u32| v.rotate_right(7) ^ v.rotate_right(18) ^ v >> 3;
    words(std::array::from_fn(|e| lower0(word(t, e)).wrapping_add(word(a, e))))
}

fn sha256_su1(a: u128, b: u128, c: u128) -> u128 {
    let t = c << 96 | b >> 32;
    let lower1 = |v: u32| v.rotate_right(17) ^ v.rotate_right(19) ^ v >> 10;
    let step = |e: usize, v: u32| lower1(v).wrapping_add(word(a, e)).wrapping_add(word(t, e));
    let (first, second) = (step(0, word(c, 2)), step(1, word(c, 3)));
    words([first, second, step(2, first), step(3, second)])
}

fn polynomial_product(a: u64, b: u64) -> u128 {
    (0..64).filter(|bit| b >> bit & 1 != 0).fold(0, |product, bit| product ^ u128::from(a) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sbox_is_the_standards() {
        assert_eq!((SBOX[0], SBOX[0x53], INVERSE_SBOX[0xed]), (0x63, 0xed, 0x53));
    }

    #[test]
    fn a_round_of_aes_can_be_undone() {
        let state = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;
        let mixed = execute(0, execute(0, state, 0, CryptoOp::Aesmc as u32), 0, CryptoOp::Aesimc as u32);
        assert_eq!(mixed, state);
        let substituted = execute(state, 0, 0, CryptoOp::Aese as u32);
        assert_eq!(execute(substituted, 0, 0, CryptoOp::Aesd as u32), state);
    }

    #[test]
    fn polynomial_products_have_no_carries() {
        assert_eq!(execute(0, 3, 3, CryptoOp::Pmull as u32), 5);
        assert_eq!(execute(0, 1 << 127, 1 << 127, CryptoOp::Pmull2 as u32), 1 << 126);
    }
}
