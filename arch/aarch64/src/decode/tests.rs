//! The tables against themselves and against Arm's own list of encodings (`arm_encodings.tsv`).

use super::arm::{arm, is_ours};
use super::*;

/// A xorshift generator: the same words on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }
}

fn all_rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}

fn claims(row: &Row, word: u32) -> bool {
    row.pattern.matches(word) && row.guard.is_none_or(|guard| guard(Insn(word)))
}

#[test]
fn every_encoding_of_arms_that_we_advertise_has_a_row() {
    let mut random = Random(0x9876_5432_1234_5678);
    let missing: Vec<_> = arm()
        .iter()
        .filter(|a| is_ours(a) && !(0..256).any(|_| decode(a.value | random.next() & !a.mask).is_some()))
        .map(|a| format!("{} {}", a.class, a.name))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn what_we_do_not_advertise_has_no_row() {
    let (arm, mut random) = (arm(), Random(0x1111_2222_3333_4444));
    let is_another = |word: u32| arm.iter().any(|a| word & a.mask == a.value && is_ours(a));
    for a in arm.iter().filter(|a| !is_ours(a) && !a.class.ends_with("systemmove")) {
        for _ in 0..64 {
            let word = a.value | random.next() & !a.mask;
            // SYS has the instructions on caches among its words.
            let found =
                encoding_name(word).filter(|name| !name.starts_with("DC ") && !name.starts_with("IC "));
            assert!(found.is_none() || is_another(word), "{word:#010x} is {} to Arm, not {found:?}", a.name);
        }
    }
}

#[test]
fn every_row_is_an_encoding_of_arms() {
    let (arm, mut random) = (arm(), Random(0x1234_5678_9abc_def1));
    for row in all_rows() {
        for _ in 0..200 {
            let word = row.pattern.value | random.next() & !row.pattern.mask;
            let known = !claims(row, word) || arm.iter().any(|a| a.covers(word));
            assert!(known, "{}: {word:#010x} is nothing to Arm", row.name);
        }
    }
}

#[test]
fn no_word_is_claimed_by_two_rows() {
    let mut random = Random(0x5555_6666_7777_8889);
    for row in all_rows() {
        for _ in 0..200 {
            let word = row.pattern.value | random.next() & !row.pattern.mask;
            let claimants: Vec<_> = all_rows().filter(|row| claims(row, word)).map(|row| row.name).collect();
            assert!(claimants.len() <= 1, "{word:#010x}: {claimants:?}");
        }
    }
}

#[test]
fn the_index_finds_what_a_scan_of_the_tables_finds() {
    let mut random = Random(0x1234_5678);
    for _ in 0..200_000 {
        let word = random.next();
        let scanned = all_rows().find(|row| claims(row, word));
        assert_eq!(decode(word).map(|row| row.name), scanned.map(|row| row.name), "{word:#010x}");
    }
}

#[test]
fn every_row_can_be_reached() {
    let mut random = Random(0x4242_4242);
    for row in all_rows() {
        assert_eq!(row.pattern.value & !row.pattern.mask, 0, "{}", row.name);
        let mut reached = || {
            let word = row.pattern.value | random.next() & !row.pattern.mask;
            decode(word).is_some_and(|found| std::ptr::eq(found, row))
        };
        assert!((0..10_000).any(|_| reached()), "{} is hidden by another row", row.name);
    }
}
