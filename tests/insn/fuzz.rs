//! The differential fuzzer (`scripts/fuzz-insn`): the host CPU and the engine's three tiers run the same
//! instructions from the same states, for as long as it is told to.
//!
//! Three kinds of cases take turns: single instructions, over all forms by an encoder and over all encodings; mutated
//! instructions of real programs; and sequences. Each encoding runs from many states, because compiling it costs more than running it.
//! Work is done in child processes, which bounds what code memory and tables hold, and lets the fuzzer survive a
//! crash. A mismatch is shrunk and printed as a line for a file of cases.

use crate::case::{AC, CODE, Case, DATA, MAX_CODE, Outcome, Registers, Rng};
use crate::compare::{Different, difference, host_form, is_excused, is_hash_of_memory, undefined_flags};
use crate::forms::Forms;
use crate::generate::{MAPS, complete, encode, encode_apart};
use crate::machine::{Bug, Machine};
use crate::random::host_outcomes;
use crate::tiers::Tier;
use crate::values::{prepare, uses_area};
use crate::{oracle, text};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic as M, Register};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// States that each encoding runs from.
const STATES: usize = 16;
/// Cases that one child runs.
const PER_CHILD: u64 = 60_000;
/// Cases between two looks at the clock.
const PER_BATCH: usize = 1600;
const MAX_SEQUENCE: u64 = 30;
/// `cmp al, al`: defines all flags.
pub const DEFINE_FLAGS: [u8; 2] = [0x38, 0xc0];
pub const NOP: u8 = 0x90;

/// What was done, by all children together.
struct Counts(&'static [AtomicU64]);

pub const SINGLE: usize = 0;
pub const MUTATED: usize = 1;
pub const SEQUENCE: usize = 2;
const FAILED: usize = 3;
const FORMS: usize = 8;
const KINDS: [&str; 3] = ["single instructions", "mutated instructions", "sequences"];

impl Counts {
    fn add(&self, what: usize, by: usize) {
        self.0[what].fetch_add(by as u64, Ordering::Relaxed);
    }

    fn get(&self, what: usize) -> u64 {
        self.0[what].load(Ordering::Relaxed)
    }

    fn total(&self) -> u64 {
        (SINGLE..=SEQUENCE).map(|kind| self.get(kind)).sum()
    }
}

/// What is to be done.
pub struct Wanted {
    pub seed: u64,
    /// At most for so long.
    pub seconds: u64,
    /// At most so many of each kind.
    pub cases: [u64; 3],
    /// At least so many of each form.
    pub per_form: u64,
    /// Whose instructions are mutated.
    pub files: Vec<String>,
    /// A mistake to find; the first mismatch ends the run.
    pub bug: Option<Bug>,
}

impl Wanted {
    /// The kinds that there are not enough of.
    fn kinds(&self, counts: &Counts) -> Vec<usize> {
        (SINGLE..=SEQUENCE).filter(|&kind| counts.get(kind) < self.cases[kind]).collect()
    }
}

/// Some code with the states it is to run from.
pub struct Group {
    pub kind: usize,
    pub insns: Vec<Instruction>,
    pub cases: Vec<Case>,
}

/// What all children share.
pub struct Work<'a> {
    wanted: &'a Wanted,
    counts: Counts,
    forms: Forms,
    corpus: Vec<u8>,
    end: Instant,
}

impl<'a> Work<'a> {
    pub fn new(wanted: &'a Wanted) -> Self {
        let corpus: Vec<u8> = wanted.files.iter().flat_map(|file| executable_code(file)).collect();
        assert!(!corpus.is_empty(), "no code in {:?}", wanted.files);
        Self {
            wanted,
            counts: Counts(oracle::shared_counters(FORMS + Code::values().count())),
            forms: Forms::new(&Machine::new()),
            corpus,
            end: Instant::now() + Duration::from_secs(wanted.seconds),
        }
    }

    fn is_done(&self) -> bool {
        let found = self.wanted.bug.is_some() && self.counts.get(FAILED) > 0;
        found || Instant::now() >= self.end || self.wanted.kinds(&self.counts).is_empty()
    }
}

/// Fuzzes; gives what is wrong.
pub fn run(wanted: &Wanted) -> Vec<String> {
    let work = Work::new(wanted);
    let mut rng = Rng(wanted.seed);
    while !work.is_done() {
        let seed = rng.next();
        let status = oracle::in_child(|| work.run(seed));
        if status != 0 {
            println!("the child with seed {seed:#x} died: wait status {status:#x}");
            work.counts.add(FAILED, 1);
        }
    }
    work.report()
}

