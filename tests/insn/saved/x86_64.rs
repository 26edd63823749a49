//! x86-64 sequences in programs, with the host as the oracle.

use crate::case::{AC, CODE as LOADED, Case, DATA, DATA_LEN, FLAGS, MAX_CODE, Outcome, Registers, Rng, fill};
use crate::compare::{difference, host_form, is_hash_of_memory, stores_x87, undefined_flags, x87_mask};
use crate::fuzz::{DEFINE_FLAGS, Group, MUTATED, NOP, SEQUENCE, SINGLE, Work, moved};
use crate::machine::Machine;
use crate::oracle::{STATE_LEN, get_fx, put_fx};
use crate::saved::{Guest, STATES, Shape};
use crate::text;
use crate::values::uses_area;
use iced_x86::{
    Decoder, DecoderOptions, Encoder, Instruction, InstructionInfoFactory, Mnemonic as M, OpAccess, OpKind,
    Register,
};
use std::process::Command;

/// Where the program's own code ends, and the sequences begin.
const CODE: u64 = LOADED + 4096;
/// Where each goes on at its end.
const EXIT: u64 = LOADED + 0x800;
const MIDDLE: u64 = DATA + DATA_LEN as u64 / 2;
const COUNTER: u64 = 0x2018_0000;
const TAG: u64 = COUNTER + 8;
/// The stack of sequences that are functions.
const CALLED_STACK: u64 = COUNTER + 0x8f00;
/// Keeps rcx in a loop that changes no flags.
const OTHER: u64 = COUNTER + 24;
const RECORD: usize = 1024;
const GPR: usize = STATE_LEN;
const RIP: usize = GPR + 16 * 8;
const STATUS: usize = RIP + 16;

pub struct X86<'a> {
    pub work: Work<'a>,
    pub machine: Machine,
}

#[derive(Clone)]
pub struct Piece {
    insns: Vec<Instruction>,
    cases: Vec<Case>,
    repeats: bool,
    /// Conditional jumps: before which instruction, to which, and the condition.
    jumps: Vec<(usize, usize, u8)>,
}

impl Piece {
    fn new(rng: &mut Rng, group: Group) -> Self {
        let sequence = group.kind == SEQUENCE;
        let mut piece = Self { insns: group.insns, cases: group.cases, repeats: sequence, jumps: Vec::new() };
        piece.cases.truncate(STATES);
        for case in &mut piece.cases {
            case.before.eflags &= !AC;
            if piece.insns.iter().any(stores_x87) {
                case.before.fcw |= 0x3f;
            }
        }
        if sequence {
            piece.address_by_register(rng);
            piece.jumps = (0..piece.insns.len()).filter_map(|from| piece.jump(rng, from)).collect();
        }
        piece
    }

    /// Perhaps a jump over some instructions; none parts one that leaves flags undefined from the one that defines them.
    fn jump(&self, rng: &mut Rng, from: usize) -> Option<(usize, usize, u8)> {
        let to = from + 1 + rng.below(4) as usize;
        let may = |at: usize| self.insns.get(at).is_none_or(|insn| !defines_flags(insn));
        (rng.one_in(4) && to <= self.insns.len() && may(from) && may(to))
            .then(|| (from, to, rng.below(16) as u8))
    }

    /// Has most accesses by a register that nothing changes, which is near the middle of the data.
    fn address_by_register(&mut self, rng: &mut Rng) {
        let Some(base) = self.unchanged(rng) else { return };
        let mut code = Vec::new();
        for insn in &mut self.insns {
            let at = LOADED + code.len() as u64;
            let start = (insn.ip() - LOADED) as usize;
            let bytes = &self.cases[0].code[start..start + insn.len()];
            let by_register =
                (insn.is_ip_rel_memory_operand() && !rng.one_in(4)).then(|| based(insn, base, at));
            let bytes = by_register.flatten().unwrap_or_else(|| moved(bytes, insn, at));
            *insn = Decoder::with_ip(64, &bytes, at, DecoderOptions::NONE).decode();
            code.extend(bytes);
        }
        assert!(code.len() <= MAX_CODE, "a sequence has got too long");
        for case in &mut self.cases {
            case.code[..code.len()].copy_from_slice(&code);
            case.len = code.len();
            case.before.gpr[base.number()] = MIDDLE + if rng.one_in(4) { 16 * rng.below(16) } else { 0 };
        }
    }

