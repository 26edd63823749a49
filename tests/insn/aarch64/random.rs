//! Random instructions of every encoding, with operands at the edges of what they do.

use crate::case::{CODE, Case, DATA, DATA_LEN, MIDDLE, Registers, Rng, is_access};
use crate::oracle::{self, Group};
use arch_aarch64::features::CSSC;
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

/// States that a group is run from.
pub const STATES: usize = 64;
/// Registers that hold addresses, an offset and a control word in sequences, where nothing else may change them.
const RESERVED: std::ops::RangeInclusive<u32> = 22..=28;
const CONTROL: u32 = 22;
const OFFSET: u32 = 23;
const BASES: [u32; 5] = [24, 25, 26, 27, 28];
/// Longest sequence.
const LONGEST: u64 = 30;

/// `per_encoding` instructions of each encoding whose name contains `only`. `few`: only the registers
/// that the word names hold anything.
pub fn words(seed: u64, per_encoding: usize, only: &str, few: bool) -> Vec<(String, Case)> {
    let mut rng = Rng(seed | 1 << 40);
    let mut cases = Vec::new();
    for encoding in encodings().filter(|e| e.name.contains(only) && is_judged(e)) {
        for _ in 0..per_encoding {
            let Some(word) = allocated(&mut rng, &encoding) else { continue };
            let mut before = before(&mut rng, encoding.name, word);
            if few {
                keep_named(&mut before, word);
                put_address(&mut rng, encoding.name, word, &mut before);
            }
            let after = before.clone();
            cases.push((encoding.name.to_owned(), Case { words: vec![word], before, after }));
        }
    }
    cases
}

/// Whether the oracle has the encoding, and is right about it, and one instruction of it has a result to compare.
fn is_judged(e: &Encoding) -> bool {
    e.needs & oracle::lacking() == 0 && comparable(e.name) && oracle::is_right(e.name)
}

/// Whether one instruction, with nothing after it, has a result to compare.
fn comparable(name: &str) -> bool {
    // PSTATE's other bits stay with the oracle's process from one instruction to the next.
    let kept = name.ends_with("DIT") || name.contains("SSBS") || name.contains("DIT (");
    // Keys are random, and which option memory operations take is the implementation's own choice.
    let keyed = ["PACI", "PACGA", "BRA", "BLRA", "RETA", "LDRA", "SETP", "SETM", "SETE", "CPY"]
        .iter()
        .any(|start| name.starts_with(start));
    // How much DC ZVA clears is the implementation's choice, too.
    !["SVC", "MRS RNDR, RNDRRS", "DC ZVA"].contains(&name) && !kept && !keyed
}

/// A random word of the encoding whose result the manual tells.
fn allocated(rng: &mut Rng, e: &Encoding) -> Option<u32> {
    let mut made = std::iter::repeat_with(|| word(rng, e.name, e.mask, e.value)).take(20);
    made.find(|&word| encoding_name(word) == Some(e.name) && predictable(word))
}

fn word(rng: &mut Rng, name: &str, mask: u32, value: u32) -> u32 {
    // One field is often all ones: register 31, the last bit, the largest amount.
    let field = if rng.below(4) == 0 { 31 << rng.pick(&[0, 5, 10, 16]) } else { 0 };
    let word = value | (rng.next() as u32 | field) & !mask;
    // Fields that should be ones: newer implementations may refuse anything else.
    let word = match word {
        _ if word & 0x3fa0_0000 == 0x0880_0000 => word | 0x001f_7c00,
        _ if word & 0xff60_0000 == 0x9b40_0000 => word | 0x7c00,
        _ => word,
    };
    match name {
        // NZCV, FPCR, FPSR.
        "MRS" | "MSR (register)" => word & !0xfffe0 | rng.pick(&[0xb4200, 0xb4400, 0xb4420]),
        "B" | "BL" => word & !0x3ff_ffff | 2,
        "B.cond" | "BC.cond" | "CBZ" | "CBNZ" => word & !(0x7ffff << 5) | 2 << 5,
        "TBZ" | "TBNZ" => word & !(0x3fff << 5) | 2 << 5,
        // What is loaded is the code itself.
        _ if name.contains("literal") => word & !(0x7ffff << 5),
        _ if word & 0x3b00_0000 == 0x3900_0000 => word & !(0xf00 << 10),
        _ => word,
    }
}

