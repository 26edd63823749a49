//! The steps of SM3 (GB/T 32905) and SM4 (GB/T 32907). `a` is Vd, `b` Vn, `c` Vm; words count from the low end.

/// A vector's four words.
fn words(v: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|at| (v >> at) as u32)
}

fn vector(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |bits, &word| bits << 32 | u128::from(word))
}

/// `SM3TT1A`, `SM3TT1B`: `c` has the message word in every lane.
pub fn tt1(a: u128, b: u128, c: u128, f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([d0, d1, d2, d3], [.., b3], [.., word]) = (words(a), words(b), words(c));
    let ss2 = b3 ^ d3.rotate_left(12);
    let sum = f(d1, d3, d2).wrapping_add(d0).wrapping_add(ss2).wrapping_add(word);
    vector([d1, d2.rotate_left(9), d3, sum])
}

/// `SM3TT2A`, `SM3TT2B`.
pub fn tt2(a: u128, b: u128, c: u128, f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([d0, d1, d2, d3], [.., b3], [.., word]) = (words(a), words(b), words(c));
    let sum = f(d3, d2, d1).wrapping_add(d0).wrapping_add(b3).wrapping_add(word);
    let mixed = sum ^ sum.rotate_left(9) ^ sum.rotate_left(17);
    vector([d1, d2.rotate_left(19), d3, mixed])
}

const fn p1(x: u32) -> u32 {
    x ^ x.rotate_left(15) ^ x.rotate_left(23)
}

pub fn partw1(a: u128, b: u128, c: u128) -> u128 {
    let (x, [_, c1, c2, c3]) = (words(a ^ b), words(c));
    let [r0, r1, r2] =
        [x[0] ^ c1.rotate_left(15), x[1] ^ c2.rotate_left(15), x[2] ^ c3.rotate_left(15)].map(p1);
    vector([r0, r1, r2, p1(x[3] ^ r0.rotate_left(15))])
}

pub fn partw2(a: u128, b: u128, c: u128) -> u128 {
    let (b, c) = (words(b), words(c));
    let t: [u32; 4] = std::array::from_fn(|i| b[i] ^ c[i].rotate_left(7));
    let mut r = words(a ^ vector(t));
    r[3] ^= p1(t[0].rotate_left(15));
    vector(r)
}

/// Four rounds of SM4 on `state` with the keys' words, and its linear step by these rotations (0: none).
pub fn sm4_rounds(state: u128, keys: u128, rotations: [u32; 4]) -> u128 {
    words(keys).into_iter().fold(state, |state, key| {
        let [s0, s1, s2, s3] = words(state);
        let boxed =
            u32::from_le_bytes((s3 ^ s2 ^ s1 ^ key).to_le_bytes().map(|byte| SBOX[usize::from(byte)]));
        let turned = rotations.into_iter().filter(|&by| by != 0).map(|by| boxed.rotate_left(by));
        let next = turned.fold(boxed ^ s0, |word, turned| word ^ turned);
        vector([s1, s2, s3, next])
    })
}

const SBOX: [u8; 256] = sbox();

/// Inversion in GF(2^8) modulo x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1 between two equal affine maps.
const fn sbox() -> [u8; 256] {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        table[x] = affine(inverse(affine(x as u8)));
        x += 1;
    }
    table
}

const fn affine(x: u8) -> u8 {
    let mut y = 0xd3;
    let mut i = 0;
    while i < 8 {
        // Row i of the matrix is the first, turned.
        let row = AFFINE.rotate_left(i);
        y ^= (((x & row).count_ones() & 1) as u8) << i;
        i += 1;
    }
    y
}

const AFFINE: u8 = 0xa7;

const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0xf5 } else { 0 };
        b >>= 1;
    }
    product
}

/// x to the 254th.
const fn inverse(x: u8) -> u8 {
    let (mut result, mut power, mut i) = (1, x, 1);
    while i < 8 {
        power = multiply(power, power);
        result = multiply(result, power);
        i += 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sbox_is_the_standards() {
        let start =
            [0xd6, 0x90, 0xe9, 0xfe, 0xcc, 0xe1, 0x3d, 0xb7, 0x16, 0xb6, 0x14, 0xc2, 0x28, 0xfb, 0x2c, 0x05];
        assert_eq!(SBOX[..16], start);
        assert_eq!(SBOX[255], 0x48);
    }
}
