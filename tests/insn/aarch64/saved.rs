//! AArch64 sequences in programs, with qemu-aarch64 as the oracle.

use crate::case::{CODE, Case, DATA_LEN, Registers, Rng, pattern};
use crate::fuzz::differ;
use crate::oracle::{self, Group, decode, encode};
use crate::random::Generator;
use crate::saved::image::{CAPACITY, place};
use crate::saved::{Guest, STATES, Shape};
use arch_aarch64::encoding_name;
use std::process::Command;

const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
/// From the variables: x30 as the function was called with; what x22 to x28 are at first.
const LOAD_RETURN: u32 = 0xf940_0b1e;
const STORE_RETURN: u32 = 0xf900_0b1e;
/// `movz x24, #0x2100, lsl #32`: where the variables are.
const VARIABLES: u32 = 0xd2c4_2018;
/// `ldr x24, [x24, #48]`: what it is in the sequence.
const LOAD_X24: u32 = 0xf940_1b18;
/// `ldr x22, [x24]`, one less, and `str`: the counter.
const COUNT: [u32; 3] = [0xf940_0316, 0xd100_06d6, 0xf900_0316];
/// `ldp` of x22, x23; x25, x26; x27, x28.
const LOAD_PAIRS: [u32; 3] = [0xa942_5f16, 0xa943_eb19, 0xa944_f31b];
/// The places of records' fields, in words.
const ADDRESS_WORD: usize = 35;

#[derive(Default)]
pub struct A64(Option<Generator>);

#[derive(Clone)]
pub struct Piece {
    group: Group,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sequence,
    /// Instructions that only mean something together.
    Together,
}

fn branch(from: usize, to: usize) -> u32 {
    0x1400_0000 | (to as u32).wrapping_sub(from as u32) & 0x3ff_ffff
}

/// Words before the sequence itself.
fn before(shape: &Shape) -> Vec<u32> {
    // `movz w30, #tag` and `str w30, [x24, #8]`; then what belongs in x30, from TPIDR_EL0.
    let tag = 0x5280_0000 | u32::from(shape.tag) << 5 | 30;
    vec![VARIABLES, tag, 0xb900_0b1e, LOAD_X24, 0xd53b_d05e]
}

/// The code in words, and where the sequence is in it.
fn assembled(piece: &Piece, at: u64, shape: &Shape) -> (Vec<u32>, usize) {
    let words = &piece.group.words;
    let mut code = before(shape);
    let head = code.len();
    let exit = ((place::<A64>(CAPACITY) - at) / 4) as usize;
    let mut inside = head;
    if shape.called {
        code.push(NOP);
    } else {
        code.extend(words);
    }
    if shape.inner > 1 {
        code.push(VARIABLES);
        code.extend(COUNT);
        let left = 2 + LOAD_PAIRS.len() as u32 + 1;
        code.push(0xb400_0016 | (left << 5));
        code.extend(LOAD_PAIRS);
        code.push(LOAD_X24);
        code.push(branch(code.len(), head));
    }
    // An instruction alone may branch over one word.
    code.push(branch(code.len(), exit));
    code.push(branch(code.len(), exit + 1));
    if shape.called {
        code[head] = branch(head, code.len()) | 1 << 31;
        code.extend([VARIABLES, STORE_RETURN, LOAD_X24]);
        inside = code.len();
        code.extend(words);
        code.extend([VARIABLES, LOAD_RETURN, LOAD_X24, RET]);
    }
    (code, inside)
}

impl Guest for A64 {
    type Piece = Piece;