/// Whether the manual says what the word does with these register numbers.
fn predictable(word: u32) -> bool {
    let [t, n, t2, s] = registers_of(word);
    let ordered = word & 0x3fa0_0000 == 0x0880_0000;
    let (vector, pair, exclusive) = (word >> 26 & 1 == 1, word >> 27 & 7 == 5, word >> 24 & 0x3f == 8);
    let loads_twice = pair && word >> 22 & 1 == 1 && t == t2;
    let base_is_data = !vector && n != 31 && (n == t || pair && n == t2);
    let status_is_data = exclusive && !ordered && (s == t || s == n || s == t2 || t == t2);
    let keyed_hint =
        word & 0xffff_f01f == 0xd503_201f && matches!(word >> 5 & 0x7f, 8 | 10 | 12 | 14 | 24..=31);
    // Addresses of zero.
    let branch_to_zero = word & 0xfe1f_fc1f == 0xd61f_0000 && n == 31;
    let cache_at_zero = word & 0xffff_0000 == 0xd50b_0000 && t == 31;
    let unpredictable = loads_twice || base_is_data || status_is_data;
    !keyed_hint && !branch_to_zero && !cache_at_zero && (word >> 25 & 5 != 4 || !unpredictable)
}

fn registers_of(word: u32) -> [usize; 4] {
    [0, 5, 10, 16].map(|at| (word >> at & 31) as usize)
}

/// A state to run the word from.
fn before(rng: &mut Rng, name: &str, word: u32) -> Registers {
    let mut before = Registers::new();
    let style = rng.below(8);
    before.x.iter_mut().for_each(|x| *x = integer(rng, style));
    for v in &mut before.v {
        let style = if style == 7 { rng.below(7) } else { style };
        *v = vector(rng, style);
    }
    before.nzcv = rng.below(16) << 28;
    before.fpcr = fpcr(rng);
    before.fpsr = if rng.below(4) == 0 { rng.next() & 0x0800_009f } else { 0 };
    let t = registers_of(word)[0];
    if name.starts_with("MSR") {
        // Not the bits of extensions and of AArch32, which the oracle keeps.
        before.x[t.min(30)] &= match word >> 5 & 0x7fff {
            0x5a10 => 0xf000_0000,
            0x5a20 => 0x07c8_0000,
            _ => 0x0800_009f,
        };
    }
    put_address(rng, name, word, &mut before);
    before
}

/// The rounding mode, and often one or more of DN, FZ, AHP, FZ16.
fn fpcr(rng: &mut Rng) -> u64 {
    let others = if rng.below(2) == 0 { rng.next() & rng.next() & 0x0708_0000 } else { 0 };
    rng.below(4) << 22 | others
}

/// A tag for an address, as a rule none: the top byte is ignored.
fn tag(rng: &mut Rng) -> u64 {
    if rng.below(8) == 0 { rng.next() << 56 } else { 0 }
}

/// In the data, often across the border of two pages, rarely across its end.
fn address(rng: &mut Rng, aligned: bool) -> u64 {
    let at = match rng.below(16) {
        0 => DATA + DATA_LEN as u64 - rng.below(80),
        1 => DATA + rng.below(80),
        2..=5 => MIDDLE - 64 + rng.below(80),
        _ => MIDDLE + rng.below(64),
    };
    tag(rng) | if aligned { at & !15 } else { at }
}

