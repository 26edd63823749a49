//! The differential fuzzer: random code on every tier and in the oracle, until the time is up.

use crate::case::{Case, Registers, is_access};
use crate::machine::{Bug, Machine};
use crate::oracle::{self, Group, Oracle};
use crate::random::Generator;
use crate::tiers::Tier;
use arch_aarch64::features::CSSC;
use arch_aarch64::{encoding_name, encodings};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Groups that the oracle works on meanwhile.
const AHEAD: usize = 48;
/// Bytes of code that are enough for one process.
const CODE_LIMIT: usize = 160 << 20;
/// Mismatches of one encoding that are told in full.
const TOLD: usize = 2;

/// What a group is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Single,
    Sequence,
    Together,
    Unallocated,
    /// Of what the oracle does not have.
    Modelled,
}

/// The kinds in turn.
const TURN: [Kind; 16] = {
    use Kind::{Modelled as M, Sequence as Q, Single as S, Together as T, Unallocated as U};
    [S, Q, S, Q, S, Q, S, M, S, Q, S, Q, S, Q, T, U]
};

/// What is to be done.
pub struct Plan {
    pub seed: u64,
    pub time: Duration,
    /// Runs of single instructions and of sequences that are enough.
    pub enough: u64,
    /// A part of the encodings' names.
    pub only: String,
    pub bug: Option<Bug>,
    /// Whether the first mismatch ends it.
    pub stop: bool,
}

/// What was done.
#[derive(Default)]
pub struct Report {
    runs: BTreeMap<Kind, u64>,
    /// Instructions in sequences, times states.
    in_sequences: u64,
    by_encoding: BTreeMap<&'static str, u64>,
    pub mismatches: u64,
    told: BTreeMap<String, usize>,
}

/// Runs the plan; prints a line for each mismatch.
pub fn run(plan: &Plan) -> Report {
    // What the oracle lacks altogether stays in by itself; what of it changes others (alignment) must be off.
    let mut machine = Machine::new(oracle::lacking() & !CSSC);
    if let Some(bug) = plan.bug {
        machine.plant(bug);
    }
    let mut oracle = Oracle::start();
    let mut generator = Generator::new(plan.seed, &plan.only);
    let mut report = Report::default();
    let (begin, mut waiting) = (Instant::now(), VecDeque::new());
    let mut turn = TURN.iter().cycle();
    loop {
        // Code memory is never freed; what is left to do is for another process (scripts/fuzz-insn).
        let full = qemu_lua::exec::jit::code_size() > CODE_LIMIT;
        let over = full
            || begin.elapsed() > plan.time
            || report.is_enough(plan.enough)
            || plan.stop && report.mismatches > 0;
        if !over && waiting.len() < AHEAD {
            let kind = turn.next().copied().unwrap_or(Kind::Single);
            if kind == Kind::Modelled {
                waiting.extend(generator.modelled().map(|(group, after)| (kind, group, Some(after))));
            } else if let Some(group) = make(&mut generator, kind) {
                oracle.ask(&group);
                waiting.push_back((kind, group, None));
            }
            continue;
        }
        let Some((kind, group, modelled)) = waiting.pop_front() else { break };
        let mut expected = modelled.unwrap_or_else(|| oracle.answer(&group));
        if kind == Kind::Unallocated && oracle::is_old() {
            // Version 7 takes some for instructions; Arm's list does not have them.
            expected[0].clone_from(&group.states[0]);
            expected[0].status = 100 + libc::SIGILL as u64;
            if !group.touches_memory {
                expected[0].memory = 0;
            }
        }
        report.compare(&mut machine, kind, &group, &expected);
    }
    report
}

fn make(generator: &mut Generator, kind: Kind) -> Option<Group> {
    match kind {
        Kind::Single | Kind::Modelled => generator.single(),
        Kind::Sequence => generator.sequence(),
        Kind::Together => Some(generator.together()),
        Kind::Unallocated => Some(generator.unallocated()),
    }
}

/// What the tier gave and should have given, where that is not the same.
type Wrong = (Tier, Registers, Registers);

fn first_wrong(machine: &mut Machine, group: &Group, expected: &[Registers]) -> Option<(usize, Wrong)> {
    for (tier, results) in machine.run(group) {
        let pairs = results.into_iter().zip(expected).enumerate();
        if let Some((i, (ours, theirs))) = pairs.into_iter().find(|(_, (a, b))| differ(group, a, b)) {
            return Some((i, (tier, ours, theirs.clone())));
        }
    }
    None
}

/// An access that faults may have stored a part of what it had to, and changed a part of what it was to load.
pub fn differ(group: &Group, ours: &Registers, theirs: &Registers) -> bool {
    let faulted = ours.status & 0xff >= 100 && ours.status == theirs.status;
    let word = group.words.get((ours.status >> 8) as usize).copied().unwrap_or(0);
    let mut ours = ours.clone();
    if let Some((_, signed)) = group.instead {
        ours.x[signed] = theirs.x[signed];
    }
    if !faulted || !is_access(word) {
        return ours != *theirs;
    }
    ours.memory = theirs.memory;
    let (first, second) = ((word & 31) as usize, (word >> 10 & 31) as usize);
    for n in (0..4).map(|i| (first + i) % 32).chain([second]) {
        ours.v[n] = theirs.v[n];
    }
    let pair = word >> 27 & 7 == 5 && word >> 26 & 1 == 0;
    for n in [first, second].into_iter().filter(|n| pair && *n < 31) {
        ours.x[n] = theirs.x[n];
    }
    ours != *theirs
}