    const NAME: &'static str = "aarch64";
    const EMULATOR: &'static str = env!("CARGO_BIN_EXE_qemu-lua-aarch64");
    const COMPILER: &'static [&'static str] =
        &["aarch64-linux-gnu-gcc", "-Wl,--section-start=stub=0x10000000"];
    const ASSEMBLER: &'static str = "aarch64.S";
    const CODE: u64 = CODE;
    const DATA_LEN: usize = DATA_LEN;
    const RECORD: usize = oracle::RECORD;
    const HEAD: usize = 48;

    fn options() -> Vec<String> {
        // What the oracle lacks and what changes others' alignment.
        if oracle::is_old() { ["-cpu", "max,-lse2"].map(str::to_owned).to_vec() } else { Vec::new() }
    }

    fn oracle(program: &str) -> Command {
        let mut command = oracle::command();
        command.arg(program);
        command
    }

    fn filling(number: usize) -> Vec<u8> {
        let mut data = pattern();
        data.rotate_left(8 * number);
        data
    }

    fn begin(&mut self, seed: u64) {
        self.0 = Some(Generator::new(seed, ""));
    }

    fn generate(&mut self, rng: &mut Rng) -> Option<Piece> {
        let generator = self.0.as_mut()?;
        let kind = match rng.below(16) {
            0..=3 => Kind::Single,
            4 => Kind::Together,
            _ => Kind::Sequence,
        };
        let mut group = match kind {
            Kind::Single => generator.single()?,
            // What the oracle can only be given without keys is left out.
            Kind::Together => Some(generator.together()).filter(|group| group.instead.is_none())?,
            Kind::Sequence => generator.sequence()?,
        };
        group.states.truncate(STATES);
        let leaves =
            |word: &u32| encoding_name(*word).is_none_or(|name| ["BR", "BLR", "RET"].contains(&name));
        (!group.words.iter().any(leaves)).then_some(Piece { group, kind })
    }

    fn may_repeat(piece: &Piece) -> bool {
        piece.kind != Kind::Single
    }

    fn code(piece: &Piece, at: u64, shape: &Shape) -> Vec<u8> {
        assembled(piece, at, shape).0.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    fn state(piece: &Piece, number: usize, (at, _): (u64, &Shape)) -> Vec<u8> {
        let mut record = Vec::new();
        encode(&piece.group.states[number], &mut record);
        record[8 * ADDRESS_WORD..][..8].copy_from_slice(&at.to_le_bytes());
        record
    }

    fn masks(_: &Piece) -> [u64; 2] {
        [0; 2]
    }

    fn len(piece: &Piece) -> usize {
        piece.group.words.len()
    }

    fn without(piece: &Piece, instruction: usize) -> Piece {
        let mut piece = piece.clone();
        if piece.kind != Kind::Together {
            piece.group.words[instruction] = NOP;
        }
        piece
    }

    /// Differences for sums, and the other way round.
    fn mistaken(piece: &Piece) -> Piece {
        let mut piece = piece.clone();
        for word in piece.group.words.iter_mut().filter(|word| **word & 0x1f00_0000 == 0x0b00_0000) {
            *word ^= 1 << 30;
        }
        piece
    }

    fn faulted(piece: &Piece, (at, shape): (u64, &Shape), record: &[u8]) -> Option<usize> {
        let status = settled(record, assembled(piece, at, shape).1 as u64).status;
        (status >= 100).then_some((status >> 8) as usize)
    }

    fn difference(
        piece: &Piece,
        number: usize,
        (at, shape): (u64, &Shape),
        ours: &[u8],
        theirs: &[u8],
    ) -> Option<String> {
        let inside = assembled(piece, at, shape).1 as u64;
        let (ours, theirs) = (settled(ours, inside), settled(theirs, inside));
        if !differ(&piece.group, &ours, &theirs) {
            return None;
        }
        let case = |after| Case {
            words: piece.group.words.clone(),
            before: piece.group.states[number].clone(),
            after,
        };
        Some(format!("{}\n     ours: {}", case(theirs), case(ours).changes()))
    }

    fn disassembly(piece: &Piece) -> String {
        let names: Vec<&str> =
            piece.group.words.iter().map(|&word| encoding_name(word).unwrap_or("-")).collect();
        names.join(" / ")
    }
}

/// A record as the other tests have it, the place of a signal in words from the sequence's start.
fn settled(record: &[u8], inside: u64) -> Registers {
    let mut registers = decode(record);
    if registers.status >= 100 {
        let place = (registers.status >> 8) / 4;
        registers.status = registers.status & 0xff | (place.wrapping_sub(inside) & 0xff) << 8;
    }
    registers
}
