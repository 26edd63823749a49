//! The same steps without the host's instructions: AES by the `aes` crate, the rest written out.

use super::{Step, bits, vector};
use aes::Block;
use aes::hazmat::{cipher_round, equiv_inv_cipher_round, inv_mix_columns, mix_columns};
use guest::ir::Crypto;
use std::arch::x86_64::__m128i;

macro_rules! steps {
    ($($op:ident = $f:expr;)*) => {
        /// By `Crypto`.
        pub(super) static STEPS: [Step; Crypto::ALL.len()] = [$({
            const _: () = assert!(Crypto::$op as usize == Crypto::ALL[Crypto::$op as usize] as usize);
            extern "sysv64" fn step(a: __m128i, b: __m128i, c: __m128i) -> __m128i {
                let f: fn(u128, u128, u128) -> u128 = $f;
                vector(f(bits(a), bits(b), bits(c)))
            }
            step
        }),*];
    };
}

// In the order of the enum; the test compares each with the host's.
steps! {
    AesEnc = |a, b, _| on_block(a, |block| cipher_round(block, &Block::from(b.to_le_bytes())));
    AesEncLast = |a, b, _| substitute_rows(a) ^ b;
    AesDec = |a, b, _| on_block(a, |block| equiv_inv_cipher_round(block, &Block::from(b.to_le_bytes())));
    AesDecLast = |a, b, _| on_block(a, |block| {
        equiv_inv_cipher_round(block, &Block::default());
        mix_columns(block);
    }) ^ b;
    AesImc = |a, _, _| on_block(a, inv_mix_columns);
    AesKeygen = |a, _, _| keygen(a);
    Clmul00 = |a, b, _| polynomial_product(a as u64, b as u64);
    Clmul10 = |a, b, _| polynomial_product((a >> 64) as u64, b as u64);
    Clmul01 = |a, b, _| polynomial_product(a as u64, (b >> 64) as u64);
    Clmul11 = |a, b, _| polynomial_product((a >> 64) as u64, (b >> 64) as u64);
    Sha1Msg1 = |a, b, _| {
        let ([w0, w1, w2, w3], [w4, w5, _, _]) = (words(a), words(b));
        from_words([w2 ^ w0, w3 ^ w1, w4 ^ w2, w5 ^ w3])
    };
    Sha1Msg2 = |a, b, _| sha1_schedule(words(a), words(b));
    Sha1NextE = |a, b, _| {
        let [b3, b2, b1, b0] = words(b);
        from_words([b3.wrapping_add(words(a)[0].rotate_left(30)), b2, b1, b0])
    };
    Sha1Rounds0 = |a, b, _| sha1_rounds(a, b, 0x5a82_7999, |x, y, z| (x & y) ^ (!x & z));
    Sha1Rounds1 = |a, b, _| sha1_rounds(a, b, 0x6ed9_eba1, |x, y, z| x ^ y ^ z);
    Sha1Rounds2 = |a, b, _| sha1_rounds(a, b, 0x8f1b_bcdc, majority);
    Sha1Rounds3 = |a, b, _| sha1_rounds(a, b, 0xca62_c1d6, |x, y, z| x ^ y ^ z);
    Sha256Msg1 = |a, b, _| {
        let ([w3, w2, w1, w0], [_, _, _, w4]) = (words(a), words(b));
        let s = |x: u32, y: u32| x.wrapping_add(y.rotate_right(7) ^ y.rotate_right(18) ^ y >> 3);
        from_words([s(w3, w4), s(w2, w3), s(w1, w2), s(w0, w1)])
    };
    Sha256Msg2 = |a, b, _| {
        let ([x3, x2, x1, x0], [w15, w14, _, _]) = (words(a), words(b));
        let s = |x: u32, y: u32| x.wrapping_add(y.rotate_right(17) ^ y.rotate_right(19) ^ y >> 10);
        let (w16, w17) = (s(x0, w14), s(x1, w15));
        from_words([s(x3, w17), s(x2, w16), w17, w16])
    };
    Sha256Rounds2 = sha256_rounds;
    GfMul = |a, b, _| by_bytes(a, b, gf_mul);
    GfAffine = |a, b, _| affine(a, b);
    GfAffineInv = |a, b, _| affine(by_bytes(a, a, |x, _| gf_inverse(x)), b);
}