/// Points the registers that the word takes addresses from into the data.
fn put_address(rng: &mut Rng, name: &str, word: u32, before: &mut Registers) {
    let [t, n, _, m] = registers_of(word);
    if matches!(name, "BR" | "BLR" | "RET") {
        before.x[n] = tag(rng) | (CODE + 8);
    }
    if word >> 25 & 5 == 4 {
        let aligned = ["STX", "LDX", "LDA", "STL"].iter().any(|p| name.starts_with(p)) || rng.below(4) != 0;
        let base = address(rng, aligned);
        if word & 0x3b20_0c00 == 0x3820_0800 && m != 31 {
            before.x[m] = rng.pick(&[0, 8, 16, 24, 0xffff_ffff_ffff_fff8, 0x1_0000_0010, 3]);
        }
        if n == 31 { before.sp = base & !15 } else { before.x[n] = base }
    }
    if name.starts_with("DC") || name.starts_with("IC") {
        before.x[t] = MIDDLE + rng.below(100);
    }
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

/// Makes groups of all kinds, encoding after encoding.
pub struct Generator {
    pub rng: Rng,
    pub encodings: Vec<Encoding>,
    next: usize,
}

impl Generator {
    pub fn new(seed: u64, only: &str) -> Self {
        let encodings = encodings().filter(|e| e.name.contains(only) && is_judged(e)).collect();
        Self { rng: Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), encodings, next: 0 }
    }

    /// The next encoding in a single instruction.
    pub fn single(&mut self) -> Option<Group> {
        let encoding = self.encodings[self.next % self.encodings.len()];
        self.next += 1;
        let (rng, control) = (&mut self.rng, fpcr(&mut Rng((self.next as u64 * 77) | 1)));
        let word = allocated(rng, &encoding)?;
        let control = control ^ fpcr(rng);
        let one = |_| Registers { fpcr: control, ..before(rng, encoding.name, word) };
        let states = (0..STATES).map(one).collect();
        Some(group(vec![word], states))
    }

    /// Instructions one after the other, with branches forward; nothing, if the encodings may not stand in sequences.
    pub fn sequence(&mut self) -> Option<Group> {
        let wanted = 2 + self.rng.below(LONGEST - 1) as usize;
        let mut words: Vec<u32> = Vec::new();
        for _ in 0..100 * wanted {
            let encoding = self.rng.pick(&self.encodings);
            let left = (wanted - words.len()) as u32;
            words.extend(self.for_sequence(&encoding, left));
            if words.len() == wanted {
                let control = fpcr(&mut self.rng);
                let states = (0..STATES).map(|_| self.state_for_sequence(control)).collect();
                return Some(group(words, states));
            }
        }
        None
    }

    /// A word of the encoding for a place in a sequence with `left` words from there to the end.
    fn for_sequence(&mut self, e: &Encoding, left: u32) -> Option<u32> {
        let rng = &mut self.rng;
        let leaves = ["BR", "BLR", "RET"].contains(&e.name)
            || ["STXR", "STXP", "LDXR", "LDXP", "DC", "IC", "MRS DIT"].iter().any(|p| e.name.starts_with(p));
        let word = allocated(rng, e)?;
        let ahead = 1 + rng.below(u64::from(left)) as u32;
        let word = match e.name {
            "B" | "BL" => word & !0x3ff_ffff | ahead,
            "B.cond" | "BC.cond" | "CBZ" | "CBNZ" => word & !(0x7ffff << 5) | ahead << 5,
            "TBZ" | "TBNZ" => word & !(0x3fff << 5) | ahead << 5,
            "MSR (register)" => word & !31 | CONTROL,
            // The place of an access is in the registers kept for that, one alone and one with an offset.
            _ if word >> 25 & 5 == 4 && !e.name.contains("literal") => {
                let word = word & !(31 << 5) | rng.pick(&BASES) << 5;
                let (offset, post) = (word & 0x3b20_0c00 == 0x3820_0800, word & 0xbe80_0000 == 0x0c80_0000);
                if offset || post && word >> 16 & 31 != 31 { word & !(31 << 16) | OFFSET << 16 } else { word }
            }
            _ => word,
        };
        // Bits that the encoding fixes are no register (the lowest may be: of pairs, the even ones).
        let own = |at: u32| e.mask >> (at + 1) & 15 == 0 && RESERVED.contains(&(word >> at & 31));
        let changes_reserved = match e.name {
            "B" | "BL" | "B.cond" | "BC.cond" | "MSR (register)" => false,
            _ => own(0) || own(10) || word & 31 == 31 || (own(16) && word >> 16 & 31 != OFFSET),
        };
        let allowed =
            !leaves && !changes_reserved && predictable(word) && encoding_name(word) == Some(e.name);
        allowed.then_some(word)
    }

    fn state_for_sequence(&mut self, control: u64) -> Registers {
        let mut before = before(&mut self.rng, "", 0);
        let rng = &mut self.rng;
        before.fpcr = control;
        before.sp = MIDDLE;
        before.x[CONTROL as usize] = fpcr(rng);
        before.x[OFFSET as usize] = rng.pick(&[0, 8, 16, 3]);
        for base in BASES {
            let aligned = rng.below(2) == 0;
            before.x[base as usize] = address(rng, aligned);
        }
        before
    }

    /// Instructions that only mean something together.
    pub fn together(&mut self) -> Group {
        let rng = &mut self.rng;
        let Together { mut words, aligned, instead } = together(rng);
        let mut one = |_| {
            let mut state = before(rng, "", 0);
            state.x[1] = MIDDLE + 16 * rng.below(100) + if aligned { 0 } else { rng.below(16) };
            state.x[2] = DATA + 64 + rng.below(512);
            state.x[3] = rng.below(300);
            state.x[4] = CODE + 4 * 16;
            state.sp = MIDDLE;
            state.x[22] = 0;
            state
        };
        let states: Vec<Registers> = (0..STATES).map(&mut one).collect();
        words.push(NOP);
        let instead = instead.map(|(words, signed)| ([words, vec![NOP]].concat(), signed));
        Group { instead, ..group(words, states) }
    }

    /// An instruction that the oracle does not have, and the states after it by the manual's pseudocode.
    pub fn modelled(&mut self) -> Option<(Group, Vec<Registers>)> {
        let mut lacking = encodings().filter(|e| e.needs & CSSC != 0).collect::<Vec<_>>();
        let encoding = lacking.swap_remove(self.rng.below(lacking.len() as u64) as usize);
        let word = allocated(&mut self.rng, &encoding)?;
        let states = (0..STATES).map(|_| before(&mut self.rng, encoding.name, word)).map(|mut state| {
            state.fpcr = 0;
            state
        });
        let states: Vec<Registers> = states.collect();
        let after = states.iter().map(|state| Registers { memory: 0, ..cssc(word, state) }).collect();
        Some((group(vec![word], states), after))
    }

    /// A word that is no instruction.
    pub fn unallocated(&mut self) -> Group {
        let rng = &mut self.rng;
        let word = loop {
            // Near an encoding there is more to be taken for one.
            let near = rng.pick(&self.encodings);
            let word = match rng.below(2) {
                0 => rng.next() as u32,
                _ => (near.value | rng.next() as u32 & !near.mask) ^ 1 << rng.below(32) ^ 1 << rng.below(32),
            };
            if encoding_name(word).is_none() && !arms::knows(word) {
                break word;
            }
        };
        let state = before(rng, "", 0);
        group(vec![word], vec![state])
    }
}

