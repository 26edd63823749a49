//! Random instructions of every encoding, with operands at the edges of what they do.

use crate::case::{Case, MIDDLE, Registers, Rng};
use crate::oracle;
use arch_aarch64::{Encoding, encoding_name, encodings};

const INTEGERS: [u64; 14] = [
    0,
    1,
    2,
    u64::MAX,
    0x8000_0000,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 63,
    (1 << 63) - 1,
    0x80,
    0x7f,
    0xffff_8000,
    0xffff_ffff_8000_0000,
    63,
];
const BYTES: [u8; 8] = [0, 1, 0xff, 0x80, 0x7f, 2, 0xfe, 0x81];
/// Integers and halves.
const HALVES: [u16; 17] = [
    0, 1, 0xffff, 0x8000, 0x7fff, 0xff80, 0x7f, 0x80, 0xff, 0x3c00, 0x7c00, 0x7e01, 0x7c01, 0xfc00, 0x0001,
    0x03ff, 0x7bff,
];
/// Zeros, ones, infinities, NaNs of both kinds, denormals, limits of integers.
const SINGLES: [u32; 22] = [
    0,
    1 << 31,
    0x3f80_0000,
    0xbf80_0000,
    0x3fc0_0000,
    0x3f00_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_1234,
    0xffc0_5678,
    0x7f80_4321,
    0xffa0_8765,
    1,
    0x007f_ffff,
    0x0080_0000,
    0x7f7f_ffff,
    0x5f00_0000,
    0x4f00_0000,
    0x4b80_0001,
    0x4020_0000,
    0xc060_0000,
    0x8000_0003,
];
const DOUBLES: [u64; 22] = [
    0,
    1 << 63,
    0x3ff0 << 48,
    0xbff0 << 48,
    0x3ff8 << 48,
    0x3fe0 << 48,
    0x7ff0 << 48,
    0xfff0 << 48,
    0x7ff8_0000_0000_1234,
    0xfff8_0000_0000_5678,
    0x7ff0_0000_0000_4321,
    0xfff4_0000_0000_8765,
    1,
    0x000f_ffff_ffff_ffff,
    1 << 52,
    0x7fef_ffff_ffff_ffff,
    0x43e0 << 48,
    0x41e0 << 48,
    0x4170_0000_1000_0000,
    0x4004 << 48,
    0xc00c << 48,
    (1 << 63) | 3,
];

/// `per_encoding` instructions of each encoding whose name contains `only`. `few`: only the registers
/// that the word names hold anything.
pub fn words(seed: u64, per_encoding: usize, only: &str, few: bool) -> Vec<(String, Case)> {
    let mut rng = Rng(seed | 1 << 40);
    let mut cases = Vec::new();
    let lacking = oracle::lacking();
    let wanted = |e: &Encoding| {
        e.name.contains(only) && e.needs & lacking == 0 && comparable(e.name) && oracle::is_right(e.name)
    };
    for Encoding { name, mask, value, .. } in encodings().filter(wanted) {
        let made = std::iter::repeat_with(|| word(&mut rng, name, mask, value)).take(20 * per_encoding);
        let allocated: Vec<u32> = made
            .filter(|word| encoding_name(*word) == Some(name) && predictable(*word))
            .take(per_encoding)
            .collect();
        cases.extend(allocated.into_iter().map(|word| (name.to_owned(), case(&mut rng, name, word, few))));
    }
    cases
}

/// Whether one instruction, with nothing after it, has a result to compare.
fn comparable(name: &str) -> bool {
    let elsewhere =
        ["B", "BL", "BR", "BLR", "RET", "SVC", "IC IVAU", "ISB", "CLREX", "MRS RNDR, RNDRRS", "DC ZVA"];
    // PSTATE's other bits stay with the oracle's process from one instruction to the next.
    let kept = name.ends_with("DIT") || name.contains("SSBS") || name.contains("DIT (");
    // Keys are random, and which option memory operations take is the implementation's own choice.
    let keyed = ["PACI", "PACGA", "BRA", "BLRA", "RETA", "LDRA", "SETP", "SETM", "SETE", "CPY"]
        .iter()
        .any(|start| name.starts_with(start));
    !elsewhere.contains(&name) && !name.contains("literal") && !kept && !keyed
}

fn word(rng: &mut Rng, name: &str, mask: u32, value: u32) -> u32 {
    let word = value | rng.next() as u32 & !mask;
    match name {
        // NZCV, FPCR, FPSR.
        "MRS" | "MSR (register)" => word & !0xfffe0 | rng.pick(&[0xb4200, 0xb4400, 0xb4420]),
        "B.cond" | "BC.cond" | "CBZ" | "CBNZ" => word & !(0x7ffff << 5) | 2 << 5,
        "TBZ" | "TBNZ" => word & !(0x3fff << 5) | 2 << 5,
        _ if word & 0x3b00_0000 == 0x3900_0000 => word & !(0xf00 << 10),
        _ => word,
    }
}

const fn is_access(word: u32) -> bool {
    word >> 25 & 5 == 4
}

