//! Vector helpers: SSSE3, SSE4.1 and AVX-VNNI operations that no IR op matches.

fn words(v: u128) -> [u16; 8] {
    std::array::from_fn(|i| (v >> (16 * i)) as u16)
}

fn from_words(words: [u16; 8]) -> u128 {
    words.iter().rev().fold(0, |v, &w| v << 16 | u128::from(w))
}

/// `MPSADBW`: four bytes of b against eight overlapping groups of a.
pub(super) fn mpsadbw(a: u128, b: u128, _c: u128, imm: u32) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let (first_a, first_b) = ((imm >> 2 & 1) as usize * 4, (imm & 3) as usize * 4);
    from_words(std::array::from_fn(|i| {
        (0..4).map(|k| u16::from(a[first_a + i + k].abs_diff(b[first_b + k]))).sum()
    }))
}

/// `PHMINPOSUW`: the smallest word and its index.
pub(super) fn phminposuw(_a: u128, b: u128, _c: u128, _imm: u32) -> u128 {
    let words = words(b);
    let least = (0..8).min_by_key(|&i| words[i]).unwrap_or(0);
    u128::from(words[least]) | (least as u128) << 16
}

/// 32-bit lanes of a sum with `products` of each added: wrapping, or clamped to 32 bits.
fn accumulated(sum: u128, products: impl Fn(usize) -> i64, saturate: bool) -> u128 {
    (0..4).fold(0, |v, i| {
        let total = i64::from((sum >> (32 * i)) as i32) + products(i);
        let lane = if saturate { total.clamp(i32::MIN.into(), i32::MAX.into()) } else { total };
        v | u128::from(lane as u32) << (32 * i)
    })
}

/// Four unsigned bytes of a times four signed bytes of b.
fn byte_products(a: u128, b: u128) -> impl Fn(usize) -> i64 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    move |i| (4 * i..4 * i + 4).map(|k| i64::from(a[k]) * i64::from(b[k] as i8)).sum()
}

/// Two signed words of a times two of b.
fn word_products(a: u128, b: u128) -> impl Fn(usize) -> i64 {
    let (a, b) = (words(a), words(b));
    move |i| (2 * i..2 * i + 2).map(|k| i64::from(a[k] as i16) * i64::from(b[k] as i16)).sum()
}

/// `VPDPBUSD`
pub(super) fn vpdpbusd(sum: u128, a: u128, b: u128, _imm: u32) -> u128 {
    accumulated(sum, byte_products(a, b), false)
}

/// `VPDPBUSDS`
pub(super) fn vpdpbusds(sum: u128, a: u128, b: u128, _imm: u32) -> u128 {
    accumulated(sum, byte_products(a, b), true)
}

/// `VPDPWSSD`
pub(super) fn vpdpwssd(sum: u128, a: u128, b: u128, _imm: u32) -> u128 {
    accumulated(sum, word_products(a, b), false)
}

/// `VPDPWSSDS`
pub(super) fn vpdpwssds(sum: u128, a: u128, b: u128, _imm: u32) -> u128 {
    accumulated(sum, word_products(a, b), true)
}
