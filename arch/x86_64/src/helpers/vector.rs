//! Vector helpers: SSSE3 and SSE4.1 operations that no IR op matches.

fn words(v: u128) -> [u16; 8] {
    std::array::from_fn(|i| (v >> (16 * i)) as u16)
}

fn from_words(words: [u16; 8]) -> u128 {
    words.iter().rev().fold(0, |v, &w| v << 16 | u128::from(w))
}

/// `PMADDUBSW`: unsigned bytes of a times signed bytes of b, pairs summed with saturation.
pub(super) fn pmaddubsw(a: u128, b: u128, _c: u128, _imm: u32) -> u128 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    let product = |i: usize| i32::from(a[i]) * i32::from(b[i] as i8);
    from_words(std::array::from_fn(|i| {
        (product(2 * i) + product(2 * i + 1)).clamp(i16::MIN.into(), i16::MAX.into()) as u16
    }))
}

/// `PMULHRSW`: the products' high halves, rounded.
pub(super) fn pmulhrsw(a: u128, b: u128, _c: u128, _imm: u32) -> u128 {
    let (a, b) = (words(a), words(b));
    from_words(std::array::from_fn(|i| {
        let product = i32::from(a[i] as i16) * i32::from(b[i] as i16);
        (((product >> 14) + 1) >> 1) as u16
    }))
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