/// Whether the manual says what the word does with these register numbers.
fn predictable(word: u32) -> bool {
    let [t, n, t2, s] = registers_of(word);
    let (vector, pair, exclusive) = (word >> 26 & 1 == 1, word >> 27 & 7 == 5, word >> 24 & 0x3f == 8);
    let loads_twice = pair && word >> 22 & 1 == 1 && t == t2;
    let base_is_data = !vector && n != 31 && (n == t || pair && n == t2);
    let status_is_data = exclusive && (s == t || s == n || s == t2 || t == t2);
    // Fields that should be ones: newer implementations may refuse anything else.
    let ordered = word & 0x3f80_0000 == 0x0880_0000 && word & 0x0020_0000 == 0;
    let (ordered, high) = (ordered && (t2 != 31 || s != 31), word & 0xff60_0000 == 0x9b40_0000 && t2 != 31);
    if ordered || high {
        return false;
    }
    let keyed_hint =
        word & 0xffff_f01f == 0xd503_201f && matches!(word >> 5 & 0x7f, 8 | 10 | 12 | 14 | 24..=31);
    if keyed_hint {
        return false;
    }
    let cache_at_zero = word & 0xffff_f01f == 0xd50b_701f;
    !cache_at_zero && (!is_access(word) || !(loads_twice || base_is_data || status_is_data))
}

fn registers_of(word: u32) -> [usize; 4] {
    [0, 5, 10, 16].map(|at| (word >> at & 31) as usize)
}

fn case(rng: &mut Rng, name: &str, word: u32, few: bool) -> Case {
    let mut before = Registers::new();
    let style = rng.below(8);
    before.x.iter_mut().for_each(|x| *x = integer(rng, style));
    for v in &mut before.v {
        let style = if style == 7 { rng.below(7) } else { style };
        *v = vector(rng, style);
    }
    before.nzcv = rng.below(16) << 28;
    // The rounding mode, and often one or more of DN, FZ, AHP, FZ16.
    before.fpcr = rng.below(4) << 22;
    if rng.below(2) == 0 {
        before.fpcr |= rng.next() & rng.next() & 0x0708_0000;
    }
    before.fpsr = if rng.below(4) == 0 { rng.next() & 0x0800_009f } else { 0 };
    let [t, n, _, m] = registers_of(word);
    if name.starts_with("MSR") {
        // Not the bits of extensions and of AArch32, which the oracle keeps.
        before.x[t.min(30)] &= match word >> 5 & 0x7fff {
            0x5a10 => 0xf000_0000,
            0x5a20 => 0x07c0_0000,
            _ => 0x0800_009f,
        };
    }
    if few {
        keep_named(&mut before, word);
    }
    if is_access(word) {
        let unaligned =
            rng.below(4) == 0 && !["STX", "LDX", "LDA", "STL"].iter().any(|p| name.starts_with(p));
        let base = MIDDLE + if unaligned { rng.below(64) } else { 0 };
        if word & 0x3b20_0c00 == 0x3820_0800 && m != 31 {
            before.x[m] = rng.pick(&[0, 8, 16, 24, 0xffff_ffff_ffff_fff8, 0x1_0000_0010, 3]);
        }
        if n == 31 { before.sp = base & !15 } else { before.x[n] = base }
    }
    if name.starts_with("DC") && t != 31 {
        before.x[t] = MIDDLE + rng.below(100);
    }
    let after = before.clone();
    Case { word, before, after }
}

/// Clears the registers that the word does not name (or their neighbours, for lists of registers).
fn keep_named(before: &mut Registers, word: u32) {
    let near = |n: usize| registers_of(word).iter().any(|r| (n + 32 - r) % 32 < 4);
    let named = |n: usize| registers_of(word).contains(&n);
    let (structure, pair, table) =
        (word >> 25 & 0x3f == 6, word & 0xbfa0_7c00 == 0x0820_7c00, word & 0xbf20_8c00 == 0x0e00_0000);
    let list = structure || pair || table;
    for n in (0..32).filter(|n| !(named(*n) || list && near(*n))) {
        before.v[n] = 0;
        if n < 31 {
            before.x[n] = 0;
        }
    }
}

fn integer(rng: &mut Rng, style: u64) -> u64 {
    match (style, rng.below(3)) {
        (1, _) => double(rng),
        (2, _) => u64::from(single(rng)),
        (_, 0) => rng.pick(&INTEGERS),
        (_, 1) => rng.next() >> rng.below(64),
        _ => rng.next(),
    }
}

fn single(rng: &mut Rng) -> u32 {
    match rng.below(4) {
        0 | 1 => rng.pick(&SINGLES),
        2 => rng.next() as u32 & 0x807f_ffff | (87 + rng.below(80) as u32) << 23,
        _ => rng.next() as u32,
    }
}

fn double(rng: &mut Rng) -> u64 {
    match rng.below(4) {
        0 | 1 => rng.pick(&DOUBLES),
        2 => rng.next() & 0x800f_ffff_ffff_ffff | (953 + rng.below(140)) << 52,
        _ => rng.next(),
    }
}

fn vector(rng: &mut Rng, style: u64) -> u128 {
    let mut lanes = |bits: u32, f: &mut dyn FnMut(&mut Rng) -> u64| {
        (0..128 / bits).fold(0, |all, i| all | u128::from(f(rng)) << (bits * i))
    };
    match style {
        0 => lanes(64, &mut |rng| rng.next()),
        1 => lanes(64, &mut double),
        2 => lanes(32, &mut |rng| u64::from(single(rng))),
        3 => lanes(8, &mut |rng| u64::from(rng.pick(&BYTES))),
        4 => lanes(16, &mut |rng| u64::from(rng.pick(&HALVES))),
        5 => lanes(32, &mut |rng| rng.pick(&INTEGERS) & 0xffff_ffff),
        _ => lanes(64, &mut |rng| integer(rng, 0)),
    }
}
