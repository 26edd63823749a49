//! An instruction or several, with the state before and after, and the text form.

use crate::oracle::Group;
use std::fmt::{self, Write as _};

/// Where the instruction lies.
pub const CODE: u64 = 0x1000_1000;
/// Memory that it may touch.
pub const DATA: u64 = 0x2000_0000_0000;
pub const DATA_LEN: usize = 16384;
/// Where sp and base registers point.
pub const MIDDLE: u64 = DATA + 8192;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    pub x: [u64; 31],
    pub sp: u64,
    pub nzcv: u64,
    pub fpcr: u64,
    pub fpsr: u64,
    pub v: [u128; 32],
    /// 0 where it goes on behind the code, 1 one word further (a branch taken); or 100 + the signal, with the place
    /// of the instruction (in words from the start) above bit 8.
    pub status: u64,
    /// A hash of the data.
    pub memory: u64,
}

impl Registers {
    pub fn new() -> Self {
        Self {
            x: [0; 31],
            sp: MIDDLE,
            nzcv: 0,
            fpcr: 0,
            fpsr: 0,
            v: [0; 32],
            status: 0,
            memory: hash(&pattern()),
        }
    }

    /// Names and values, in the order of the text form.
    fn fields(&self) -> Vec<(String, u128)> {
        let x = self.x.iter().enumerate().map(|(n, v)| (format!("x{n}"), u128::from(*v)));
        let v = self.v.iter().enumerate().map(|(n, v)| (format!("v{n}"), *v));
        let others = [
            ("sp", self.sp),
            ("nzcv", self.nzcv),
            ("fpcr", self.fpcr),
            ("fpsr", self.fpsr),
            ("status", self.status),
            ("memory", self.memory),
        ];
        x.chain(v).chain(others.map(|(name, value)| (name.to_owned(), u128::from(value)))).collect()
    }

    fn set(&mut self, name: &str, value: u128) -> Option<()> {
        let low = value as u64;
        match name {
            "sp" => self.sp = low,
            "nzcv" => self.nzcv = low,
            "fpcr" => self.fpcr = low,
            "fpsr" => self.fpsr = low,
            "status" => self.status = low,
            "memory" => self.memory = low,
            _ => match (name.strip_prefix('x'), name.strip_prefix('v')) {
                (Some(n), _) => *self.x.get_mut(n.parse::<usize>().ok()?)? = low,
                (_, Some(n)) => *self.v.get_mut(n.parse::<usize>().ok()?)? = value,
                _ => return None,
            },
        }
        Some(())
    }

    /// The fields that differ from `base`'s, as `name=hex` words.
    fn differences(&self, base: &Self) -> String {
        let mut text = String::new();
        for ((name, value), (_, old)) in self.fields().iter().zip(base.fields()) {
            if *value != old {
                write!(text, " {name}={value:x}").unwrap();
            }
        }
        text
    }

    fn apply(&mut self, words: &str) -> Option<()> {
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            self.set(name, u128::from_str_radix(value, 16).ok()?)?;
        }
        Some(())
    }
}

#[derive(Clone, Debug)]
pub struct Case {
    pub words: Vec<u32>,
    pub before: Registers,
    pub after: Registers,
}

impl Case {
    /// Reads `name ; word word... ; before -> after`.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, " ; ").skip(1);
        let hex = |word| u32::from_str_radix(word, 16).ok();
        let words = parts.next()?.split_whitespace().map(hex).collect::<Option<Vec<u32>>>()?;
        let (inputs, changes) = parts.next()?.split_once("->")?;
        let mut before = Registers::new();
        before.apply(inputs)?;
        let mut after = before.clone();
        after.apply(changes)?;
        Some(Self { words, before, after })
    }

    /// For the oracle.
    pub fn group(&self) -> Group {
        let touches_memory = self.words.iter().any(|&word| is_access(word));
        Group { words: self.words.clone(), states: vec![self.before.clone()], touches_memory, instead: None }
    }

    pub fn changes(&self) -> String {
        self.after.differences(&self.before)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = self.before.differences(&Registers::new());
        let words: Vec<String> = self.words.iter().map(|word| format!("{word:08x}")).collect();
        write!(f, "{} ;{inputs} ->{}", words.join(" "), self.changes())
    }
}

/// Whether the word may be a load or store, or touches memory otherwise (`DC`, `SYS`).
pub const fn is_access(word: u32) -> bool {
    word >> 25 & 5 == 4 || word & 0xffc0_0000 == 0xd500_0000
}

/// xorshift64*
#[derive(Clone, Copy, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        step(&mut self.0);
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn step(s: &mut u64) {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
}

/// What the data holds before each instruction; oracle.c has the same.
pub fn pattern() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut words = (0..DATA_LEN / 8).map(|_| {
        step(&mut state);
        state
    });
    words.by_ref().flat_map(u64::to_le_bytes).collect()
}

pub fn hash(data: &[u8]) -> u64 {
    let words = data.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    words.fold(0u64, |hash, word| hash.wrapping_mul(0x100_0000_01b3).wrapping_add(word))
}