    /// A register that no instruction writes.
    fn unchanged(&self, rng: &mut Rng) -> Option<Register> {
        let mut factory = InstructionInfoFactory::new();
        let mut written = vec![Register::RSP];
        for insn in &self.insns {
            let used = factory.info(insn).used_registers();
            let changed =
                used.iter().filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead));
            written.extend(changed.map(|used| used.register().full_register()));
        }
        let all = (0..16).map(|n| Register::RAX + n);
        let left: Vec<Register> = all.filter(|reg| !written.contains(reg)).collect();
        left.get(rng.below(left.len().max(1) as u64) as usize).copied()
    }

    /// Whether it is a function: what pushes and pops would return elsewhere, perhaps for ever.
    fn is_called(&self, shape: &Shape) -> bool {
        shape.called && !self.insns.iter().any(Instruction::is_stack_instruction)
    }

    fn code(&self) -> &[u8] {
        &self.cases[0].code[..self.cases[0].len]
    }
}

/// The instruction with its address by a register, as far as there is the same with that.
fn based(insn: &Instruction, base: Register, at: u64) -> Option<Vec<u8>> {
    let mut changed = *insn;
    let distance = insn.memory_displacement64().wrapping_sub(MIDDLE);
    changed.set_memory_base(base);
    changed.set_memory_displ_size(if i8::try_from(distance as i64).is_ok() { 1 } else { 8 });
    changed.set_memory_displacement64(distance);
    let mut encoder = Encoder::new(64);
    encoder.encode(&changed, at).ok()?;
    let bytes = encoder.take_buffer();
    let decoded = Decoder::with_ip(64, &bytes, at, DecoderOptions::NONE).decode();
    (decoded.code() == insn.code() && decoded.memory_base() == base).then_some(bytes)
}

fn defines_flags(insn: &Instruction) -> bool {
    insn.mnemonic() == M::Cmp
        && insn.len() == DEFINE_FLAGS.len()
        && insn.op0_register() == insn.op1_register()
}

/// Whether what comes of it may differ in each round, by what processors choose.
fn is_chosen(insn: &Instruction) -> bool {
    let in_memory = insn.op_kinds().any(|kind| kind == OpKind::Memory);
    let mmx = (0..insn.op_count()).any(|op| insn.op_register(op).is_mm());
    let own = matches!(
        insn.mnemonic(),
        M::Enter
            | M::Ldmxcsr
            | M::Vldmxcsr
            | M::Fxsave
            | M::Fxsave64
            | M::Fxrstor
            | M::Fxrstor64
            | M::Dpps
            | M::Dppd
            | M::Vdpps
            | M::Vdppd
            | M::Vcvtps2ph
    );
    own || uses_area(insn) || is_hash_of_memory(insn) || mmx && in_memory || insn.is_vsib()
}

