//! The steps of SHA-512 (FIPS 180-4). `a` is Vd, `b` Vn, `c` Vm.

const fn low(v: u128) -> u64 {
    v as u64
}

const fn high(v: u128) -> u64 {
    (v >> 64) as u64
}

fn pair(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

const fn big_sigma_1(x: u64) -> u64 {
    x.rotate_right(14) ^ x.rotate_right(18) ^ x.rotate_right(41)
}

const fn big_sigma_0(x: u64) -> u64 {
    x.rotate_right(28) ^ x.rotate_right(34) ^ x.rotate_right(39)
}

const fn small_sigma_0(x: u64) -> u64 {
    x.rotate_right(1) ^ x.rotate_right(8) ^ x >> 7
}

const fn small_sigma_1(x: u64) -> u64 {
    x.rotate_right(19) ^ x.rotate_right(61) ^ x >> 6
}

const fn choose(x: u64, y: u64, z: u64) -> u64 {
    (y ^ z) & x ^ z
}

const fn majority(x: u64, y: u64, z: u64) -> u64 {
    x & y | (x | y) & z
}

pub fn h(a: u128, b: u128, c: u128) -> u128 {
    let first = choose(high(c), low(b), high(b)).wrapping_add(big_sigma_1(high(c))).wrapping_add(high(a));
    let next = first.wrapping_add(low(c));
    let second = choose(next, high(c), low(b)).wrapping_add(big_sigma_1(next)).wrapping_add(low(a));
    pair(first, second)
}

pub fn h2(a: u128, b: u128, c: u128) -> u128 {
    let first = majority(low(b), high(c), low(c)).wrapping_add(big_sigma_0(low(c))).wrapping_add(high(a));
    let second = majority(first, low(c), high(c)).wrapping_add(big_sigma_0(first)).wrapping_add(low(a));
    pair(first, second)
}

pub fn su0(a: u128, b: u128) -> u128 {
    let first = low(a).wrapping_add(small_sigma_0(high(a)));
    pair(high(a).wrapping_add(small_sigma_0(low(b))), first)
}

pub fn su1(a: u128, b: u128, c: u128) -> u128 {
    let one = |a: u64, b: u64, c: u64| a.wrapping_add(small_sigma_1(b)).wrapping_add(c);
    pair(one(high(a), high(b), high(c)), one(low(a), low(b), low(c)))
}