impl Work<'_> {
    fn report(&self) -> Vec<String> {
        let counts = &self.counts;
        for (kind, name) in KINDS.iter().enumerate() {
            println!("{:>12} {name}", counts.get(kind));
        }
        let mut by_form: Vec<(u64, Code)> =
            self.forms.codes().map(|code| (counts.get(FORMS + code as usize), code)).collect();
        by_form.sort_by_key(|(n, _)| *n);
        let others = Code::values().filter(|&code| counts.get(FORMS + code as usize) > 0).count();
        println!("{} forms ({others} came up), the rarest:", by_form.len());
        by_form.iter().take(8).for_each(|(n, code)| println!("{n:>12} {code:?}"));
        println!("{:>12} mismatches", counts.get(FAILED));
        let mut wrong = Vec::new();
        if counts.get(FAILED) > 0 {
            wrong.push(format!("{} mismatches, printed above", counts.get(FAILED)));
        }
        let rare: Vec<_> = by_form.iter().filter(|(n, _)| *n < self.wanted.per_form).collect();
        if !rare.is_empty() {
            wrong.push(format!("{} forms fewer than {} times: {rare:?}", rare.len(), self.wanted.per_form));
        }
        wrong
    }

    /// A child's work.
    fn run(&self, seed: u64) {
        let (mut rng, mut machine) = (Rng(seed), Machine::new());
        if let Some(bug) = self.wanted.bug {
            machine.plant(bug);
        }
        let stop_at = self.counts.total() + PER_CHILD;
        let mut reported = BTreeMap::new();
        while !self.is_done() && self.counts.total() < stop_at {
            let kinds = self.wanted.kinds(&self.counts);
            let kind = kinds[rng.below(kinds.len() as u64) as usize];
            let mut groups = Vec::new();
            while groups.len() * STATES < PER_BATCH {
                groups.extend(self.group(&mut rng, &machine, kind));
            }
            compare(&mut machine, &groups, &self.counts, &mut reported);
        }
    }

    pub fn group(&self, rng: &mut Rng, machine: &Machine, kind: usize) -> Option<Group> {
        let (case, insns) = match kind {
            SEQUENCE => sequence(rng, machine)?,
            _ => {
                let (case, insn) = self.one(rng, kind)?;
                machine.implements(&case).then_some((case, vec![insn]))?
            }
        };
        let mut cases = vec![Case { seed: rng.next(), ..case }; STATES];
        for case in &mut cases {
            prepare(rng, case, &insns[0]);
            if kind != SEQUENCE && is_excused(&insns[0], case) {
                return None;
            }
        }
        Some(Group { kind, insns, cases })
    }

    fn one(&self, rng: &mut Rng, kind: usize) -> Option<(Case, Instruction)> {
        match kind {
            MUTATED => mutated(rng, &self.corpus),
            _ if rng.one_in(2) => anything(rng),
            _ => self.forms.generate(rng, |code| self.counts.get(FORMS + code as usize)),
        }
    }
}

fn anything(rng: &mut Rng) -> Option<(Case, Instruction)> {
    let map = MAPS[rng.below(MAPS.len() as u64) as usize];
    let opcode = rng.next() as u8;
    encode(rng, map, opcode)
}