impl Report {
    fn is_enough(&self, enough: u64) -> bool {
        [Kind::Single, Kind::Sequence].iter().all(|kind| self.runs.get(kind).is_some_and(|n| *n >= enough))
    }

    fn compare(&mut self, machine: &mut Machine, kind: Kind, group: &Group, expected: &[Registers]) {
        let states = group.states.len() as u64;
        *self.runs.entry(kind).or_default() += states;
        if kind == Kind::Sequence {
            self.in_sequences += states * group.words.len() as u64;
        }
        for name in group.words.iter().filter_map(|&word| encoding_name(word)) {
            *self.by_encoding.entry(name).or_default() += states;
        }
        if let Some((index, wrong)) = first_wrong(machine, group, expected) {
            self.mismatches += 1;
            self.tell(machine, kind, group, index, wrong);
        }
    }

    /// Prints the mismatch as a line for a case file, shrunk.
    fn tell(&mut self, machine: &mut Machine, kind: Kind, group: &Group, index: usize, wrong: Wrong) {
        let (_, ours, theirs) = &wrong;
        let case =
            Case { words: group.words.clone(), before: group.states[index].clone(), after: theirs.clone() };
        let mut shrinker = Shrinker {
            machine,
            oracle: Oracle::start(),
            touches_memory: group.touches_memory,
            instead: group.instead.clone(),
            together: kind == Kind::Together,
        };
        let small = if kind == Kind::Modelled { None } else { shrinker.shrink(&case) };
        let (case, tier, ours) = match &small {
            Some((case, (tier, ours, _))) => (case, *tier, ours),
            None => (&case, wrong.0, ours),
        };
        let names: Vec<&str> = case.words.iter().map(|&word| encoding_name(word).unwrap_or("-")).collect();
        let told = self.told.entry(names.join("; ")).or_default();
        *told += 1;
        if *told <= TOLD {
            let got = Case { after: ours.clone(), ..case.clone() };
            let lost = if small.is_none() { "(comes and goes) " } else { "" };
            println!("{lost}{} ; {case}\n     {tier:?} gave {}", names.join(", "), got.changes());
        }
    }

    /// How much was compared.
    pub fn print(&self) {
        for (kind, runs) in &self.runs {
            println!("runs {kind:?} {runs}");
        }
        println!("instructions in sequences {}", self.in_sequences);
        for name in encodings().map(|e| e.name) {
            let count = self.by_encoding.get(name).copied().unwrap_or(0);
            println!("encoding {count} {name}");
        }
        println!("mismatches {}", self.mismatches);
        for (names, times) in self.told.iter().filter(|(_, times)| **times > TOLD) {
            println!("{times:6} {names}");
        }
    }
}

struct Shrinker<'a> {
    machine: &'a mut Machine,
    oracle: Oracle,
    touches_memory: bool,
    instead: Option<(Vec<u32>, usize)>,
    /// Whether the instructions only mean something together.
    together: bool,
}

impl Shrinker<'_> {
    fn wrong(&mut self, case: &Case) -> Option<Wrong> {
        let group = Group {
            words: case.words.clone(),
            states: vec![case.before.clone()],
            touches_memory: self.touches_memory,
            instead: self.instead.clone(),
        };
        let expected = self.oracle.run(&group);
        first_wrong(self.machine, &group, &expected).map(|(_, wrong)| wrong)
    }

    /// Takes away instructions and state as long as the mismatch stays.
    fn shrink(&mut self, case: &Case) -> Option<(Case, Wrong)> {
        const NOP: u32 = 0xd503_201f;
        let together = self.together;
        let words = if together { 0 } else { case.words.len() };
        let (mut case, mut wrong) = (case.clone(), self.wrong(case)?);
        let status = wrong.2.status;
        let mut wrong_now = |smaller: &Case| self.wrong(smaller);
        let mut attempt = |case: &mut Case, smaller: Case| {
            if let Some(found) = wrong_now(&smaller).filter(|found| found.2.status == status) {
                (*case, wrong) = (smaller, found);
            }
        };
        for i in (0..words).rev() {
            let mut smaller = case.clone();
            smaller.words[i] = NOP;
            attempt(&mut case, smaller);
            let mut smaller = case.clone();
            if smaller.words.len() > 1 && i + 1 == smaller.words.len() {
                smaller.words.pop();
                attempt(&mut case, smaller);
            }
        }
        for i in (0..words.min(case.words.len())).rev() {
            if case.words[i] == NOP && case.words.len() > 1 {
                let mut smaller = case.clone();
                smaller.words.remove(i);
                attempt(&mut case, smaller);
            }
        }
        for n in 0..68 {
            let mut smaller = case.clone();
            let b = &mut smaller.before;
            match n {
                0..=30 => b.x[n] = 0,
                31..=62 => b.v[n - 31] = 0,
                63 => b.nzcv = 0,
                64 => b.fpsr = 0,
                65 => b.fpcr &= 0x00c0_0000,
                66 => b.fpcr &= !0x00c0_0000,
                _ => b.sp = Registers::new().sp,
            }
            if smaller.before != case.before && !(together && n < 31) {
                attempt(&mut case, smaller);
            }
        }
        case.after = wrong.2.clone();
        Some((case, wrong))
    }
}
