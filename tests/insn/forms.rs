//! Every form of instruction (one of iced's codes, with registers or with memory) that is implemented and that the
//! oracle can tell about, and random instructions of a given form by iced's encoder.

use crate::case::{CODE, Case, Registers, Rng};
use crate::compare::is_excused;
use crate::generate::{MAPS, Map, PREFIXES, complete, is_skipped};
use crate::machine::Machine;
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction, OpKind, Register};
use std::collections::BTreeMap;

/// The forms' codes, with an instruction for each kind of operand.
pub struct Forms(Vec<(Code, Vec<Instruction>)>);

impl Forms {
    /// Finds them by decoding every prefix, opcode and ModRM byte.
    pub fn new(machine: &Machine) -> Self {
        let mut found = BTreeMap::<(Code, bool), Instruction>::new();
        let mut rng = Rng(1);
        for_each_head(|bytes| {
            let insn = Decoder::with_ip(64, bytes, CODE, DecoderOptions::NONE).decode();
            let key = (insn.code(), insn.op_kinds().any(|kind| kind == OpKind::Memory));
            if !insn.is_invalid() && !found.contains_key(&key) && is_comparable(&mut rng, machine, bytes) {
                found.insert(key, insn);
            }
        });
        let mut forms = BTreeMap::<Code, Vec<Instruction>>::new();
        found.into_iter().for_each(|((code, _), insn)| forms.entry(code).or_default().push(insn));
        Self(forms.into_iter().collect())
    }

    pub fn codes(&self) -> impl Iterator<Item = Code> {
        self.0.iter().map(|&(code, _)| code)
    }

    /// An instruction of one of the forms, rather of one that `count` is small for.
    pub fn generate(&self, rng: &mut Rng, count: impl Fn(Code) -> u64) -> Option<(Case, Instruction)> {
        let mut pick = || &self.0[rng.below(self.0.len() as u64) as usize];
        let (a, b) = (pick(), pick());
        let (_, insns) = if count(a.0) < count(b.0) { a } else { b };
        let insn = insns[rng.below(insns.len() as u64) as usize];
        let varied = vary(rng, insn);
        complete(rng, encode(&varied)?, CODE)
    }
}

fn is_comparable(rng: &mut Rng, machine: &Machine, bytes: &[u8; 16]) -> bool {
    let Some((case, insn)) = complete(rng, *bytes, CODE) else { return false };
    let case = Case { before: Registers::new(), ..case };
    !is_skipped(&insn) && !is_excused(&insn, &case) && machine.implements(&case)
}

fn for_each_head(mut f: impl FnMut(&[u8; 16])) {
    let mut with_modrm = |head: &[u8]| {
        let mut bytes = [0; 16];
        bytes[..head.len()].copy_from_slice(head);
        for modrm in 0..=255 {
            bytes[head.len()] = modrm;
            f(&bytes);
        }
    };
    for opcode in 0..=255 {
        for &map in MAPS {
            match map {
                Map::Legacy(map) => {
                    PREFIXES.iter().for_each(|prefix| with_modrm(&[prefix, map, &[opcode]].concat()));
                }
                Map::Vex(map) => {
                    // W, whether there is a third operand, L and the prefix that is part of the opcode.
                    for (w, third, rest) in
                        (0..32).map(|n: u8| (n >> 4 << 7, if n & 8 != 0 { 0x78 } else { 0x70 }, n & 7))
                    {
                        with_modrm(&[0xc4, 0xe0 | map, w | third | rest, opcode]);
                    }
                }
            }
        }
    }
}

fn encode(insn: &Instruction) -> Option<[u8; 16]> {
    let mut encoder = Encoder::new(64);
    let len = encoder.encode(insn, CODE).ok()?;
    let mut bytes = [0x90; 16];
    bytes[..len].copy_from_slice(&encoder.take_buffer());
    Some(bytes)
}