/// An instruction of a real program, with up to two bits turned over.
fn mutated(rng: &mut Rng, corpus: &[u8]) -> Option<(Case, Instruction)> {
    let start = rng.below(corpus.len().saturating_sub(64) as u64) as usize;
    let mut decoder = Decoder::new(64, &corpus[start..start + 64], DecoderOptions::NONE);
    // After some instructions the decoder is in step with the code.
    let at = start + decoder.iter().take(3).map(|insn| insn.len()).sum::<usize>();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(corpus.get(at..at + 16)?);
    for _ in 0..rng.below(3) {
        let bit = rng.below(48) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    complete(rng, bytes, CODE)
}

/// Instructions that go on to the next one and touch memory only at addresses that they name themselves.
fn sequence(rng: &mut Rng, machine: &Machine) -> Option<(Case, Vec<Instruction>)> {
    let (mut code, mut len, mut insns) = ([NOP; MAX_CODE], 0, Vec::new());
    let wanted = 2 + rng.below(MAX_SEQUENCE - 1) as usize;
    while insns.len() < wanted && len + 32 < MAX_CODE {
        let map = MAPS[rng.below(MAPS.len() as u64) as usize];
        let opcode = rng.next() as u8;
        let Some((case, insn)) = encode_apart(rng, map, opcode, CODE + len as u64) else { continue };
        if !may_stand_in_sequence(&case, &insn) || is_excused(&insn, &case) || !machine.implements(&case) {
            continue;
        }
        code[len..len + case.len].copy_from_slice(&case.code[..case.len]);
        len += case.len;
        insns.push(insn);
        if undefined_flags(&insn) != 0 {
            code[len..len + 2].copy_from_slice(&DEFINE_FLAGS);
            len += 2;
            insns.push(decode_at(&code, len - 2));
        }
    }
    let case = Case {
        code,
        len,
        insns: insns.len(),
        repeated: false,
        straight: true,
        before: Registers::new(),
        seed: 0,
    };
    Some((case, insns))
}

fn decode_at(code: &[u8], at: usize) -> Instruction {
    Decoder::with_ip(64, &code[at..], CODE + at as u64, DecoderOptions::NONE).decode()
}

fn may_stand_in_sequence(case: &Case, insn: &Instruction) -> bool {
    let stack = (0..insn.op_count()).any(|op| insn.op_register(op).full_register() == Register::RSP);
    let elsewhere = insn.op_kinds().any(|kind| format!("{kind:?}").starts_with("Memory"))
        && !insn.is_ip_rel_memory_operand();
    // Which of several NaNs comes out; words whose undefined bits would spread; control that would go on to matter; rsp led astray.
    let spreads = matches!(
        insn.mnemonic(),
        M::Dpps
            | M::Dppd
            | M::Vdpps
            | M::Vdppd
            | M::Fnstsw
            | M::Fstsw
            | M::Vldmxcsr
            | M::Leave
            | M::Enter
            | M::Lahf
            | M::Fldcw
            | M::Ldmxcsr
            | M::Fldenv
            | M::Frstor
            | M::Fxrstor
            | M::Fxrstor64
            | M::Fnstenv
            | M::Fnsave
            | M::Fxsave
            | M::Fxsave64
            | M::Wait
    );
    // In a sequence an instruction cannot take the host's form, and is not excused for what it does itself.
    let lacking = host_form(case, insn).len != case.len || is_hash_of_memory(insn) || uses_area(insn);
    insn.flow_control() == FlowControl::Next && !lacking && !stack && !elsewhere && !spreads
}

fn compare(machine: &mut Machine, groups: &[Group], counts: &Counts, reported: &mut BTreeMap<Code, usize>) {
    let cases: Vec<(Case, Instruction)> =
        groups.iter().flat_map(|group| group.cases.iter().map(|&case| (case, group.insns[0]))).collect();
    let host = host_outcomes(&cases);
    let mut ours = Box::new(Outcome::new());
    for (group, host) in groups.iter().zip(host.chunks(STATES)) {
        machine.load(&group.cases[0]);
        for tier in Tier::ALL {
            for (case, host) in group.cases.iter().zip(host) {
                if !machine.can_run(tier, case) {
                    continue;
                }
                machine.run(case, tier, &mut ours);
                if let Some(found) = difference(&group.insns, &ours, host) {
                    counts.add(FAILED, 1);
                    tell(machine, group, (case, tier, &found), reported);
                    machine.load(&group.cases[0]);
                    break;
                }
            }
        }
        counts.add(group.kind, group.cases.len());
        group.insns.iter().for_each(|insn| counts.add(FORMS + insn.code() as usize, group.cases.len()));
    }
}

/// Prints the mismatch, shrunk; the same first form at most twice.
fn tell(
    machine: &mut Machine,
    group: &Group,
    (case, tier, seen): (&Case, Tier, &[Different]),
    reported: &mut BTreeMap<Code, usize>,
) {
    let times = reported.entry(group.insns[0].code()).or_default();
    *times += 1;
    if *times > 2 {
        return;
    }
    match shrink(machine, *case, tier) {
        Some((case, found)) => println!("{tier:?}: {}", text::line(&case, &found)),
        None => println!("{tier:?}: comes and goes: {}", text::line(case, seen)),
    }
}

/// What differs for this case now.
fn mismatch(machine: &mut Machine, case: &Case, tier: Tier) -> Option<Vec<Different>> {
    let code = &case.code[..case.len];
    let insns: Vec<Instruction> = Decoder::with_ip(64, code, CODE, DecoderOptions::NONE).iter().collect();
    let host = host_outcomes(&[(*case, insns[0])]);
    let mut ours = Box::new(Outcome::new());
    machine.load(case);
    machine.run(case, tier, &mut ours);
    difference(&insns, &ours, &host[0])
}

/// Takes away instructions and state as long as the mismatch stays.
fn shrink(machine: &mut Machine, mut case: Case, tier: Tier) -> Option<(Case, Vec<Different>)> {
    let mut found = mismatch(machine, &case, tier)?;
    let mut attempt = |case: &mut Case, smaller: Case| {
        if let Some(still) = mismatch(machine, &smaller, tier) {
            (*case, found) = (smaller, still);
        }
    };
    if case.insns > 1 {
        let starts: Vec<Instruction> =
            Decoder::with_ip(64, &case.code[..case.len], CODE, DecoderOptions::NONE).iter().collect();
        for insn in starts.iter().rev() {
            let (mut smaller, at) = (case, (insn.ip() - CODE) as usize);
            smaller.code[at..at + insn.len()].fill(NOP);
            attempt(&mut case, smaller);
        }
        let shorter = without_nops(&case);
        attempt(&mut case, shorter);
    }
    for change in SIMPLER {
        for n in 0..16 {
            let mut smaller = case;
            change(&mut smaller, n);
            attempt(&mut case, smaller);
        }
    }
    Some((case, found))
}

/// The sequence without what was taken away; addresses relative to rip stay what they are.
fn without_nops(case: &Case) -> Case {
    let mut shorter = Case { code: [NOP; MAX_CODE], len: 0, insns: 0, ..*case };
    let mut decoder = Decoder::with_ip(64, &case.code[..case.len], CODE, DecoderOptions::NONE);
    while decoder.can_decode() {
        let insn = decoder.decode();
        if insn.mnemonic() == M::Nop {
            continue;
        }
        let (from, to) = ((insn.ip() - CODE) as usize, shorter.len);
        let bytes = moved(&case.code[from..from + insn.len()], &insn, CODE + to as u64);
        shorter.code[to..to + insn.len()].copy_from_slice(&bytes);
        shorter.len += insn.len();
        shorter.insns += 1;
    }
    if shorter.insns == 0 { *case } else { shorter }
}

/// The instruction for another place: an address relative to rip stays what it is.
pub fn moved(bytes: &[u8], insn: &Instruction, to: u64) -> Vec<u8> {
    let mut moved = bytes.to_vec();
    if insn.is_ip_rel_memory_operand() {
        let mut decoder = Decoder::with_ip(64, bytes, insn.ip(), DecoderOptions::NONE);
        let decoded = decoder.decode();
        let at = decoder.get_constant_offsets(&decoded).displacement_offset();
        let target = insn.memory_displacement64().wrapping_sub(to + insn.len() as u64);
        moved[at..at + 4].copy_from_slice(&target.to_le_bytes()[..4]);
    }
    moved
}

/// Ways to make a state simpler, each for 16 registers or bits.
const SIMPLER: [fn(&mut Case, usize); 7] = [
    |case, n| case.before.gpr[n] = if n == 4 { DATA + 4096 } else { 0 },
    |case, n| case.before.xmm[n] = 0,
    |case, n| case.before.ymm_high[n] = 0,
    |case, n| case.before.st[n % 8] = 0,
    |case, n| case.before.eflags &= !(if n == 15 { AC } else { 1 << n }) | 0x202,
    |case, n| match n {
        0 => case.before.mxcsr = 0x1f80,
        1 => case.before.mxcsr |= 0x1f80,
        _ => case.before.mxcsr |= 0x80 << (n % 6),
    },
    |case, n| match n {
        0 => case.seed = 0,
        1 => case.before.fsw = 0,
        2 => case.before.ftw = 0,
        _ => case.before.fcw = 0x37f,
    },
];

/// The bytes of an ELF file's executable segments; none where it cannot be read.
fn executable_code(path: &str) -> Vec<u8> {
    let Ok(file) = std::fs::read(path) else { return Vec::new() };
    let Ok(elf) = elf::ElfBytes::<elf::endian::LittleEndian>::minimal_parse(&file) else { return Vec::new() };
    let segments = elf.segments().into_iter().flat_map(|table| table.iter());
    let executable = segments.filter(|s| s.p_type == elf::abi::PT_LOAD && s.p_flags & elf::abi::PF_X != 0);
    executable.filter_map(|s| elf.segment_data(&s).ok()).flatten().copied().collect()
}