fn group(words: Vec<u32>, states: Vec<Registers>) -> Group {
    let touches_memory = words.iter().any(|&word| is_access(word));
    Group { words, states, touches_memory, instead: None }
}

/// FEAT_CSSC's instructions by their pseudocode.
fn cssc(word: u32, state: &Registers) -> Registers {
    let [d, n, _, m] = registers_of(word);
    let read = |r: usize| if r == 31 { 0 } else { state.x[r] };
    let bits = if word >> 31 == 1 { 64 } else { 32 };
    let cut = |value: i128| value as u64 & (u64::MAX >> (64 - bits));
    let signed = |value: u64| i128::from((value << (64 - bits)) as i64 >> (64 - bits));
    let unsigned = |value: u64| i128::from(cut(i128::from(value)));
    let immediate = word & 0x1fe0_0000 == 0x11c0_0000 || word & 0x1ff0_0000 == 0x11c0_0000;
    let a = read(n);
    let result = if immediate || word >> 21 & 0x3ff == 0x0d6 {
        let op = if immediate { word >> 18 & 3 } else { word >> 10 & 3 };
        let imm = word >> 10 & 0xff;
        let of = |value: u64| if op & 1 == 0 { signed(value) } else { unsigned(value) };
        let b = match (immediate, op & 1) {
            (true, 0) => i128::from(imm as u8 as i8),
            (true, _) => i128::from(imm),
            _ => of(read(m)),
        };
        if op < 2 { of(a).max(b) } else { of(a).min(b) }
    } else {
        match word >> 10 & 0x3f {
            8 => signed(a).abs(),
            7 => i128::from(cut(i128::from(a)).count_ones()),
            _ => i128::from(cut(i128::from(a)).trailing_zeros().min(bits)),
        }
    };
    let mut after = state.clone();
    if d != 31 {
        after.x[d] = cut(result);
    }
    after
}

const NOP: u32 = 0xd503_201f;

/// Instructions that belong together. x1 is an address, x2 another, x3 a length, x4 the address of word 16.
struct Together {
    words: Vec<u32>,
    /// Whether x1 must be aligned.
    aligned: bool,
    /// As [`Group::instead`].
    instead: Option<(Vec<u32>, usize)>,
}

