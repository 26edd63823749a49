//! The cryptographic extension, as far as the host has no steps for it: SHA-512, SM3, SM4.
//!
//! The functions follow the manual's pseudocode on 128-bit integers.

use super::{sha512, sm};

/// The operation: the helper's immediate. `a` is Vd, `b` Vn, `c` Vm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum CryptoOp {
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

const OPS: [fn(u128, u128, u128) -> u128; 12] = [
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

fn choose(x: u32, y: u32, z: u32) -> u32 {
    (y ^ z) & x ^ z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | (x | y) & z
}
