//! Random sequences in a program's file, run by the emulator as users run programs: without saved code, and with it, cold and
//! warm (`scripts/fuzz-insn ARCH --saved`).
//!
//! A program is `program.c` with sequences, and states to run them from, put into its sections. How often each is run
//! decides how far it gets: interpreted, a block from templates, a trace or a region. What must come out is what the
//! oracle, which runs the same file, writes.

pub mod image;
pub mod planted;
pub mod runs;
pub mod shrink;

use crate::case::Rng;
use image::{CAPACITY, Template};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// States that each sequence is run from in turn.
pub const STATES: usize = 8;
/// What the data holds, for sequences to choose from.
pub const FILLINGS: usize = 4;

/// What runs a sequence: its rounds, and what goes around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    pub rounds: u64,
    /// Runs in each round.
    pub inner: u64,
    /// Whether it is a function, and what stands around it calls it.
    pub called: bool,
    /// Which of the loops, where there are several.
    pub variant: u64,
    /// A number that the code has, and stores.
    pub tag: u16,
}

/// How far a sequence is to get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// It runs once.
    Interpreter,
    Template,
    Trace,
    /// A region after some processes.
    Warming,
    Region,
}

impl Reach {
    pub const ALL: [Self; 5] = [Self::Interpreter, Self::Template, Self::Trace, Self::Warming, Self::Region];

    fn random(rng: &mut Rng, goes_on: bool) -> Self {
        match rng.below(if goes_on { 32 } else { 20 }) {
            0..=5 => Self::Interpreter,
            6..=18 => Self::Template,
            19..=26 => Self::Trace,
            27 | 28 => Self::Warming,
            _ => Self::Region,
        }
    }
}

impl Shape {
    const EACH_STATE_ONCE: Self = Self { rounds: STATES as u64, inner: 1, called: false, variant: 0, tag: 0 };

    pub fn reach(&self) -> Reach {
        match self.rounds * self.inner {
            0 | 1 => Reach::Interpreter,
            2..4_000 => Reach::Template,
            4_000..20_000 => Reach::Trace,
            20_000..200_000 => Reach::Warming,
            _ => Reach::Region,
        }
    }

    /// Rounds and runs for a sequence that may, or may not, stand in a loop of its own.
    fn random(rng: &mut Rng, reach: Reach, may_repeat: bool) -> Self {
        let inner = if may_repeat { [1, 4, 16, 64][rng.below(4) as usize] } else { 1 };
        // A round takes a thousand instructions.
        let many = if may_repeat && rng.below(32) != 0 { 4 * inner.max(4) } else { inner };
        let (rounds, inner) = match reach {
            Reach::Interpreter => (1, 1),
            Reach::Template => (2 + [8, 20, 300][rng.below(3) as usize] * rng.below(8) / 8, inner.min(4)),
            Reach::Trace => ((4_500 + rng.below(3_000)) / inner, inner),
            Reach::Warming => ((70_000 + rng.below(20_000)) / many, many),
            Reach::Region => ((220_000 + rng.below(100_000)) / many, many),
        };
        let called = may_repeat && rng.below(3) == 0;
        Self { rounds, inner, called, variant: rng.next(), tag: rng.next() as u16 }
    }
}

/// A guest architecture's part.
pub trait Guest {
    /// A sequence, wherever it will stand, and its states.
    type Piece: Clone;

    const NAME: &'static str;
    const EMULATOR: &'static str;
    const COMPILER: &'static [&'static str];
    /// The assembler file beside `program.c`.
    const ASSEMBLER: &'static str;
    /// Where the code of the first sequence is.
    const CODE: u64;
    const DATA_LEN: usize;
    const RECORD: usize;
    /// What stands before a sequence's states, padded.
    const HEAD: usize;

    fn options() -> Vec<String>;
    fn oracle(program: &str) -> Command;
    /// What fills the data.
    fn filling(number: usize) -> Vec<u8>;

    /// What is generated from now on follows from the seed.
    fn begin(&mut self, seed: u64);
    fn generate(&mut self, rng: &mut Rng) -> Option<Self::Piece>;
    /// Whether it may stand in a loop.
    fn may_repeat(piece: &Self::Piece) -> bool;
    /// Its code for that place.
    fn code(piece: &Self::Piece, at: u64, shape: &Shape) -> Vec<u8>;
    /// A state as the program loads it.
    fn state(piece: &Self::Piece, number: usize, place: (u64, &Shape)) -> Vec<u8>;
    /// The flags, and condition codes of the x87, that count.
    fn masks(piece: &Self::Piece) -> [u64; 2];
    fn len(piece: &Self::Piece) -> usize;
    /// The same with nothing in the place of an instruction.
    fn without(piece: &Self::Piece, instruction: usize) -> Self::Piece;
    /// The same with a mistake wherever some instructions stand.
    fn mistaken(piece: &Self::Piece) -> Self::Piece;
    /// At which of its instructions it ended with a signal; a number that is too large where that was elsewhere.
    fn faulted(piece: &Self::Piece, place: (u64, &Shape), record: &[u8]) -> Option<usize>;
    /// What differs in the records after a run from that state, as a line that tests may have; nothing, if that may.
    fn difference(
        piece: &Self::Piece,
        number: usize,
        place: (u64, &Shape),
        ours: &[u8],
        theirs: &[u8],
    ) -> Option<String>;
    fn disassembly(piece: &Self::Piece) -> String;
}

