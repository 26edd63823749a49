//! From an instruction word to its row in the encoding tables.
//!
//! The tables are the only list of encodings. A two-level index over bits 31:21 and 15:10, built at the
//! first use, leaves one or two rows to compare; a word that no row matches is not allocated.

mod arm;
mod base;
mod crypto;
mod fp;
mod insn;
mod loadstore;
mod pattern;
mod simd;
mod simd_fp;
mod simd_half;
mod simd_narrow;
mod simd_products;
#[cfg(test)]
mod tests;

pub use arm::absence;
pub use insn::{Insn, lane};

use crate::features;
use crate::lift::Lifter;
use pattern::Pattern;
use std::sync::LazyLock;

/// What an encoding means: emits its IR.
pub type LiftFn = fn(&mut Lifter, Insn);

/// One encoding.
pub struct Row {
    pub name: &'static str,
    pub pattern: Pattern,
    pub lift: LiftFn,
    /// Features that must be there (see also [`Row::needs`]).
    needs: u64,
    pub sizes: Sizes,
    /// What a pattern cannot say about which words are allocated.
    pub guard: Option<fn(Insn) -> bool>,
}

/// How float instructions say that they work in half precision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sizes {
    /// Not at all.
    Never,
    /// `ftype`, bits 23:22, is 3.
    Ftype,
    /// All of the table do.
    Half,
}

impl Row {
    /// The features that `insn` needs.
    pub fn needs(&self, insn: Insn) -> u64 {
        let half = self.sizes == Sizes::Ftype && insn.bits(22, 2) == 3;
        self.needs | if half { features::FP16 } else { 0 }
    }
}

/// Declares a table: `"NAME" "pattern" lift_function [if guard];`
macro_rules! rows {
    ($table:ident, $needs:expr; $($rest:tt)*) => { rows!($table, $needs, Never; $($rest)*); };
    ($table:ident, $needs:expr, $sizes:ident; $($name:literal $pattern:literal $lift:expr $(, if $guard:expr)?;)*) => {
        pub static $table: &[$crate::decode::Row] = &[$($crate::decode::Row {
            name: $name,
            pattern: $crate::decode::pattern::Pattern::parse($pattern),
            lift: $lift,
            needs: $needs,
            sizes: $crate::decode::Sizes::$sizes,
            guard: rows!(@guard $($guard)?),
        }),*];
    };
    (@guard) => { None };
    (@guard $guard:expr) => { Some($guard) };
}
pub(crate) use rows;

/// All tables. Where two rows match a word, the first in this order counts.
pub static TABLES: &[&[Row]] = &[
    base::IMMEDIATE,
    base::REGISTER,
    base::CSSC,
    base::FLAGM,
    base::FLAGM2,
    base::CRC,
    base::CONTROL,
    base::HBC,
    base::PAUTH,
    base::SB,
    base::SSBS,
    base::DIT,
    base::RNG,
    base::WFXT,
    base::DPB,
    base::DPB2,
    base::SYSTEM,
    loadstore::SINGLE,
    loadstore::PAIR,
    loadstore::EXCLUSIVE,
    loadstore::ATOMIC,
    loadstore::LRCPC,
    loadstore::LRCPC2,
    loadstore::MOPS,
    loadstore::STRUCTURE,
    fp::SCALAR,
    fp::CONVERT,
    fp::FRINTTS,
    fp::JSCVT,
    simd::PERMUTE,
    simd::THREE_SAME,
    simd::TWO_MISC,
    simd::THREE_DIFFERENT,
    simd::ACROSS,
    simd_narrow::IMMEDIATE,
    simd_narrow::SHIFT,
    simd_narrow::BY_ELEMENT,
    simd_narrow::SCALAR,
    simd_narrow::RDM,
    simd_fp::VECTOR,
    simd_fp::SCALAR,
    simd_fp::BY_ELEMENT,
    simd_fp::FRINTTS,
    simd_half::VECTOR,
    simd_half::SCALAR,
    simd_half::BY_ELEMENT,
    simd_half::FIXED,
    simd_half::IMMEDIATE,
    simd_products::DOTPROD,
    simd_products::I8MM,
    simd_products::BF16,
    simd_products::FHM,
    simd_products::FCMA,
    simd_products::FCMA_HALF,
    crypto::AES,
    crypto::SHA1,
    crypto::SHA2,
    crypto::SHA512,
    crypto::SHA3,
    crypto::SM3,
    crypto::SM4,
];

