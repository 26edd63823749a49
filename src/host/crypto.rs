//! Steps of ciphers and hashes: the host's own instructions where it has them, portable code elsewhere.
//!
//! Each step is a function of three vectors in registers, so that compiled code can call it; which one a host
//! gets is decided once.
#![allow(unsafe_code)] // instructions that the host must have
#![allow(improper_ctypes_definitions)] // vectors travel in registers, as Cranelift's calls pass them

mod instructions;
mod portable;

use guest::ir::Crypto;
pub use instructions::{Instruction, features, instruction};
use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// A step, as compiled code calls it.
pub type Step = extern "sysv64" fn(__m128i, __m128i, __m128i) -> __m128i;

type Steps = [Step; Crypto::ALL.len()];

pub(super) fn vector(bits: u128) -> __m128i {
    // SAFETY: both types are 16 plain bytes.
    unsafe { std::mem::transmute(bits) }
}

pub(super) fn bits(vector: __m128i) -> u128 {
    // SAFETY: both types are 16 plain bytes.
    unsafe { std::mem::transmute(vector) }
}

/// One step.
#[must_use]
pub fn execute(op: Crypto, a: u128, b: u128, c: u128) -> u128 {
    bits(steps()[op as usize](vector(a), vector(b), vector(c)))
}

/// The host's steps, by `Crypto`.
pub fn steps() -> &'static Steps {
    static STEPS: OnceLock<Steps> = OnceLock::new();
    STEPS.get_or_init(|| std::array::from_fn(|i| native(Crypto::ALL[i]).unwrap_or(portable::STEPS[i])))
}

macro_rules! native {
    ($($feature:tt { $($op:ident $name:ident = |$a:ident, $b:ident, $c:ident| $body:expr;)* })*) => {
        $($(
            extern "sysv64" fn $name($a: __m128i, $b: __m128i, $c: __m128i) -> __m128i {
                #[target_feature(enable = $feature)]
                #[allow(unused_variables)]
                fn step($a: __m128i, $b: __m128i, $c: __m128i) -> __m128i {
                    $body
                }
                // SAFETY: only handed out where the host has the feature.
                unsafe { step($a, $b, $c) }
            }
        )*)*

        /// The host's own instruction, if it has it.
        fn native(op: Crypto) -> Option<Step> {
            match op {
                $($( Crypto::$op => has!($feature).then_some($name as Step), )*)*
            }
        }
    };
}

native! {
    "aes" {
    AesEnc aesenc = |a, b, c| _mm_aesenc_si128(a, b);
    AesEncLast aesenclast = |a, b, c| _mm_aesenclast_si128(a, b);
    AesDec aesdec = |a, b, c| _mm_aesdec_si128(a, b);
    AesDecLast aesdeclast = |a, b, c| _mm_aesdeclast_si128(a, b);
    AesImc aesimc = |a, b, c| _mm_aesimc_si128(a);
    AesKeygen aeskeygenassist = |a, b, c| _mm_aeskeygenassist_si128::<0>(a);
    }
    "pclmulqdq" {
    Clmul00 clmul00 = |a, b, c| _mm_clmulepi64_si128::<0x00>(a, b);
    Clmul10 clmul10 = |a, b, c| _mm_clmulepi64_si128::<0x01>(a, b);
    Clmul01 clmul01 = |a, b, c| _mm_clmulepi64_si128::<0x10>(a, b);
    Clmul11 clmul11 = |a, b, c| _mm_clmulepi64_si128::<0x11>(a, b);
    }
    "sha" {
    Sha1Msg1 sha1msg1 = |a, b, c| _mm_sha1msg1_epu32(a, b);
    Sha1Msg2 sha1msg2 = |a, b, c| _mm_sha1msg2_epu32(a, b);
    Sha1NextE sha1nexte = |a, b, c| _mm_sha1nexte_epu32(a, b);
    Sha1Rounds0 sha1rnds4_0 = |a, b, c| _mm_sha1rnds4_epu32::<0>(a, b);
    Sha1Rounds1 sha1rnds4_1 = |a, b, c| _mm_sha1rnds4_epu32::<1>(a, b);
    Sha1Rounds2 sha1rnds4_2 = |a, b, c| _mm_sha1rnds4_epu32::<2>(a, b);
    Sha1Rounds3 sha1rnds4_3 = |a, b, c| _mm_sha1rnds4_epu32::<3>(a, b);
    Sha256Msg1 sha256msg1 = |a, b, c| _mm_sha256msg1_epu32(a, b);
    Sha256Msg2 sha256msg2 = |a, b, c| _mm_sha256msg2_epu32(a, b);
    Sha256Rounds2 sha256rnds2 = |a, b, c| _mm_sha256rnds2_epu32(a, b, c);
    }
    "gfni" {
    GfMul gf2p8mulb = |a, b, c| _mm_gf2p8mul_epi8(a, b);
    GfAffine gf2p8affineqb = |a, b, c| _mm_gf2p8affine_epi64_epi8::<0>(a, b);
    GfAffineInv gf2p8affineinvqb = |a, b, c| _mm_gf2p8affineinv_epi64_epi8::<0>(a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_steps_agree_with_the_hosts_instructions() {
        let mut word = 0x1234_5678_9abc_def1u64;
        let mut next = || {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word ^ word >> 29
        };
        let mut compared = 0;
        for (i, &op) in Crypto::ALL.iter().enumerate() {
            let Some(native) = native(op) else { continue };
            for _ in 0..200 {
                let [a, b, c] = [(); 3].map(|()| vector(u128::from(next()) << 64 | u128::from(next())));
                assert_eq!(bits(native(a, b, c)), bits(portable::STEPS[i](a, b, c)), "{op:?}");
                compared += 1;
            }
        }
        assert!(compared > 0 || !has!("aes"));
    }
}