fn on_block(a: u128, f: impl FnOnce(&mut Block)) -> u128 {
    let mut block = Block::from(a.to_le_bytes());
    f(&mut block);
    u128::from_le_bytes(block.into())
}

/// A last round without its key: a round whose column mixing is undone.
fn substitute_rows(a: u128) -> u128 {
    on_block(a, |block| {
        cipher_round(block, &Block::default());
        inv_mix_columns(block);
    })
}

/// `SubWord`: in four equal columns, shifting the rows changes nothing.
fn substitute_word(word: u32) -> u32 {
    substitute_rows(from_words([word; 4])) as u32
}

fn keygen(a: u128) -> u128 {
    let [x3, _, x1, _] = words(a);
    let (y3, y1) = (substitute_word(x3), substitute_word(x1));
    from_words([y3.rotate_right(8), y3, y1.rotate_right(8), y1])
}

/// 32-bit lanes, the highest first, as the manual writes them.
fn words(v: u128) -> [u32; 4] {
    [(v >> 96) as u32, (v >> 64) as u32, (v >> 32) as u32, v as u32]
}

fn from_words(words: [u32; 4]) -> u128 {
    words.iter().fold(0, |v, &word| v << 32 | u128::from(word))
}

fn polynomial_product(a: u64, b: u64) -> u128 {
    (0..64).filter(|i| b >> i & 1 != 0).fold(0, |product, i| product ^ u128::from(a) << i)
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    (x & y) ^ (x & z) ^ (y & z)
}

fn sha1_schedule([a3, a2, a1, a0]: [u32; 4], [_, w13, w14, w15]: [u32; 4]) -> u128 {
    let w16 = (a3 ^ w13).rotate_left(1);
    let (w17, w18) = ((a2 ^ w14).rotate_left(1), (a1 ^ w15).rotate_left(1));
    from_words([w16, w17, w18, (a0 ^ w16).rotate_left(1)])
}

fn sha1_rounds(abcd: u128, wk: u128, k: u32, f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([mut a, mut b, mut c, mut d], mut e) = (words(abcd), 0u32);
    for w in words(wk) {
        let next = f(b, c, d).wrapping_add(a.rotate_left(5)).wrapping_add(w).wrapping_add(e).wrapping_add(k);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    from_words([a, b, c, d])
}

/// Two rounds: a is CDGH, b is ABEF, wk holds two words that the constants were added to.
fn sha256_rounds(a: u128, b: u128, wk: u128) -> u128 {
    let ([mut c, mut d, mut g, mut h], [mut a, mut b, mut e, mut f]) = (words(a), words(b));
    for wk in [wk as u32, (wk >> 32) as u32] {
        let choice = (e & f) ^ (!e & g);
        let sum1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let sum0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t = h.wrapping_add(sum1).wrapping_add(choice).wrapping_add(wk);
        let next = t.wrapping_add(sum0).wrapping_add(majority(a, b, c));
        (a, b, c, d, e, f, g, h) = (next, a, b, c, d.wrapping_add(t), e, f, g);
    }
    from_words([a, b, e, f])
}

fn by_bytes(a: u128, b: u128, f: impl Fn(u8, u8) -> u8) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    u128::from_le_bytes(std::array::from_fn(|i| f(a[i], b[i])))
}

fn gf_mul(a: u8, b: u8) -> u8 {
    let (mut product, mut factor) = (0, a);
    for i in 0..8 {
        product ^= if b >> i & 1 != 0 { factor } else { 0 };
        factor = factor << 1 ^ if factor & 0x80 != 0 { 0x1b } else { 0 };
    }
    product
}

/// x^254, which is the inverse of all but 0.
fn gf_inverse(x: u8) -> u8 {
    (0..253).fold(x, |power, _| gf_mul(power, x))
}

/// Bit i of a result is the parity of the byte and row 7 - i of its half's matrix.
fn affine(a: u128, matrices: u128) -> u128 {
    let (bytes, rows) = (a.to_le_bytes(), matrices.to_le_bytes());
    u128::from_le_bytes(std::array::from_fn(|i| {
        let matrix = &rows[i / 8 * 8..][..8];
        (0..8).fold(0, |byte, bit| byte | ((matrix[7 - bit] & bytes[i]).count_ones() as u8 & 1) << bit)
    }))
}
