//! Rounding to integral values that raises nothing but Invalid: `roundss` and its like with the bit that holds Inexact
//! back, which no Cranelift operation has; and to the nearest with ties away from zero, which the host lacks.
//!
//! Each is a function of a vector in a register, so that compiled code can call it.
#![allow(unsafe_code)] // instructions that the host must have
#![allow(improper_ctypes_definitions)] // vectors travel in registers, as Cranelift's calls pass them

use guest::ir::{FSize, Inexact, Round};
use std::arch::x86_64::*;

/// A rounding function, as compiled code calls it.
pub type Step = extern "sysv64" fn(__m128i) -> __m128i;

/// One float in the lowest lane, or one in each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Scalar,
    Packed,
}

const KINDS: usize = 7;

/// All of them: by kind, then size, then shape.
pub type Steps = [Step; 4 * KINDS];

/// The place in [`STEPS`]; `None` where there is none.
#[must_use]
pub fn index(fs: FSize, shape: Shape, mode: Round, inexact: Inexact) -> Option<usize> {
    let kind = match (mode, inexact) {
        (Round::Nearest, Inexact::Suppress) => 0,
        (Round::Down, Inexact::Suppress) => 1,
        (Round::Up, Inexact::Suppress) => 2,
        (Round::Zero, Inexact::Suppress) => 3,
        (Round::Current, Inexact::Suppress) => 4,
        (Round::Current, Inexact::Raise) => 5,
        (Round::Away, Inexact::Suppress) => 6,
        _ => return None,
    };
    let size = match fs {
        FSize::F16 => return None,
        FSize::F32 => 0,
        FSize::F64 => 2,
    };
    Some(4 * kind + size + usize::from(shape == Shape::Packed))
}

macro_rules! steps {
    ($($name:ident = |$x:ident| $body:expr;)*) => {
        $(
            extern "sysv64" fn $name($x: __m128i) -> __m128i {
                #[target_feature(enable = "sse4.2")]
                fn step($x: __m128i) -> __m128i {
                    $body
                }
                // SAFETY: the emulator needs SSE4.1 (README), and this is handed out only where SSE4.2 is too.
                unsafe { step($x) }
            }
        )*

        pub static STEPS: Steps = [$($name),*];
    };
}

macro_rules! round {
    (ss $imm:literal $x:ident) => {{
        let x = _mm_castsi128_ps($x);
        _mm_castps_si128(_mm_round_ss::<$imm>(x, x))
    }};
    (ps $imm:literal $x:ident) => {
        _mm_castps_si128(_mm_round_ps::<$imm>(_mm_castsi128_ps($x)))
    };
    (sd $imm:literal $x:ident) => {{
        let x = _mm_castsi128_pd($x);
        _mm_castpd_si128(_mm_round_sd::<$imm>(x, x))
    }};
    (pd $imm:literal $x:ident) => {
        _mm_castpd_si128(_mm_round_pd::<$imm>(_mm_castsi128_pd($x)))
    };
}

steps! {
    nearest_ss = |x| round!(ss 8 x);
    nearest_ps = |x| round!(ps 8 x);
    nearest_sd = |x| round!(sd 8 x);
    nearest_pd = |x| round!(pd 8 x);
    down_ss = |x| round!(ss 9 x);
    down_ps = |x| round!(ps 9 x);
    down_sd = |x| round!(sd 9 x);
    down_pd = |x| round!(pd 9 x);
    up_ss = |x| round!(ss 10 x);
    up_ps = |x| round!(ps 10 x);
    up_sd = |x| round!(sd 10 x);
    up_pd = |x| round!(pd 10 x);
    zero_ss = |x| round!(ss 11 x);
    zero_ps = |x| round!(ps 11 x);
    zero_sd = |x| round!(sd 11 x);
    zero_pd = |x| round!(pd 11 x);
    current_ss = |x| round!(ss 12 x);
    current_ps = |x| round!(ps 12 x);
    current_sd = |x| round!(sd 12 x);
    current_pd = |x| round!(pd 12 x);
    exact_ss = |x| round!(ss 4 x);
    exact_ps = |x| round!(ps 4 x);
    exact_sd = |x| round!(sd 4 x);
    exact_pd = |x| round!(pd 4 x);
    away_ss = |x| away_f32(_mm_cvtsi32_si128(_mm_cvtsi128_si32(x)));
    away_ps = |x| away_f32(x);
    away_sd = |x| away_f64(_mm_move_epi64(x));
    away_pd = |x| away_f64(x);
}

/// The part behind the point is exact; where it is a half or more, one is added to what is left of it. What is so
/// large that it has no such part, infinities and NaNs are left as `roundps` has them.
#[target_feature(enable = "sse4.2")]
fn away_f32(x: __m128i) -> __m128i {
    let sign = _mm_and_si128(x, _mm_set1_epi32(i32::MIN));
    let magnitude = _mm_andnot_si128(_mm_set1_epi32(i32::MIN), x);
    let small = _mm_cmpgt_epi32(_mm_set1_epi32(0x4b00_0000), magnitude);
    let whole = _mm_castps_si128(_mm_round_ps::<11>(_mm_castsi128_ps(x)));
    let kept = _mm_and_si128(small, whole);
    let rest = _mm_sub_ps(_mm_castsi128_ps(_mm_and_si128(small, x)), _mm_castsi128_ps(kept));
    let rest = _mm_andnot_si128(_mm_set1_epi32(i32::MIN), _mm_castps_si128(rest));
    let half = _mm_cmpgt_epi32(rest, _mm_set1_epi32(0x3eff_ffff));
    let one = _mm_or_si128(sign, _mm_set1_epi32(0x3f80_0000));
    let sum = _mm_add_ps(_mm_castsi128_ps(kept), _mm_castsi128_ps(_mm_and_si128(half, one)));
    let sum = _mm_or_si128(_mm_castps_si128(sum), sign);
    _mm_blendv_epi8(whole, sum, small)
}

/// As [`away_f32`].
#[target_feature(enable = "sse4.2")]
fn away_f64(x: __m128i) -> __m128i {
    let sign = _mm_and_si128(x, _mm_set1_epi64x(i64::MIN));
    let magnitude = _mm_andnot_si128(_mm_set1_epi64x(i64::MIN), x);
    let small = _mm_cmpgt_epi64(_mm_set1_epi64x(0x4330_0000_0000_0000), magnitude);
    let whole = _mm_castpd_si128(_mm_round_pd::<11>(_mm_castsi128_pd(x)));
    let kept = _mm_and_si128(small, whole);
    let rest = _mm_sub_pd(_mm_castsi128_pd(_mm_and_si128(small, x)), _mm_castsi128_pd(kept));
    let rest = _mm_andnot_si128(_mm_set1_epi64x(i64::MIN), _mm_castpd_si128(rest));
    let half = _mm_cmpgt_epi64(rest, _mm_set1_epi64x(0x3fdf_ffff_ffff_ffff));
    let one = _mm_or_si128(sign, _mm_set1_epi64x(0x3ff0_0000_0000_0000));
    let sum = _mm_add_pd(_mm_castsi128_pd(kept), _mm_castsi128_pd(_mm_and_si128(half, one)));
    let sum = _mm_or_si128(_mm_castpd_si128(sum), sign);
    _mm_blendv_epi8(whole, sum, small)
}

/// Whether the host has what they are made of.
#[must_use]
pub fn supported() -> bool {
    std::arch::is_x86_feature_detected!("sse4.2")
}
