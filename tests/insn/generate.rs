//! Random encodings: opcode maps, every prefix that selects an instruction, and random operands.

use crate::case::{CODE, Case, DATA, MAX_CODE, Registers, Rng};
use iced_x86::{
    ConstantOffsets, CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic as M, OpKind,
    Register,
};

pub const PREFIXES: &[&[u8]] = &[
    &[],
    &[],
    &[],
    &[0x66],
    &[0x66],
    &[0xf2],
    &[0xf3],
    &[0x48],
    &[0x4c],
    &[0x45],
    &[0x66, 0x48],
    &[0xf2, 0x48],
    &[0xf3, 0x48],
    &[0xf0],
    &[0xf0, 0x48],
    &[0xf0, 0x66],
    &[0x67],
    &[0x65],
    &[0xf3, 0x44],
    &[0x66, 0x45],
    &[0x40],
];
pub const MAPS: &[Map] = &[
    Map::Legacy(&[]),
    Map::Legacy(&[0x0f]),
    Map::Legacy(&[0x0f, 0x38]),
    Map::Legacy(&[0x0f, 0x3a]),
    Map::Vex(1),
    Map::Vex(2),
    Map::Vex(3),
];

/// Where an instruction's opcode stands.
#[derive(Clone, Copy)]
pub enum Map {
    /// Behind these bytes.
    Legacy(&'static [u8]),
    /// In this map of VEX's.
    Vex(u8),
}

/// Prefixes and opcode: random where they do not matter for which instruction it is.
fn head(rng: &mut Rng, map: Map, opcode: u8) -> Vec<u8> {
    match map {
        Map::Legacy(map) => {
            let prefix = PREFIXES[rng.below(PREFIXES.len() as u64) as usize];
            [prefix, map, &[opcode]].concat()
        }
        Map::Vex(map) => {
            let segment: &[u8] = if rng.one_in(8) { &[0x65] } else { &[] };
            let inverted = rng.next() as u8 & 0xe0;
            let width = if rng.one_in(2) { 0x80 } else { 0 };
            // Instructions without a third operand demand ones there.
            let third = if rng.one_in(2) { 0x78 } else { rng.next() as u8 & 0x78 };
            let rest = rng.next() as u8 & 7;
            [segment, &[0xc4, inverted | map, width | third | rest, opcode]].concat()
        }
    }
}

/// A decoded random instruction, its address operand patched to hit the data pages.
pub fn encode(rng: &mut Rng, map: Map, opcode: u8) -> Option<(Case, Instruction)> {
    let mut bytes = [0u8; 16];
    let head = head(rng, map, opcode);
    bytes[..head.len()].copy_from_slice(&head);
    for byte in &mut bytes[head.len()..] {
        *byte = rng.next() as u8;
    }
    if rng.one_in(2) {
        bytes[head.len()] |= 0xc0;
    }
    complete(rng, bytes, CODE)
}

/// The same to stand at `at`, with registers or an address of its own as its operand.
pub fn encode_apart(rng: &mut Rng, map: Map, opcode: u8, at: u64) -> Option<(Case, Instruction)> {
    let mut bytes = [0u8; 16];
    let head = head(rng, map, opcode);
    bytes[..head.len()].copy_from_slice(&head);
    for byte in &mut bytes[head.len()..] {
        *byte = rng.next() as u8;
    }
    let modrm = bytes[head.len()];
    bytes[head.len()] = if rng.one_in(3) { modrm & 0x38 | 5 } else { modrm | 0xc0 };
    complete(rng, bytes, at)
}

/// The instruction that these bytes begin with, if it is one for this oracle, as it is to stand at `at`.
pub fn complete(rng: &mut Rng, mut bytes: [u8; 16], at: u64) -> Option<(Case, Instruction)> {
    let mut decoder = Decoder::with_ip(64, &bytes, at, DecoderOptions::NONE);
    let insn = decoder.decode();
    if insn.is_invalid() || is_skipped(&insn) {
        return None;
    }
    let offsets = decoder.get_constant_offsets(&insn);
    patch_displacement(rng, &mut bytes, offsets, &insn);
    if insn.op_count() > 0 && insn.op_kinds().any(|k| k == OpKind::Immediate8) && rng.one_in(3) {
        bytes[insn.len() - 1] &= 0x1f;
    }
    let insn = Decoder::with_ip(64, &bytes, at, DecoderOptions::NONE).decode();
    // A gather may be stepped through lane by lane, too.
    let repeated =
        insn.is_vsib() || insn.is_string_instruction() && (insn.has_rep_prefix() || insn.has_repne_prefix());
    let mut code = [0x90; MAX_CODE];
    code[..insn.len()].copy_from_slice(&bytes[..insn.len()]);
    let straight = insn.flow_control() == FlowControl::Next;
    let (len, before, seed) = (insn.len(), Registers::new(), rng.next());
    Some((Case { code, len, insns: 1, repeated, straight, before, seed }, insn))
}

/// Where the memory operand should be: mostly aligned, sometimes at a page's edge.
pub fn target(rng: &mut Rng) -> u64 {
    match rng.below(8) {
        0 => DATA + rng.below(8192),
        1 => DATA + 4096 - rng.below(16),
        _ => DATA + 1024 + 16 * rng.below(400),
    }
}

fn patch_displacement(rng: &mut Rng, code: &mut [u8; 16], offsets: ConstantOffsets, insn: &Instruction) {
    let (at, size) = (offsets.displacement_offset(), offsets.displacement_size());
    let base = insn.memory_base();
    let value = match size {
        4 if insn.is_ip_rel_memory_operand() => target(rng).wrapping_sub(insn.next_ip()),
        // An index is small.
        4 if base == Register::None => target(rng),
        4 => rng.below(64).wrapping_sub(32),
        8 => target(rng),
        _ => return,
    };
    code[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// Not for this oracle: the kernel's business, other address spaces, time, the fs base that Rust needs.
pub fn is_skipped(insn: &Instruction) -> bool {
    let features = insn.cpuid_features();
    let other = [
        CpuidFeature::SMM,
        CpuidFeature::VMX,
        CpuidFeature::SVM,
        CpuidFeature::XSAVES,
        CpuidFeature::RTM,
        CpuidFeature::PKU,
        CpuidFeature::SEP,
        CpuidFeature::MONITOR,
        CpuidFeature::RDRAND,
        CpuidFeature::RDSEED,
        CpuidFeature::RDPID,
    ];
    if features.iter().any(|f| other.contains(f)) || insn.memory_segment() == Register::FS {
        return true;
    }
    if insn.mnemonic() == M::Int1 && !crate::host::int1_is_a_trap() {
        return true;
    }
    let system_call = insn.mnemonic() == M::Int && insn.immediate(0) == 0x80;
    let far = system_call || insn.op_kinds().any(|k| matches!(k, OpKind::FarBranch16 | OpKind::FarBranch32));
    far || matches!(
        insn.mnemonic(),
        M::Syscall
            | M::Rdfsbase
            | M::Wrfsbase
            | M::Wrgsbase
            | M::Xgetbv
            | M::Iret
            | M::Iretd
            | M::Iretq
            | M::Retf
            | M::Lss
            | M::Lfs
            | M::Lgs
            | M::Cpuid
            | M::Rdtsc
            | M::Rdtscp
            | M::Rdpmc
            | M::Popf
            | M::Popfq
            | M::Sgdt
            | M::Sidt
            | M::Sldt
            | M::Str
            | M::Smsw
            | M::Lar
            | M::Lsl
            | M::Verr
            | M::Verw
    ) || insn.op_count() > 0
        && insn.op0_kind() == OpKind::Register
        && insn.op0_register().is_segment_register()
}