/// Code being put together.
struct Assembly {
    at: u64,
    bytes: Vec<u8>,
    /// Where a distance belongs, and the label that it leads to.
    distances: Vec<(usize, Label)>,
    labels: Vec<(Label, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Insn(usize),
    Head,
    Function,
    Exit,
}

impl Assembly {
    fn pc(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    fn label(&mut self, label: Label) {
        self.labels.push((label, self.pc()));
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// An opcode with the distance to a variable, and what follows that.
    fn access(&mut self, opcode: &[u8], variable: u64, rest: &[u8]) {
        let end = self.pc() + (opcode.len() + 4 + rest.len()) as u64;
        self.put(opcode);
        self.put(&(variable.wrapping_sub(end) as u32).to_le_bytes());
        self.put(rest);
    }

    fn jump(&mut self, opcode: &[u8], to: Label) {
        self.put(opcode);
        self.distances.push((self.bytes.len(), to));
        self.put(&[0; 4]);
    }

    fn body(&mut self, piece: &Piece) {
        let mut decoder = Decoder::with_ip(64, piece.code(), LOADED, DecoderOptions::NONE);
        for number in 0..piece.insns.len() {
            self.label(Label::Insn(number));
            for (_, to, condition) in piece.jumps.iter().filter(|(from, ..)| *from == number) {
                self.jump(&[0x0f, 0x80 | condition], Label::Insn(*to));
            }
            let insn = decoder.decode();
            let bytes = &piece.code()[(insn.ip() - LOADED) as usize..][..insn.len()];
            let moved = moved(bytes, &insn, self.pc());
            self.put(&moved);
        }
        self.label(Label::Insn(piece.insns.len()));
    }

    /// Back to the head until the counter is 0, by `dec` and `jnz` or without a change of flags.
    fn repeat(&mut self, variant: u64) {
        if variant & 1 == 0 {
            self.access(&[0xff, 0x0d], COUNTER, &[]);
            self.jump(&[0x0f, 0x85], Label::Head);
            return;
        }
        self.access(&[0x48, 0x89, 0x0d], OTHER, &[]);
        self.access(&[0x48, 0x8b, 0x0d], COUNTER, &[]);
        self.put(&[0x48, 0x8d, 0x49, 0xff]);
        self.access(&[0x48, 0x89, 0x0d], COUNTER, &[]);
        // jrcxz over a move of 7 bytes and a jump of 5.
        self.put(&[0xe3, 12]);
        self.access(&[0x48, 0x8b, 0x0d], OTHER, &[]);
        self.jump(&[0xe9], Label::Head);
        self.access(&[0x48, 0x8b, 0x0d], OTHER, &[]);
    }

    fn finished(mut self) -> Vec<u8> {
        for (at, label) in &self.distances {
            let to = self.labels.iter().find(|(known, _)| known == label).map(|(_, at)| *at);
            let to = to.unwrap_or(EXIT);
            let from = self.at + *at as u64 + 4;
            self.bytes[*at..*at + 4].copy_from_slice(&(to.wrapping_sub(from) as u32).to_le_bytes());
        }
        self.bytes
    }
}

fn assembled(piece: &Piece, at: u64, shape: &Shape) -> Assembly {
    let mut code = Assembly { at, bytes: Vec::new(), distances: Vec::new(), labels: Vec::new() };
    code.access(&[0xc7, 0x05], TAG, &u32::from(shape.tag).to_le_bytes());
    code.label(Label::Head);
    if piece.is_called(shape) {
        code.jump(&[0xe8], Label::Function);
    } else {
        code.body(piece);
    }
    if shape.inner > 1 {
        code.repeat(shape.variant);
    }
    code.jump(&[0xe9], Label::Exit);
    if piece.is_called(shape) {
        code.label(Label::Function);
        code.body(piece);
        code.put(&[0xc3]);
    }
    code
}

impl Guest for X86<'_> {
    type Piece = Piece;

    const NAME: &'static str = "x86_64";
    const EMULATOR: &'static str = env!("CARGO_BIN_EXE_qemu-lua-x86_64");
    const COMPILER: &'static [&'static str] = &["gcc", "-Wl,--section-start=sequences=0x20000000"];
    const ASSEMBLER: &'static str = "x86_64.S";
    const CODE: u64 = CODE;
    const DATA_LEN: usize = DATA_LEN;
    const RECORD: usize = RECORD;
    const HEAD: usize = 64;

    fn options() -> Vec<String> {
        Vec::new()
    }

    fn oracle(program: &str) -> Command {
        Command::new(program)
    }

    fn filling(number: usize) -> Vec<u8> {
        let mut data = vec![0; DATA_LEN];
        fill(number as u64 + 1, &mut data);
        data
    }

    fn begin(&mut self, _: u64) {}

    fn generate(&mut self, rng: &mut Rng) -> Option<Piece> {
        let kind = [SEQUENCE, SEQUENCE, SEQUENCE, SINGLE, MUTATED][rng.below(5) as usize];
        let group = self.work.group(rng, &self.machine, kind)?;
        let case = &group.cases[0];
        let as_it_is = host_form(case, &group.insns[0]).len == case.len;
        let judged = case.straight && as_it_is && group.insns.iter().all(|insn| !is_chosen(insn));
        judged.then(|| Piece::new(rng, group))
    }

    fn may_repeat(piece: &Piece) -> bool {
        piece.repeats
    }

    fn code(piece: &Piece, at: u64, shape: &Shape) -> Vec<u8> {
        assembled(piece, at, shape).finished()
    }

