//! Random instructions with random operands, on both tiers and on the host CPU.
//!
//! Encodings come from the opcode maps, every prefix that selects an instruction, and random operands;
//! values favour the edges. What the manual leaves undefined is not compared.

use crate::case::{CODE, Case, DATA, FLAGS, Outcome, Registers, Rng};
use crate::machine::{Machine, Tier};
use crate::oracle;
use iced_x86::{
    ConstantOffsets, CpuidFeature, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic as M, OpKind,
    Register,
};
use std::collections::BTreeMap;

const PREFIXES: &[&[u8]] = &[
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
    &[0x67],
    &[0x65],
    &[0xf3, 0x44],
    &[0x66, 0x45],
    &[0x40],
];
const MAPS: &[Map] = &[
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
enum Map {
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
fn encode(rng: &mut Rng, map: Map, opcode: u8) -> Option<(Case, Instruction)> {
    let mut code = [0u8; 16];
    let head = head(rng, map, opcode);
    code[..head.len()].copy_from_slice(&head);
    for byte in &mut code[head.len()..] {
        *byte = rng.next() as u8;
    }
    if rng.one_in(2) {
        code[head.len()] |= 0xc0;
    }
    let mut decoder = Decoder::with_ip(64, &code, CODE, DecoderOptions::NONE);
    let insn = decoder.decode();
    if insn.is_invalid() || is_skipped(&insn) {
        return None;
    }
    let offsets = decoder.get_constant_offsets(&insn);
    patch_displacement(rng, &mut code, offsets, &insn);
    if insn.op_count() > 0 && insn.op_kinds().any(|k| k == OpKind::Immediate8) && rng.one_in(3) {
        code[insn.len() - 1] &= 0x1f;
    }
    let mut decoder = Decoder::with_ip(64, &code, CODE, DecoderOptions::NONE);
    let insn = decoder.decode();
    // A gather may be stepped through lane by lane, too.
    let repeated =
        insn.is_vsib() || insn.is_string_instruction() && (insn.has_rep_prefix() || insn.has_repne_prefix());
    let case = Case { code, len: insn.len(), repeated, before: Registers::new(), seed: rng.next() };
    Some((case, insn))
}

/// Where the memory operand should be: mostly aligned, sometimes at a page's edge.
fn target(rng: &mut Rng) -> u64 {
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
        4 if base == Register::None && insn.memory_index() == Register::None => target(rng),
        4 => rng.below(64).wrapping_sub(32),
        8 => target(rng),
        _ => return,
    };
    code[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// Not for this oracle: the kernel's business, other address spaces, time, the fs base that Rust needs.
fn is_skipped(insn: &Instruction) -> bool {
    let features = insn.cpuid_features();
    let other = [
        CpuidFeature::SMM,
        CpuidFeature::VMX,
        CpuidFeature::SVM,
        CpuidFeature::XSAVE,
        CpuidFeature::XSAVEC,
        CpuidFeature::XSAVEOPT,
        CpuidFeature::XSAVES,
        CpuidFeature::RTM,
        CpuidFeature::FSGSBASE,
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
    let far = matches!(insn.flow_control(), FlowControl::Interrupt)
        || insn.op_kinds().any(|k| matches!(k, OpKind::FarBranch16 | OpKind::FarBranch32));
    far || matches!(
        insn.mnemonic(),
        M::Syscall
            | M::Sysret
            | M::Sysretq
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
            | M::In
            | M::Out
            | M::Insb
            | M::Insw
            | M::Insd
            | M::Outsb
            | M::Outsw
            | M::Outsd
            | M::Popf
            | M::Popfq
            | M::Pushf
            | M::Pushfq
            | M::Fxsave
            | M::Fxsave64
            | M::Fxrstor
            | M::Fxrstor64
            | M::Fnsave
            | M::Frstor
            | M::Fnstenv
            | M::Fldenv
            | M::Ldmxcsr
            | M::Xlatb
            | M::Sgdt
            | M::Sidt
            | M::Sldt
            | M::Str
            | M::Smsw
            | M::Lar
            | M::Lsl
            | M::Verr
            | M::Verw
            | M::Hlt
    ) || insn
        .op_kinds()
        .enumerate()
        .any(|(i, k)| k == OpKind::Register && insn.op_register(i as u32).is_segment_register())
}

fn integer(rng: &mut Rng) -> u64 {
    const EDGES: [u64; 12] =
        [0, 1, 2, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, i64::MAX as u64, 1 << 63, u64::MAX];
    match rng.below(6) {
        0 | 1 => rng.next(),
        2 => EDGES[rng.below(12) as usize],
        3 => EDGES[rng.below(12) as usize] ^ rng.next() & 0xff,
        4 => rng.below(256),
        _ => u64::from(rng.next() as u32),
    }
}

fn single(rng: &mut Rng) -> u32 {
    const EDGES: [u32; 16] = [
        0,
        0x8000_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0001,
        0x7f80_0001,
        0x0000_0001,
        0x807f_ffff,
        0x7f7f_ffff,
        0x4f00_0000,
        0xcf00_0000,
        0x3f00_0000,
        0xffc1_2345,
        0x0080_0000,
    ];
    match rng.below(4) {
        0 => EDGES[rng.below(16) as usize],
        1 => (rng.next() as i8 as f32 * 0.5).to_bits(),
        2 => rng.next() as u32,
        _ => 0x3000_0000 + (rng.next() as u32 & 0x9fff_ffff),
    }
}

fn double(rng: &mut Rng) -> u64 {
    const EDGES: [u64; 16] = [
        0,
        1 << 63,
        0x3ff0_0000_0000_0000,
        0xbff0_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0xfff0_0000_0000_0000,
        0x7ff8_0000_0000_0001,
        0x7ff0_0000_0000_0001,
        1,
        0x800f_ffff_ffff_ffff,
        0x7fef_ffff_ffff_ffff,
        0x43e0_0000_0000_0000,
        0xc1e0_0000_0000_0000,
        0x3fe0_0000_0000_0000,
        0xfff9_2345_6789_abcd,
        0x0010_0000_0000_0000,
    ];
    match rng.below(4) {
        0 => EDGES[rng.below(16) as usize],
        1 => (rng.next() as i8 as f64 * 0.5).to_bits(),
        2 => rng.next(),
        _ => 0x3c00_0000_0000_0000 + (rng.next() & 0x87ff_ffff_ffff_ffff),
    }
}

fn vector(rng: &mut Rng) -> u128 {
    let two = |a: u64, b: u64| u128::from(a) | u128::from(b) << 64;
    match rng.below(4) {
        0 => two(rng.next(), rng.next()),
        1 => two(double(rng), double(rng)),
        2 => (0..4).fold(0, |v, _| v << 32 | u128::from(single(rng))),
        _ => two(integer(rng), integer(rng)),
    }
}

fn extended(rng: &mut Rng) -> u128 {
    let parts = |sign: u64, exponent: u64, significand: u64| {
        u128::from(significand) | u128::from((sign & 1) << 15 | exponent) << 64
    };
    let sign = rng.next();
    match rng.below(8) {
        0 => parts(sign, 0, 0),
        1 => parts(sign, 0x7fff, 1 << 63),
        2 => parts(sign, 0x7fff, rng.next() | 1 << 63),
        3 => parts(sign, 0, rng.next() >> 1),
        4 => parts(sign, 0x3fff + rng.below(70), (rng.next() & 0xff) << 56 | 1 << 63),
        _ => parts(sign, 0x3ff0 + rng.below(80), rng.next() | 1 << 63),
    }
}

/// Fills in the registers.
fn prepare(rng: &mut Rng, case: &mut Case, insn: &Instruction) {
    let before = &mut case.before;
    for value in &mut before.gpr {
        *value = if rng.one_in(3) { target(rng) } else { integer(rng) };
    }
    before.gpr[4] = DATA + 2048 + 8 * rng.below(256);
    let index_of = |reg: Register| reg.full_register().number();
    let base = insn.memory_base();
    if insn.memory_index().is_gpr() && insn.memory_index() != base {
        before.gpr[index_of(insn.memory_index())] = rng.below(64).wrapping_sub(32);
    }
    if base.is_gpr() && index_of(base) != 4 {
        before.gpr[index_of(base)] = target(rng);
    }
    if insn.is_string_instruction() {
        before.gpr[1] = rng.below(70);
        before.gpr[6] = target(rng);
        before.gpr[7] = if rng.one_in(4) {
            before.gpr[6].wrapping_add(rng.below(9)).wrapping_sub(4)
        } else {
            target(rng)
        };
    }
    if matches!(insn.mnemonic(), M::Bt | M::Bts | M::Btr | M::Btc)
        && insn.op1_kind() == OpKind::Register
        && !rng.one_in(8)
    {
        let at = index_of(insn.op1_register());
        if !base.is_gpr() || at != index_of(base) {
            before.gpr[at] = rng.below(2048).wrapping_sub(1024);
        }
    }
    before.eflags = 0x202 | rng.next() & (FLAGS & !0x400) | if rng.one_in(4) { 0x400 } else { 0 };
    for value in before.xmm.iter_mut().chain(&mut before.ymm_high) {
        *value = vector(rng);
    }
    if insn.is_vsib() {
        small_indices(rng, before, insn);
    }
    before.mxcsr = 0x1f80 | if rng.one_in(2) { 0 } else { rng.next() as u32 & 0xe07f };
    before.fcw = 0x37f & !0xf00 | [0x300, 0x200, 0][rng.below(3) as usize] | (rng.below(4) as u16) << 10;
    let top = rng.below(8) as u16;
    before.fsw = top << 11 | rng.next() as u16 & 0x4700;
    before.ftw = rng.next() as u8 | if rng.one_in(8) { 0 } else { 3u8.rotate_left(top.into()) };
    for value in &mut before.st {
        *value = extended(rng);
    }
}

/// Indices of a gather that stay near its base.
fn small_indices(rng: &mut Rng, before: &mut Registers, insn: &Instruction) {
    let (n, wide) = (insn.memory_index().number(), insn.is_vsib64());
    let mut unit = || {
        let mut lane = || rng.below(512).wrapping_sub(256);
        if wide {
            u128::from(lane()) | u128::from(lane()) << 64
        } else {
            (0..4).fold(0, |v, _| v << 32 | u128::from(lane() as u32))
        }
    };
    (before.xmm[n], before.ymm_high[n]) = (unit(), unit());
}

/// What differs between the two outcomes, as text.
fn difference(insn: &Instruction, ours: &Outcome, host: &Outcome) -> Option<String> {
    // #SS, for stack addresses that are not canonical, is SIGBUS; the engine knows no stack accesses.
    if host.signal == libc::SIGBUS && ours.signal == libc::SIGSEGV {
        return None;
    }
    let hash = insn.cpuid_features().contains(&CpuidFeature::SHA);
    if hash && host.signal == libc::SIGSEGV && ours.signal == 0 {
        return None;
    }
    if ours.signal != host.signal {
        let jumps = matches!(
            insn.flow_control(),
            FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return
        );
        return (!jumps).then(|| format!("signal {} instead of {}", ours.signal, host.signal));
    }
    // A faulting MMX store has touched the x87 stack's top already, in ways of the processor's own.
    if ours.signal != 0 && (0..insn.op_count()).any(|op| insn.op_register(op).is_mm()) {
        return None;
    }
    let (a, b) = (&ours.after, &host.after);
    let defined = FLAGS & !rflags(insn);
    let mut text = String::new();
    let mut note = |what: &str, a: u128, b: u128| {
        if a != b {
            text += &format!(" {what}={a:#x}, not {b:#x}");
        }
    };
    note("rip", a.rip.into(), b.rip.into());
    // Single steps end after every element: only they see the flags of those before the fault.
    let stepped = ours.signal != 0 && insn.is_string_instruction();
    let defined = if stepped { 0 } else { defined };
    note("flags", (a.eflags & defined).into(), (b.eflags & defined).into());
    note("mxcsr", a.mxcsr.into(), b.mxcsr.into());
    note("fcw", a.fcw.into(), b.fcw.into());
    note("fsw", (a.fsw & x87_mask(insn)).into(), (b.fsw & x87_mask(insn)).into());
    note("ftw", a.ftw.into(), b.ftw.into());
    for n in 0..16 {
        note(&format!("r{n}"), a.gpr[n].into(), b.gpr[n].into());
        note(&format!("xmm{n}"), a.xmm[n], b.xmm[n]);
        note(&format!("ymm{n}h"), a.ymm_high[n], b.ymm_high[n]);
    }
    for n in 0..8 {
        note(&format!("st{n}"), a.st[n], b.st[n]);
    }
    // An instruction of several stores may have done some of them before its fault.
    let partial = ours.signal != 0 && insn.mnemonic() == M::Enter;
    if let Some(at) = (0..ours.data.len()).find(|&i| !partial && ours.data[i] != host.data[i]) {
        note(&format!("[{:#x}]", DATA + at as u64), ours.data[at].into(), host.data[at].into());
    }
    (!text.is_empty()).then_some(text)
}

/// Flags that the instruction leaves undefined.
fn rflags(insn: &Instruction) -> u64 {
    use iced_x86::RflagsBits as F;
    let undefined = insn.rflags_undefined();
    let bits = [(F::OF, 0x800), (F::SF, 0x80), (F::ZF, 0x40), (F::AF, 0x10), (F::CF, 1), (F::PF, 4)];
    let mut mask: u64 = bits.iter().filter(|(flag, _)| undefined & flag != 0).map(|(_, bit)| bit).sum();
    // A count above the operand's size makes everything undefined; iced cannot know a count in cl.
    if matches!(insn.mnemonic(), M::Shld | M::Shrd) {
        mask |= 0x8d5;
    }
    if matches!(insn.mnemonic(), M::Shl | M::Sal | M::Shr | M::Sar) && insn.op0_register().size() < 4 {
        mask |= 1;
    }
    if matches!(insn.mnemonic(), M::Rcl | M::Rcr)
        && insn.try_immediate(1).is_ok_and(|count| count & 0x1f != 1)
    {
        mask |= 0x800;
    }
    mask
}

/// Condition codes that x87 instructions define.
fn x87_mask(insn: &Instruction) -> u16 {
    let written = insn.cpuid_features().iter().any(|f| format!("{f:?}").starts_with("FPU"));
    if written { !0x4500 | defined_codes(insn) } else { 0xffff }
}

fn defined_codes(insn: &Instruction) -> u16 {
    match insn.mnemonic() {
        M::Fcom
        | M::Fcomp
        | M::Fcompp
        | M::Fucom
        | M::Fucomp
        | M::Fucompp
        | M::Ftst
        | M::Fxam
        | M::Ficom
        | M::Ficomp => 0x4500,
        M::Fprem | M::Fprem1 => 0x4500,
        M::Fsin | M::Fcos | M::Fptan | M::Fsincos => 0x400,
        _ => 0,
    }
}

fn has_operand_size_prefix(case: &Case) -> bool {
    let prefix = |b: &&u8| {
        matches!(b, 0x66 | 0x67 | 0xf0 | 0xf2 | 0xf3 | 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64 | 0x65)
    };
    case.code.iter().take_while(prefix).any(|&b| b == 0x66)
}

/// Outcomes that may differ for reasons of their own.
fn is_excused(insn: &Instruction, case: &Case) -> bool {
    let before = &case.before;
    let nan = |v: u32| v & 0x7f80_0000 == 0x7f80_0000;
    let has_nan = insn.op1_kind() == OpKind::Memory
        || before.xmm.iter().any(|v| (0..4).any(|i| nan((v >> (32 * i)) as u32)));
    if insn.flow_control() != FlowControl::Next && has_operand_size_prefix(case) {
        return true;
    }
    match insn.mnemonic() {
        // 16-bit double shifts by more than 16 and BSWAP of 16 bits are undefined.
        M::Shld | M::Shrd if insn.op0_kind() == OpKind::Register && insn.op0_register().size() == 2 => true,
        M::Shld | M::Shrd => insn.memory_size().size() == 2,
        M::Bswap => insn.op0_register().size() == 2,
        // Whether bytes that the mask leaves out may fault is the processor's choice.
        M::Maskmovq | M::Maskmovdqu | M::Vmaskmovdqu => true,
        // AMD truncates branch targets under an operand-size prefix, lets a repeat prefix change a loop's
        // condition, and has no register forms in PREFETCHW's row; we are an Intel processor.
        M::Loope | M::Loopne => insn.has_rep_prefix() || insn.has_repne_prefix(),
        M::Pause => case.len > 2,
        // Displacements of one byte are scaled in the host's form.
        M::Vpdpbusd | M::Vpdpbusds | M::Vpdpwssd | M::Vpdpwssds => {
            insn.memory_displ_size() != 0 || !is_x86_feature_detected!("avx512vnni")
        }
        M::Reservednop => format!("{:?}", insn.code()).ends_with("0F0D"),
        // Which of several NaNs comes out depends on the lane.
        M::Dpps | M::Dppd | M::Vdpps | M::Vdppd => has_nan,
        _ => false,
    }
}

/// Runs `per_opcode` cases of every opcode; gives failures by mnemonic.
pub fn compare(seed: u64, per_opcode: usize, only: Option<&str>) -> (usize, BTreeMap<String, Vec<String>>) {
    let mut rng = Rng(seed);
    let mut machine = Machine::new();
    let (mut failures, mut count) = (BTreeMap::<String, Vec<String>>::new(), 0);
    let mut batch = Vec::new();
    let mut missing = BTreeMap::<String, usize>::new();
    for &map in MAPS {
        for opcode in 0..=255u8 {
            for _ in 0..per_opcode {
                let Some((mut case, insn)) = encode(&mut rng, map, opcode) else { continue };
                let name = format!("{:?}", insn.mnemonic()).to_lowercase();
                prepare(&mut rng, &mut case, &insn);
                if only.is_some_and(|only| only != name) || is_excused(&insn, &case) {
                    continue;
                }
                match machine.lift(&case) {
                    Some(block) => batch.push((case, insn, block)),
                    None => *missing.entry(name).or_default() += 1,
                }
            }
            if batch.len() >= 2000 || opcode == 255 {
                count += batch.len();
                run_batch(&mut machine, &mut batch, &mut failures);
            }
        }
    }
    println!("not implemented: {missing:?}");
    (count, failures)
}

/// The case as the host can run it: AVX-VNNI is AVX512-VNNI there, with the same operands.
fn host_form(case: &Case, insn: &Instruction) -> Case {
    if !insn.cpuid_features().contains(&CpuidFeature::AVX_VNNI) {
        return *case;
    }
    let at = case.code.iter().position(|&b| b == 0xc4).unwrap_or(0);
    let [inverted, rest, _, modrm, ..] = case.code[at + 1..] else { return *case };
    // With a register there, EVEX's X names the upper sixteen.
    let inverted = if modrm >= 0xc0 { inverted | 0x40 } else { inverted };
    let evex = [0x62, inverted & 0xe0 | 0x10 | inverted & 7, rest & 0xfb | 4, rest << 3 & 0x20 | 8];
    let mut code = [0x90; 16];
    code[..at].copy_from_slice(&case.code[..at]);
    code[at..at + 4].copy_from_slice(&evex);
    code[at + 4..].copy_from_slice(&case.code[at + 3..15]);
    Case { code, len: case.len + 1, ..*case }
}

fn run_batch(
    machine: &mut Machine,
    batch: &mut Vec<(Case, Instruction, guest::ir::Block)>,
    failures: &mut BTreeMap<String, Vec<String>>,
) {
    let cases: Vec<Case> = batch.iter().map(|(case, insn, _)| host_form(case, insn)).collect();
    let mut host = oracle::run_all(&cases);
    for (outcome, (ours, theirs)) in
        host.iter_mut().zip(batch.iter().map(|(case, ..)| case.len).zip(cases.iter().map(|c| c.len)))
    {
        if outcome.signal == 0 {
            outcome.after.rip -= (theirs - ours) as u64;
        }
    }
    let mut ours = Box::new(Outcome::new());
    for ((case, insn, block), host) in batch.drain(..).zip(&host) {
        let mut tiers = vec![Tier::Interpreter];
        if machine.compile(&block) {
            tiers.push(Tier::Compiled);
        }
        for tier in tiers {
            machine.run(&case, &block, tier, &mut ours);
            if let Some(text) = difference(&insn, &ours, host) {
                let name = format!("{:?}", insn.mnemonic()).to_lowercase();
                let line = format!(
                    "{tier:?} {:02x?} {:?}:{text}\n      {}",
                    &case.code[..case.len],
                    insn.code(),
                    describe(&case.before)
                );
                failures.entry(name).or_default().push(line);
            }
        }
    }
}

fn describe(before: &Registers) -> String {
    format!(
        "gpr {:x?} flags {:x} mxcsr {:x} fcw {:x} fsw {:x} ftw {:x} st {:x?} xmm {:x?}",
        before.gpr,
        before.eflags,
        before.mxcsr,
        before.fcw,
        before.fsw,
        before.ftw,
        &before.st[..3],
        before.xmm
    )
}
