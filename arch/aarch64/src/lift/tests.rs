//! Every encoding lifts to IR that the verifier accepts, before and after the passes.

use super::lift_block;
use crate::decode::{TABLES, decode};
use crate::features::MODELS;
use guest::arch::{CodeReader, LiftConfig, LiftLimits};
use guest::ir::{Block, Locality, Op, Terminator, passes, verify};
use guest::{GuestAddr, Trap};

/// Code at one address.
struct Code {
    base: u64,
    bytes: Vec<u8>,
}

impl CodeReader for Code {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.bytes.get((pc.raw() - self.base) as usize..).unwrap_or(&[])
    }
}

const BASE: u64 = 0x10000;

fn lift_with(features: u64, words: &[u32]) -> Block {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let config = LiftConfig { features, control: 0 };
    let mut code = Code { base: BASE, bytes };
    lift_block(&config, LiftLimits { max_insns: 64 }, &mut code, GuestAddr(BASE))
}

fn lift(words: &[u32]) -> Block {
    lift_with(MODELS[0].features, words)
}

fn check(words: &[u32]) {
    let mut block = lift(words);
    if let Err(error) = verify(&block) {
        panic!("{words:#010x?}: {error}\n{block}");
    }
    passes::optimize(&mut block);
    if let Err(error) = verify(&block) {
        panic!("{words:#010x?}, optimized: {error}\n{block}");
    }
}

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

#[test]
fn random_words_of_every_encoding_lift_to_sound_ir() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for row in TABLES.iter().copied().flatten() {
        for _ in 0..200 {
            let word = row.pattern.value | random.next() & !row.pattern.mask;
            if decode(word).is_some() {
                check(&[word]);
            }
        }
    }
}

#[test]
fn random_sequences_lift_to_sound_ir() {
    let mut random = Random(0x9876_5432_1fed_cba9);
    let rows: Vec<_> = TABLES.iter().copied().flatten().collect();
    for _ in 0..500 {
        let words: Vec<u32> = (0..40)
            .map(|_| {
                let row = rows[random.next() as usize % rows.len()];
                row.pattern.value | random.next() & !row.pattern.mask
            })
            .collect();
        check(&words);
    }
}

#[test]
fn what_is_no_instruction_traps_alone() {
    let illegal = lift(&[0]);
    assert_eq!(illegal.terminator, Terminator::Trap { trap: Trap::Illegal, pc: GuestAddr(BASE) });
    let after_nop = lift(&[0xd503_201f, 0]);
    assert!(matches!(after_nop.terminator, Terminator::Jump { target, .. } if target.raw() == BASE + 4));
    let breakpoint = lift(&[0xd420_0000]);
    assert_eq!(breakpoint.terminator, Terminator::Trap { trap: Trap::Breakpoint, pc: GuestAddr(BASE) });
    let nothing = lift(&[]);
    let (pc, fault) = (GuestAddr(BASE), GuestAddr(BASE));
    assert_eq!(nothing.terminator, Terminator::FetchFault { pc, fault });
}

#[test]
fn a_model_without_a_feature_lacks_its_instructions() {
    let ldadd = 0xb820_0041;
    assert!(matches!(lift(&[ldadd]).terminator, Terminator::Jump { .. }));
    let plain = lift_with(0, &[ldadd]);
    assert_eq!(plain.terminator, Terminator::Trap { trap: Trap::Illegal, pc: GuestAddr(BASE) });
}

/// PRFM of `[x1, 8]` by what `<prfop>` asks for (Arm ARM C6.2): loads and stores are asked for, code is not.
#[test]
fn prefetches_ask_for_what_the_instruction_says() {
    let kinds = [
        (0b00000, Some(Locality::L1)),
        (0b00001, Some(Locality::Once)),
        (0b00010, Some(Locality::L2)),
        (0b00100, Some(Locality::L3)),
        (0b00110, None),
        (0b01000, None),
        (0b10000, Some(Locality::Write)),
        (0b10101, Some(Locality::Write)),
        (0b11000, None),
    ];
    for (operation, expected) in kinds {
        let block = lift(&[0xf980_0420 | operation]);
        let found = block.ops.iter().find_map(|op| match *op {
            Op::Prefetch { how, off: 8, .. } => Some(how),
            _ => None,
        });
        assert_eq!(found, expected, "{operation:#07b}");
    }
}