/// Rows by bits 31:21 of the word, then by bits 15:10.
struct Index {
    /// Per value of bits 31:21, the start of its 64 entries in `second`.
    first: Vec<u32>,
    /// Start of a run in `runs`.
    second: Vec<u32>,
    /// Row lists, each ended by `None`.
    runs: Vec<Option<&'static Row>>,
}

static INDEX: LazyLock<Index> = LazyLock::new(Index::build);

const FIRST_LEN: usize = 1 << 11;

impl Index {
    fn build() -> Self {
        let mut buckets: Vec<Vec<&'static Row>> = vec![Vec::new(); FIRST_LEN];
        for row in TABLES.iter().copied().flatten() {
            for_each_value(row.pattern.mask >> 21, row.pattern.value >> 21, FIRST_LEN, |bucket| {
                buckets[bucket].push(row);
            });
        }
        let mut index = Self { first: Vec::with_capacity(FIRST_LEN), second: vec![0; 64], runs: vec![None] };
        let mut previous: Option<usize> = None;
        for (number, bucket) in buckets.iter().enumerate() {
            let same = previous.filter(|&p| same_rows(&buckets[p], bucket));
            match (bucket.is_empty(), same) {
                (true, _) => index.first.push(0),
                (_, Some(p)) => index.first.push(index.first[p]),
                _ => index.add_bucket(bucket),
            }
            previous = Some(number);
        }
        index
    }

    fn add_bucket(&mut self, bucket: &[&'static Row]) {
        let start = self.second.len();
        self.first.push(start as u32);
        let shared = bucket.iter().all(|row| row.pattern.mask >> 10 & 63 == 0);
        for bits in 0..64u32 {
            if shared && bits > 0 {
                self.second.push(self.second[start]);
                continue;
            }
            self.second.push(self.runs.len() as u32);
            let fits = |row: &&&Row| bits & (row.pattern.mask >> 10 & 63) == row.pattern.value >> 10 & 63;
            self.runs.extend(bucket.iter().filter(fits).map(|row| Some(*row)));
            self.runs.push(None);
        }
    }
}

fn same_rows(a: &[&'static Row], b: &[&'static Row]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| std::ptr::eq(*a, *b))
}

/// Calls `f` with every index below `limit` whose `mask` bits are those of `value`.
fn for_each_value(mask: u32, value: u32, limit: usize, mut f: impl FnMut(usize)) {
    let free = !mask & (limit as u32 - 1);
    let mut subset = 0u32;
    loop {
        f((value | subset) as usize);
        subset = subset.wrapping_sub(free) & free;
        if subset == 0 {
            break;
        }
    }
}

/// The row that `word` is an instance of.
pub fn decode(word: u32) -> Option<&'static Row> {
    let index = &*INDEX;
    let second = index.first[(word >> 21) as usize] as usize + (word >> 10 & 63) as usize;
    let run = &index.runs[index.second[second] as usize..];
    run.iter()
        .map_while(|row| *row)
        .find(|row| row.pattern.matches(word) && row.guard.is_none_or(|guard| guard(Insn(word))))
}

/// The name of the encoding that `word` is an instance of, with the manual's spelling.
pub fn encoding_name(word: u32) -> Option<&'static str> {
    decode(word).map(|row| row.name)
}

/// An encoding, for tests that generate words.
#[derive(Clone, Copy)]
pub struct Encoding {
    pub name: &'static str,
    /// The fixed bits ...
    pub mask: u32,
    /// ... and their values.
    pub value: u32,
    /// The features that all its words need.
    pub needs: u64,
}

/// Every encoding.
pub fn encodings() -> impl Iterator<Item = Encoding> {
    TABLES.iter().copied().flatten().map(|row| Encoding {
        name: row.name,
        mask: row.pattern.mask,
        value: row.pattern.value,
        needs: row.needs,
    })
}