/// The same form with other operands: each is changed as far as the encoder takes it.
fn vary(rng: &mut Rng, mut insn: Instruction) -> Instruction {
    let mut attempt = |insn: &mut Instruction, change: &mut dyn FnMut(&mut Rng, &mut Instruction)| {
        let mut changed = *insn;
        change(rng, &mut changed);
        let same_code = |bytes: [u8; 16]| {
            Decoder::with_ip(64, &bytes, CODE, DecoderOptions::NONE).decode().code() == insn.code()
        };
        if encode(&changed).is_some_and(same_code) {
            *insn = changed;
        }
    };
    for op in 0..insn.op_count() {
        match insn.op_kind(op) {
            OpKind::Register => attempt(&mut insn, &mut |rng, insn| {
                let reg = another(rng, insn.op_register(op));
                insn.set_op_register(op, reg);
            }),
            OpKind::Memory => attempt(&mut insn, &mut vary_address),
            OpKind::Immediate8 | OpKind::Immediate8_2nd => attempt(&mut insn, &mut |rng, insn| {
                insn.set_immediate_u64(op, rng.next() & 0xff);
            }),
            OpKind::Immediate8to16 | OpKind::Immediate8to32 | OpKind::Immediate8to64 => {
                attempt(&mut insn, &mut |rng, insn| insn.set_immediate_i64(op, i64::from(rng.next() as i8)));
            }
            OpKind::Immediate16 => attempt(&mut insn, &mut |rng, insn| {
                insn.set_immediate_u64(op, rng.next() & 0xffff);
            }),
            OpKind::Immediate32 => attempt(&mut insn, &mut |rng, insn| {
                insn.set_immediate_u64(op, rng.next() & 0xffff_ffff);
            }),
            OpKind::Immediate32to64 => {
                attempt(&mut insn, &mut |rng, insn| insn.set_immediate_i64(op, i64::from(rng.next() as i32)));
            }
            OpKind::Immediate64 => {
                attempt(&mut insn, &mut |rng, insn| insn.set_immediate_u64(op, rng.next()));
            }
            _ => {}
        }
    }
    attempt(&mut insn, &mut |rng, insn| insn.set_has_lock_prefix(insn.has_lock_prefix() || rng.one_in(4)));
    attempt(&mut insn, &mut |rng, insn| {
        let repeats = insn.is_string_instruction() && rng.one_in(2);
        insn.set_has_rep_prefix(insn.has_rep_prefix() || repeats);
    });
    insn
}

/// A register of the same kind.
fn another(rng: &mut Rng, reg: Register) -> Register {
    let count = match reg {
        reg if reg.is_gpr8() => 20,
        reg if reg.is_gpr() || reg.is_vector_register() => 16,
        _ => 8,
    };
    reg.base() + rng.below(count) as u32
}

fn vary_address(rng: &mut Rng, insn: &mut Instruction) {
    let narrow = rng.one_in(8);
    let general = if narrow { Register::EAX } else { Register::RAX };
    let base = match rng.below(8) {
        0 if !insn.is_vsib() => Register::RIP,
        1 => Register::None,
        _ => general + rng.below(16) as u32,
    };
    insn.set_memory_base(base);
    if insn.is_vsib() {
        insn.set_memory_index(another(rng, insn.memory_index()));
    } else {
        let indexed = base != Register::RIP && rng.one_in(2);
        insn.set_memory_index(if indexed { another(rng, general) } else { Register::None });
    }
    let scaled = insn.memory_index() != Register::None;
    insn.set_memory_index_scale(if scaled { 1 << rng.below(4) } else { 1 });
    let far = base == Register::RIP || base == Register::None || rng.one_in(3);
    let (size, displacement) = match (far, base) {
        (true, base) if base.is_gpr32() => (4, 0),
        (true, _) => (8, CODE),
        _ if rng.one_in(2) => (1, rng.next() as i8 as u64),
        _ => (0, 0),
    };
    insn.set_memory_displ_size(size);
    insn.set_memory_displacement64(displacement);
    if rng.one_in(8) {
        insn.set_segment_prefix(Register::GS);
    }
}
