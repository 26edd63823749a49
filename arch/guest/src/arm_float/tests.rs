//! Against the host's floats where those say the same, and the manual where they do not.

use super::{Extreme, Rounding, Unit, control, flag};
use crate::ir::{ArmFloat, FSize, Sign, Width};

fn unit() -> Unit {
    Unit::new(Rounding::Nearest, 0)
}

/// xorshift64*
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// Doubles whose exponents are near each other, or anything.
fn double(state: &mut u64) -> f64 {
    let bits = next(state);
    match next(state) % 4 {
        0 => f64::from_bits(bits),
        1 => f64::from_bits(bits & 0x800f_ffff_ffff_ffff | (1000 + next(state) % 60) << 52),
        2 => f64::from_bits(bits & 0x801f_ffff_ffff_ffff),
        _ => f64::from_bits(bits & 0xfff0_0000_0000_0000 | bits & 7),
    }
}

fn same(a: u64, b: f64) {
    assert!(a == b.to_bits() || b.is_nan() && f64::from_bits(a).is_nan(), "{a:x} {:x}", b.to_bits());
}

#[test]
fn doubles_are_what_the_host_gives() {
    let mut state = 7;
    for _ in 0..200_000 {
        let [a, b, c] = [(); 3].map(|()| double(&mut state));
        let (x, y, z) = (a.to_bits(), b.to_bits(), c.to_bits());
        same(unit().add(FSize::F64, x, y), a + b);
        same(unit().sub(FSize::F64, x, y), a - b);
        same(unit().mul(FSize::F64, x, y), a * b);
        same(unit().div(FSize::F64, x, y), a / b);
        same(unit().sqrt(FSize::F64, x), a.sqrt());
        same(unit().fma(FSize::F64, x, y, z), a.mul_add(b, c));
        let single = unit().convert(FSize::F64, FSize::F32, x);
        same(unit().convert(FSize::F32, FSize::F64, single), f64::from(a as f32));
        let integer = unit().to_fixed(FSize::F64, Width::W64, Sign::Signed, Rounding::Zero, 0, x);
        assert_eq!(integer, a as i64 as u64);
        same(unit().from_fixed(FSize::F64, Width::W64, Sign::Unsigned, 0, x), x as f64);
        same(unit().round_to_integral(FSize::F64, Rounding::Nearest, false, x), a.round_ties_even());
        same(unit().round_to_integral(FSize::F64, Rounding::Away, false, x), a.round());
    }
}

#[test]
fn what_rounds_up_to_the_smallest_normal_number_has_underflowed() {
    let (below, lowest) = (0x000f_ffff_ffff_ffff, 1 << 52);
    let mut u = unit();
    assert_eq!(u.mul(FSize::F64, below | 1 << 52, 0x3fe0_0000_0000_0000), lowest);
    assert_eq!(u.raised, flag::UNDERFLOW | flag::INEXACT);
}

#[test]
fn flushed_operands_and_results_say_so() {
    let mut u = Unit::new(Rounding::Nearest, control::FLUSH);
    assert_eq!(u.add(FSize::F32, 0x8000_0001, 0x3f80_0000), 0x3f80_0000);
    assert_eq!(u.raised, flag::INPUT_DENORMAL);
    let mut u = Unit::new(Rounding::Nearest, control::FLUSH);
    assert_eq!(u.mul(FSize::F32, 0x8080_0001, 0x3f00_0000), 0x8000_0000);
    assert_eq!(u.raised, flag::UNDERFLOW);
    let mut u = Unit::new(Rounding::Nearest, control::FLUSH_HALF);
    assert_eq!(u.add(FSize::F16, 1, 0x3c00), 0x3c00);
    assert_eq!(u.raised, 0);
}

#[test]
fn the_alternative_half_has_larger_numbers_and_nothing_else() {
    let alternative = || Unit::new(Rounding::Nearest, control::ALTERNATIVE_HALF);
    let to_half = |value: f32| {
        let mut u = alternative();
        (u.convert(FSize::F32, FSize::F16, value.to_bits().into()), u.raised)
    };
    assert_eq!(to_half(131_008.0), (0x7fff, 0));
    assert_eq!(to_half(65_536.0), (0x7c00, 0));
    assert_eq!(to_half(32_768.0), (0x7800, 0));
    assert_eq!(to_half(131_072.0), (0x7fff, flag::INVALID));
    assert_eq!(to_half(f32::NEG_INFINITY), (0xffff, flag::INVALID));
    assert_eq!(to_half(-f32::NAN), (0x8000, flag::INVALID));
    assert_eq!(to_half(1e-8), (0, flag::UNDERFLOW | flag::INEXACT));
    assert_eq!(alternative().convert(FSize::F16, FSize::F32, 0x7fff), 131_008f32.to_bits().into());
}

#[test]
fn numbers_win_over_quiet_nans() {
    let nan = f32::NAN.to_bits().into();
    let one = 1f32.to_bits().into();
    assert_eq!(unit().extreme(FSize::F32, Extreme::Min, true, nan, one), one);
    assert_eq!(unit().extreme(FSize::F32, Extreme::Min, false, nan, one), nan);
    assert_eq!(unit().extreme(FSize::F32, Extreme::Max, false, 1 << 31, 0), 0);
}

#[test]
fn steps_and_estimates() {
    let bits = |value: f64| value.to_bits();
    assert_eq!(unit().other(ArmFloat::RecipStep, FSize::F64, 0, bits(2.0), bits(0.25)), bits(1.5));
    assert_eq!(unit().other(ArmFloat::RsqrtStep, FSize::F64, 0, bits(2.0), bits(0.25)), bits(1.25));
    assert_eq!(unit().other(ArmFloat::RsqrtStep, FSize::F64, 0, 0, bits(f64::INFINITY)), bits(1.5));
    assert_eq!(unit().other(ArmFloat::Mulx, FSize::F64, 0, bits(-0.0), bits(f64::INFINITY)), bits(-2.0));
    for value in [1.0, 1.5, 3.0, 7.25, 1e100, 1e-100, 2e-308, 1e-308] {
        let r = f64::from_bits(unit().other(ArmFloat::RecipEstimate, FSize::F64, 0, bits(value), 0));
        assert!((r * value - 1.0).abs() < 1.0 / 256.0, "{value}");
        let s = f64::from_bits(unit().other(ArmFloat::RsqrtEstimate, FSize::F64, 0, bits(value), 0));
        assert!((s * s * value - 1.0).abs() < 1.0 / 100.0, "{value}");
    }
    assert_eq!(unit().other(ArmFloat::ToSingleOdd, FSize::F64, 0, bits(1e300), 0), f32::MAX.to_bits().into());
    assert_eq!(unit().other(ArmFloat::ToBrain, FSize::F32, 0, 0x3f80_8001, 0), 0x3f81);
    assert_eq!(unit().other(ArmFloat::FixedToHalf, FSize::F16, 0x401, 3, 0), 0x3e00);
    assert_eq!(unit().other(ArmFloat::HalfToFixed, FSize::F16, 0xd02, 0x3e00, 0), 6);
}