fn together(rng: &mut Rng) -> Together {
    const CLEAR_FLAGS: u32 = 0xd51b_421f;
    let key = rng.below(4) as u32;
    let ab = key & 1;
    let plain = |words| Together { words, aligned: false, instead: None };
    let aligned = |words| Together { words, aligned: true, instead: None };
    match rng.below(13) {
        // mov x5, x1; PACIA x5, x6; AUTIA x5, x6 and the other keys; the same with zero as modifier; stripped.
        0 => plain(vec![0xaa01_03e5, 0xdac1_00c5 | key << 10, 0xdac1_10c5 | key << 10]),
        1 => plain(vec![0xaa01_03e5, 0xdac1_23e5 | key << 10, 0xdac1_33e5 | key << 10]),
        2 => plain(vec![0xaa01_03e5, 0xdac1_00c5 | key << 10, 0xdac1_43e5 | (key >> 1) << 10]),
        // mov x30, x1; PACIASP; AUTIASP; and with x17, x16.
        3 => plain(vec![0xaa01_03fe, 0xd503_233f | ab << 6, 0xd503_23bf | ab << 6]),
        4 => plain(vec![0xaa01_03f1, 0xd503_211f | ab << 6, 0xd503_219f | ab << 6]),
        // PACIA x4, x6; BRAA x4, x6 (or BLRAA) to word 16.
        5 => branch(vec![0xdac1_00c4 | ab << 10], rng.pick(&[0xd71f_0886, 0xd73f_0886]) | ab << 10),
        6 => branch(vec![0xdac1_23e4 | ab << 10], rng.pick(&[0xd61f_089f, 0xd63f_089f]) | ab << 10),
        // mov x30, x4; PACIASP; RETAA
        7 => branch(vec![0xaa04_03fe, 0xd503_233f | ab << 6], 0xd65f_0bff | ab << 10),
        // PACDZA x1; LDRAA x5, [x1, #8], or with writeback.
        8 => {
            let load = rng.pick(&[0xf820_1425, 0xf820_1c25]);
            let words = vec![0xdac1_2be1 | ab << 10, load | ab << 23];
            let plain = if load & 1 << 11 == 0 { 0xf940_0425 } else { 0xf840_8c25 };
            Together { words, aligned: true, instead: Some((vec![NOP, plain], 1)) }
        }
        // LDXR, STXR of all sizes, something between.
        9 => {
            let (size, ordered) = (rng.below(4) as u32, rng.below(2) as u32);
            let load = 0x085f_7c25 | size << 30 | ordered << 15;
            aligned(vec![load, 0x9100_04a5, 0x0806_7c25 | size << 30 | ordered << 15])
        }
        10 => {
            let size = rng.below(2) as u32;
            aligned(vec![0x887f_1c25 | size << 30, 0x9100_04a5, 0x8826_1c25 | size << 30])
        }
        // MSR DIT, #imm; MRS x5, DIT; MSR DIT, x6; MRS x7, DIT; or SSBS.
        11 => {
            let imm = ab << 8;
            let (immediate, moves) = rng.pick(&[(0xd503_415f, 0x42a0), (0xd503_413f, 0x42c0)]);
            plain(vec![immediate | imm, 0xd53b_0005 | moves, 0xd51b_0006 | moves, 0xd53b_0007 | moves])
        }
        // SETP, SETM, SETE or CPYP, CPYM, CPYE; which flags they leave is the implementation's choice.
        _ => {
            let words = match (rng.below(3), oracle::is_old()) {
                (_, true) => vec![NOP],
                (0, _) => vec![0x19c8_0461, 0x19c8_4461, 0x19c8_8461],
                (1, _) => vec![0x1902_0461, 0x1942_0461, 0x1982_0461],
                _ => vec![0x1d02_0461, 0x1d42_0461, 0x1d82_0461],
            };
            plain([words, vec![CLEAR_FLAGS]].concat())
        }
    }
}

/// `sign` and a branch to word 16 over what adds to x1; the oracle only branches.
fn branch(sign: Vec<u32>, branch: u32) -> Together {
    let (moves, signed) = if sign.len() > 1 { (sign[0], 30) } else { (NOP, 4) };
    let links = branch & 0x60_0000 == 0x20_0000;
    let plain = match (signed, links) {
        (30, _) => 0xd65f_03c0,
        (_, true) => 0xd63f_0080,
        _ => 0xd61f_0080,
    };
    let mut instead = vec![NOP; sign.len()];
    instead[0] = moves;
    let with = |mut words: Vec<u32>, branch| {
        words.push(branch);
        words.resize(18, 0x9100_0421);
        words
    };
    Together { words: with(sign, branch), aligned: false, instead: Some((with(instead, plain), signed)) }
}

/// Arm's own list of encodings.
mod arms {
    use std::sync::LazyLock;

    /// (mask, value) of each.
    static ENCODINGS: LazyLock<Vec<(u32, u32)>> = LazyLock::new(|| {
        let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
        let lines = include_str!("../../../arch/aarch64/src/decode/arm_encodings.tsv").lines();
        let fields =
            lines.filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
        fields.map(|f| (hex(f[2]) & !hex(f[4]), hex(f[3]))).collect()
    });

    /// Whether the word is an instruction to Arm, or in the space of SVE and SME.
    pub fn knows(word: u32) -> bool {
        let scalable = word >> 25 & 15 == 2 || word >> 31 == 1 && word >> 25 & 15 == 0;
        scalable || ENCODINGS.iter().any(|&(mask, value)| (word ^ value) & mask == 0)
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
