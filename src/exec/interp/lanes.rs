//! Lane-wise integer operations on one 16-byte unit.

use guest::ir::{Half, IntCc, Lane, Narrow, Sign};

/// Lane `index` of a unit, zero-extended.
#[inline(always)]
pub fn lane_of(lane: Lane, v: u128, index: usize) -> u64 {
    (v >> (index as u32 * lane.bits())) as u64 & lane.width().mask()
}

/// A unit from its lanes.
#[inline(always)]
pub fn build(lane: Lane, f: impl Fn(usize) -> u64) -> u128 {
    let mut out = 0;
    for index in 0..16 / lane.bytes() {
        out |= u128::from(f(index) & lane.width().mask()) << (index as u32 * lane.bits());
    }
    out
}

#[inline(always)]
pub fn map2(lane: Lane, a: u128, b: u128, f: impl Fn(u64, u64) -> u64) -> u128 {
    build(lane, |i| f(lane_of(lane, a, i), lane_of(lane, b, i)))
}

#[inline(always)]
pub fn map1(lane: Lane, a: u128, f: impl Fn(u64) -> u64) -> u128 {
    build(lane, |i| f(lane_of(lane, a, i)))
}

/// A lane value as a number.
pub fn number(lane: Lane, signed: Sign, v: u64) -> i128 {
    match signed {
        Sign::Unsigned => i128::from(v & lane.width().mask()),
        Sign::Signed => i128::from(lane.width().sign_extend(v) as i64),
    }
}

/// The number, clamped to the range of the lane.
fn saturate(lane: Lane, signed: Sign, n: i128) -> u64 {
    let mask = i128::from(lane.width().mask());
    let (min, max) = match signed {
        Sign::Unsigned => (0, mask),
        Sign::Signed => (-(mask >> 1) - 1, mask >> 1),
    };
    n.clamp(min, max) as u64
}

/// Applies `f` to lanes taken as numbers.
pub fn numeric(lane: Lane, signed: Sign, a: u128, b: u128, f: impl Fn(i128, i128) -> i128) -> u128 {
    map2(lane, a, b, |x, y| f(number(lane, signed, x), number(lane, signed, y)) as u64)
}

/// Applies `f` and saturates.
pub fn saturating(lane: Lane, signed: Sign, a: u128, b: u128, f: impl Fn(i128, i128) -> i128) -> u128 {
    map2(lane, a, b, |x, y| saturate(lane, signed, f(number(lane, signed, x), number(lane, signed, y))))
}

pub fn compare(lane: Lane, cc: IntCc, a: u128, b: u128) -> u128 {
    map2(lane, a, b, |x, y| if cc.holds(lane.width(), x, y) { u64::MAX } else { 0 })
}

pub fn shl(lane: Lane, a: u64, count: u64) -> u64 {
    if count >= u64::from(lane.bits()) { 0 } else { a << count }
}

pub fn shr(lane: Lane, a: u64, count: u64) -> u64 {
    if count >= u64::from(lane.bits()) { 0 } else { (a & lane.width().mask()) >> count }
}

pub fn sar(lane: Lane, a: u64, count: u64) -> u64 {
    let count = count.min(u64::from(lane.bits()) - 1);
    ((lane.width().sign_extend(a) as i64) >> count) as u64
}

/// The lane index where a half starts.
fn half_start(lane: Lane, half: Half) -> usize {
    match half {
        Half::Low => 0,
        Half::High => 8 / lane.bytes(),
    }
}

/// Widens one half; `lane` is the size before, `wide` after.
pub fn widen(lane: Lane, wide: Lane, signed: Sign, half: Half, a: u128) -> u128 {
    let start = half_start(lane, half);
    build(wide, |i| number(lane, signed, lane_of(lane, a, start + i)) as u64)
}

/// Widening products of one half.
pub fn widening_product(lane: Lane, wide: Lane, signed: Sign, half: Half, a: u128, b: u128) -> u128 {
    let start = half_start(lane, half);
    build(wide, |i| {
        let x = number(lane, signed, lane_of(lane, a, start + i));
        let y = number(lane, signed, lane_of(lane, b, start + i));
        (x * y) as u64
    })
}

/// Narrows a into the lower and b into the upper half; `lane` is the size before, `narrow` after.
pub fn narrow(lane: Lane, narrow: Lane, how: Narrow, a: u128, b: u128) -> u128 {
    let half = 8 / narrow.bytes();
    build(narrow, |i| {
        let v = if i < half { lane_of(lane, a, i) } else { lane_of(lane, b, i - half) };
        match how {
            Narrow::Truncate => v,
            Narrow::Signed => saturate(narrow, Sign::Signed, number(lane, Sign::Signed, v)),
            Narrow::SignedToUnsigned => saturate(narrow, Sign::Unsigned, number(lane, Sign::Signed, v)),
            Narrow::Unsigned => saturate(narrow, Sign::Unsigned, number(lane, Sign::Unsigned, v)),
        }
    })
}

/// Products of adjacent signed 16-bit lanes, summed in pairs (wrapping).
pub fn multiply_add_pairs(a: u128, b: u128) -> u128 {
    let product = |i| {
        let x = number(Lane::H, Sign::Signed, lane_of(Lane::H, a, i));
        x * number(Lane::H, Sign::Signed, lane_of(Lane::H, b, i))
    };
    build(Lane::S, |i| (product(2 * i) + product(2 * i + 1)) as u64)
}

/// Unsigned bytes of a times signed bytes of b, summed in pairs with saturation.
pub fn multiply_add_bytes(a: u128, b: u128) -> u128 {
    let product = |i| {
        let x = number(Lane::B, Sign::Unsigned, lane_of(Lane::B, a, i));
        x * number(Lane::B, Sign::Signed, lane_of(Lane::B, b, i))
    };
    build(Lane::H, |i| saturate(Lane::H, Sign::Signed, product(2 * i) + product(2 * i + 1)))
}

/// Signed 16-bit products, of which bits 15 to 30 stay, rounded.
pub fn rounded_high_products(a: u128, b: u128) -> u128 {
    numeric(Lane::H, Sign::Signed, a, b, |x, y| (((x * y) >> 14) + 1) >> 1)
}

pub fn shuffle(a: u128, b: u128, idx: u128) -> u128 {
    build(Lane::B, |i| match lane_of(Lane::B, idx, i) as usize {
        from @ 0..16 => lane_of(Lane::B, a, from),
        from @ 16..32 => lane_of(Lane::B, b, from - 16),
        _ => 0,
    })
}

/// Sums of absolute byte differences, per 8 bytes.
pub fn sum_of_differences(a: u128, b: u128) -> u128 {
    build(Lane::D, |half| {
        let difference = |i| lane_of(Lane::B, a, i).abs_diff(lane_of(Lane::B, b, i));
        (8 * half..8 * half + 8).map(difference).sum()
    })
}
