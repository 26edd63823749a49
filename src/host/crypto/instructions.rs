//! The host's instructions for steps, as bytes: for compiled code, which has them in the place of calls.

use guest::ir::Crypto;
use std::arch::is_x86_feature_detected as has;

/// An instruction that takes its operands in the first vector registers and changes none but its result's.
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    pub bytes: &'static [u8],
    /// Which of the step's operands is in xmm0, which in xmm1, which in xmm2.
    pub operands: &'static [usize],
    /// The number of the register that the result is in.
    pub result: usize,
}

/// The features of the host that decide what there is.
pub fn features() -> [bool; 4] {
    [has!("aes"), has!("pclmulqdq"), has!("sha"), has!("gfni")]
}

/// The step's instruction, if the host has it (SDM vol. 2).
pub fn instruction(op: Crypto) -> Option<Instruction> {
    use Crypto::*;
    let [aes, pclmulqdq, sha, gfni] = features();
    // xmm0, xmm1.
    const BOTH: u8 = 0xc1;
    let (is_there, bytes): (bool, &'static [u8]) = match op {
        AesEnc => (aes, &[0x66, 0x0f, 0x38, 0xdc, BOTH]),
        AesEncLast => (aes, &[0x66, 0x0f, 0x38, 0xdd, BOTH]),
        AesDec => (aes, &[0x66, 0x0f, 0x38, 0xde, BOTH]),
        AesDecLast => (aes, &[0x66, 0x0f, 0x38, 0xdf, BOTH]),
        AesImc => (aes, &[0x66, 0x0f, 0x38, 0xdb, 0xc0]),
        AesKeygen => (aes, &[0x66, 0x0f, 0x3a, 0xdf, 0xc0, 0]),
        Clmul00 => (pclmulqdq, &[0x66, 0x0f, 0x3a, 0x44, BOTH, 0x00]),
        Clmul10 => (pclmulqdq, &[0x66, 0x0f, 0x3a, 0x44, BOTH, 0x01]),
        Clmul01 => (pclmulqdq, &[0x66, 0x0f, 0x3a, 0x44, BOTH, 0x10]),
        Clmul11 => (pclmulqdq, &[0x66, 0x0f, 0x3a, 0x44, BOTH, 0x11]),
        Sha1NextE => (sha, &[0x0f, 0x38, 0xc8, BOTH]),
        Sha1Msg1 => (sha, &[0x0f, 0x38, 0xc9, BOTH]),
        Sha1Msg2 => (sha, &[0x0f, 0x38, 0xca, BOTH]),
        Sha1Rounds0 => (sha, &[0x0f, 0x3a, 0xcc, BOTH, 0]),
        Sha1Rounds1 => (sha, &[0x0f, 0x3a, 0xcc, BOTH, 1]),
        Sha1Rounds2 => (sha, &[0x0f, 0x3a, 0xcc, BOTH, 2]),
        Sha1Rounds3 => (sha, &[0x0f, 0x3a, 0xcc, BOTH, 3]),
        Sha256Msg1 => (sha, &[0x0f, 0x38, 0xcc, BOTH]),
        Sha256Msg2 => (sha, &[0x0f, 0x38, 0xcd, BOTH]),
        // xmm1, xmm2, and xmm0 by itself.
        Sha256Rounds2 => (sha, &[0x0f, 0x38, 0xcb, 0xca]),
        GfMul => (gfni, &[0x66, 0x0f, 0x38, 0xcf, BOTH]),
        GfAffine => (gfni, &[0x66, 0x0f, 0x3a, 0xce, BOTH, 0]),
        GfAffineInv => (gfni, &[0x66, 0x0f, 0x3a, 0xcf, BOTH, 0]),
    };
    let (operands, result): (&'static [usize], usize) = match op {
        Sha256Rounds2 => (&[2, 0, 1], 1),
        AesImc | AesKeygen => (&[0], 0),
        _ => (&[0, 1], 0),
    };
    is_there.then_some(Instruction { bytes, operands, result })
}