    fn state(piece: &Piece, number: usize, (at, shape): (u64, &Shape)) -> Vec<u8> {
        let mut before = piece.cases[number].before;
        if piece.is_called(shape) {
            before.gpr[4] = CALLED_STACK;
        }
        let mut record = vec![0; RECORD];
        put_fx(&mut record[..STATE_LEN], &before);
        let words = before.gpr.iter().chain([&at, &before.eflags]);
        for (place, word) in record[GPR..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        record
    }

    fn masks(piece: &Piece) -> [u64; 2] {
        let flags = match &piece.insns[..] {
            [insn] if !piece.repeats => FLAGS & !undefined_flags(insn),
            _ => FLAGS,
        };
        [flags, piece.insns.iter().fold(0xffff, |mask, insn| mask & u64::from(x87_mask(insn)))]
    }

    fn len(piece: &Piece) -> usize {
        piece.insns.len()
    }

    fn without(piece: &Piece, instruction: usize) -> Piece {
        let mut piece = piece.clone();
        let insn = piece.insns[instruction];
        let at = (insn.ip() - LOADED) as usize;
        // One of several bytes, so that the others keep their numbers.
        let mut nop = [NOP; 16];
        nop[..insn.len() - 1].fill(0x66);
        for case in &mut piece.cases {
            case.code[at..at + insn.len()].copy_from_slice(&nop[..insn.len()]);
        }
        let mut decoder = Decoder::with_ip(64, &nop[..insn.len()], insn.ip(), DecoderOptions::NONE);
        piece.insns[instruction] = decoder.decode();
        piece
    }

    /// OR for ADD, SBB for ADC, SUB for AND, CMP for XOR.
    fn mistaken(piece: &Piece) -> Piece {
        let mut piece = piece.clone();
        let sums = |insn: &&Instruction| {
            matches!(insn.mnemonic(), M::Add | M::Adc | M::And | M::Xor) && !insn.has_lock_prefix()
        };
        for insn in piece.insns.iter().filter(sums) {
            let start = (insn.ip() - LOADED) as usize;
            let opcode = |byte: u8| byte & 0xf0 < 0x40 && byte & 0x0f < 6;
            let at = (start..start + insn.len()).find(|&at| opcode(piece.cases[0].code[at]));
            if let Some(at) = at {
                piece.cases.iter_mut().for_each(|case| case.code[at] ^= 8);
            }
        }
        piece
    }

    fn faulted(piece: &Piece, (at, shape): (u64, &Shape), record: &[u8]) -> Option<usize> {
        let rip = u64::from_le_bytes(record[RIP..RIP + 8].try_into().unwrap());
        let starts = assembled(piece, at, shape).labels;
        let ends = starts.iter().skip(1).map(|(_, at)| *at);
        let holds = |(label, end): (&(Label, u64), u64)| match label {
            (Label::Insn(number), start) if (*start..end).contains(&rip) => Some(*number),
            _ => None,
        };
        (record[STATUS] != 0).then(|| starts.iter().zip(ends).find_map(holds).unwrap_or(usize::MAX))
    }

    fn difference(
        piece: &Piece,
        number: usize,
        (at, _): (u64, &Shape),
        ours: &[u8],
        theirs: &[u8],
    ) -> Option<String> {
        let (ours, theirs) = (outcome(ours, at), outcome(theirs, at));
        let found = difference(&piece.insns, &ours, &theirs)?;
        Some(text::line(&piece.cases[number], &found))
    }

    fn disassembly(piece: &Piece) -> String {
        text::disassembly(piece.code())
    }
}

/// A record as the other tests have outcomes.
fn outcome(record: &[u8], at: u64) -> Outcome {
    let word = |n: usize| u64::from_le_bytes(record[GPR + 8 * n..][..8].try_into().unwrap());
    let mut after = Registers::new();
    get_fx(record, &mut after);
    after.gpr = std::array::from_fn(word);
    let signal = record[STATUS] as i32;
    after.rip = if signal == 0 { LOADED } else { LOADED.wrapping_add(word(16).wrapping_sub(at)) };
    after.eflags = word(17);
    let mut outcome = Outcome::new();
    (outcome.signal, outcome.after) = (signal, after);
    outcome
}