/// Whether a sequence, which faulted at these of its instructions, gets nowhere from most states.
fn is_stuck(faulted: &[usize]) -> bool {
    faulted.len() >= STATES / 2
}

/// A program: sequences with their shapes.
pub struct Program<G: Guest> {
    pub pieces: Vec<(G::Piece, Shape)>,
    pub manner: Manner,
}

/// How the emulator runs a program, in all settings.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// It counts what it runs, and says so, which makes its code another.
    pub counted: bool,
    /// The first run with saved code is short, so that it makes less than those after it.
    pub short_first: bool,
}

impl<G: Guest> Clone for Program<G> {
    fn clone(&self) -> Self {
        Self { pieces: self.pieces.clone(), manner: self.manner }
    }
}

impl<G: Guest> Program<G> {
    /// So many sequences, some for each reach.
    pub fn random(guest: &mut G, template: &Template, seed: u64, count: usize) -> Self {
        guest.begin(seed);
        let (mut rng, mut pieces) = (Rng(seed.wrapping_mul(0x9e37_79b9) | 1), Vec::new());
        let rng = &mut rng;
        while pieces.len() < count.min(CAPACITY) {
            let Some(piece) = guest.generate(rng) else { continue };
            pieces.push((piece, Shape::EACH_STATE_ONCE));
        }
        let manner = Manner { counted: seed.is_multiple_of(2), short_first: seed % 4 < 2 };
        let mut program = Self { pieces, manner };
        program.mend(template);
        let mut wanted = Reach::ALL.into_iter();
        let faulted = runs::faulted(template, &program);
        for ((piece, shape), faulted) in program.pieces.iter_mut().zip(faulted) {
            let goes_on = !is_stuck(&faulted) && (G::may_repeat(piece) || rng.below(32) == 0);
            let first = if goes_on && G::may_repeat(piece) { wanted.next() } else { None };
            let reach = first.unwrap_or_else(|| Reach::random(rng, goes_on));
            *shape = Shape::random(rng, reach, G::may_repeat(piece));
        }
        program
    }

    /// Takes instructions that fault from most states away from most sequences: otherwise only short ones would get hot.
    fn mend(&mut self, template: &Template) {
        const PASSES: usize = 6;
        for _ in 0..PASSES {
            let all = runs::faulted(template, self);
            for (number, ((piece, _), faulted)) in self.pieces.iter_mut().zip(all).enumerate() {
                let first = faulted.first().filter(|&&at| at < G::len(piece) && G::may_repeat(piece));
                if number % 4 != 0
                    && is_stuck(&faulted)
                    && let Some(&at) = first
                {
                    *piece = G::without(piece, at);
                }
            }
        }
    }

    /// Names a sequence.
    pub fn describe(&self, number: usize) -> String {
        let (piece, shape) = &self.pieces[number];
        let code = G::code(piece, image::place::<G>(number), shape);
        let bytes = code.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        format!(
            "sequence {number} at {:#x}, {shape:?}: {}\n     {bytes}",
            image::place::<G>(number),
            G::disassembly(piece)
        )
    }
}

/// What is to be done.
pub struct Plan {
    pub seed: u64,
    pub time: Duration,
    /// Sequences in each.
    pub sequences: usize,
}

impl Plan {
    /// `FUZZ_SEED`, `FUZZ_SECONDS`, `FUZZ_EACH` (sequences in a program); without them, two small programs.
    pub fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let seconds = number("FUZZ_SECONDS");
        Self {
            seed: number("FUZZ_SEED").unwrap_or(1),
            time: Duration::from_secs(seconds.unwrap_or(0)),
            sequences: number("FUZZ_EACH").unwrap_or(if seconds.is_some() { 160 } else { 32 }) as usize,
        }
    }
}

/// Runs programs until the time is up, and prints what was done; what is wrong.
pub fn run<G: Guest>(guest: &mut G, plan: &Plan) -> Vec<String> {
    let template = Template::build::<G>();
    let (begin, mut wrong, mut counts) = (Instant::now(), Vec::new(), runs::Counts::default());
    // At least one whose manner is another.
    for seed in plan.seed.. {
        if seed > plan.seed + 1 && begin.elapsed() > plan.time {
            break;
        }
        let program = Program::<G>::random(guest, &template, seed, plan.sequences);
        let found = runs::whole(&template, &program, &mut counts);
        for mismatch in found.iter().take(3) {
            println!("seed {seed}, {}: {}", mismatch.setting, mismatch.text);
            println!("     {}", program.describe(mismatch.sequence));
        }
        if let Some(first) = found.first() {
            shrink::tell(&template, &program, first, Program::clone);
            wrong.push(format!("seed {seed}: {} mismatches", found.len()));
        }
    }
    counts.print(G::NAME);
    wrong
}
