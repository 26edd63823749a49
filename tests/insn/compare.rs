//! Outcomes compared, less what the manual leaves undefined and what processors disagree about.

use crate::case::{AC, CODE, Case, DATA, FLAG_NAMES, FLAGS, GPR_NAMES, MAX_CODE, Outcome, Registers};
use crate::values::uses_area;
use arch_x86_64::cpu;
use iced_x86::{
    CpuidFeature, FlowControl, Instruction, InstructionInfoFactory, Mnemonic as M, OpKind, Register,
};
use std::sync::OnceLock;

/// A register, flag or byte that came out differently: its name in test lines, our value, the host's.
pub type Different = (String, u128, u128);

/// The sticky exception flags of MXCSR.
const SSE_FLAGS: u32 = 0x3f;
/// The exceptions that FCW masks.
const X87_EXCEPTIONS: u16 = 0x3f;
/// AMD's MXCSR.MM.
const MISALIGNED_MODE: u32 = 1 << 17;
/// In the x87's status word: an exception is pending.
const X87_PENDING: u16 = 0x80;

/// What differs between the two outcomes.
pub fn difference(insns: &[Instruction], ours: &Outcome, host: &Outcome) -> Option<Vec<Different>> {
    if is_allowed_to_differ(insns, ours, host) {
        return None;
    }
    if ours.signal != host.signal {
        return Some(vec![("signal".to_owned(), ours.signal as u128, host.signal as u128)]);
    }
    let (a, b) = (&ours.after, &host.after);
    let mut found = Vec::new();
    let mut note = |name: &dyn Fn() -> String, a: u128, b: u128| {
        if a != b {
            found.push((name(), a, b));
        }
    };
    note(&|| "rip".to_owned(), a.rip.wrapping_sub(CODE).into(), b.rip.wrapping_sub(CODE).into());
    let defined = defined_flags(insns, ours);
    for (name, bit) in FLAG_NAMES.iter().filter(|(_, bit)| defined >> bit & 1 != 0) {
        note(&|| (*name).to_owned(), (a.eflags >> bit & 1).into(), (b.eflags >> bit & 1).into());
    }
    // Whether a store's fault comes before the flags of what it would store is the processor's choice.
    let flagged_first = ours.signal != 0 && insns.iter().any(|insn| insn.mnemonic() == M::Vcvtps2ph);
    let mxcsr = if flagged_first { !SSE_FLAGS } else { u32::MAX };
    note(&|| "mxcsr".to_owned(), (a.mxcsr & mxcsr).into(), (b.mxcsr & mxcsr).into());
    note(&|| "fcw".to_owned(), a.fcw.into(), b.fcw.into());
    let codes = insns.iter().fold(0xffff, |mask, insn| mask & x87_mask(insn));
    note(&|| "fsw".to_owned(), (a.fsw & codes).into(), (b.fsw & codes).into());
    note(&|| "ftw".to_owned(), a.ftw.into(), b.ftw.into());
    for (n, name) in GPR_NAMES.iter().enumerate() {
        note(&|| (*name).to_owned(), a.gpr[n].into(), b.gpr[n].into());
        let (low, high) =
            if ours.signal == 0 { (u128::MAX, u128::MAX) } else { settled_lanes(insns, ours, n) };
        let any_nan = any_nan(insns, n);
        note(&|| format!("xmm{n}"), any_nan(a.xmm[n] & low), any_nan(b.xmm[n] & low));
        note(&|| format!("ymm{n}h"), any_nan(a.ymm_high[n] & high), any_nan(b.ymm_high[n] & high));
    }
    for n in 0..8 {
        note(&|| format!("st{n}"), a.st[n], b.st[n]);
    }
    // An instruction of several stores may have done some of them before its fault.
    let partial = ours.signal != 0 && insns.iter().any(stores_often);
    let same = partial || ours.data == host.data;
    let own = processors_own(insns, ours);
    let differs = |&i: &usize| ours.data[i] != host.data[i] && !own.contains(&i);
    for at in (0..ours.data.len()).filter(|_| !same).filter(differs).take(4) {
        note(&|| format!("[{at}:1]"), ours.data[at].into(), host.data[at].into());
    }
    (!found.is_empty()).then_some(found)
}

/// The instruction where the outcome has its signal.
fn stopped_at<'a>(insns: &'a [Instruction], outcome: &Outcome) -> Option<&'a Instruction> {
    let mut at = CODE;
    insns.iter().find(|insn| {
        let is_here = at == outcome.after.rip;
        at += insn.len() as u64;
        is_here
    })
}

/// A number of the x87's going into memory.
pub fn stores_x87(insn: &Instruction) -> bool {
    matches!(insn.mnemonic(), M::Fst | M::Fstp | M::Fist | M::Fistp | M::Fisttp | M::Fbstp)
        && insn.op0_kind() == OpKind::Memory
}

/// Instructions of several stores.
fn stores_often(insn: &Instruction) -> bool {
    use M::{Enter, Xsave, Xsave64, Xsavec, Xsavec64, Xsaveopt, Xsaveopt64};
    matches!(insn.mnemonic(), Enter | Xsave | Xsave64 | Xsavec | Xsavec64 | Xsaveopt | Xsaveopt64)
}

/// The bits of vector `n` that a gather's fault settles: lanes from the one that faulted on may have been gathered
/// or not, and what is left of their mask but its sign differs (SDM vol. 2C, `VGATHERDPS`).
fn settled_lanes(insns: &[Instruction], ours: &Outcome, n: usize) -> (u128, u128) {
    let all = (u128::MAX, u128::MAX);
    let [insn] = insns else { return all };
    let (to, mask) = (insn.op0_register(), insn.op_register(2));
    if !insn.is_vsib() || ![to, mask].iter().any(|reg| reg.is_vector_register() && reg.number() == n) {
        return all;
    }
    let (bits, left) = (8 * insn.memory_size().element_size(), mask.number());
    let is_left = |unit: u128, at: usize| unit >> (at + bits - 1) & 1 != 0;
    let lanes = |unit: u128| (0..128).step_by(bits).position(|at| is_left(unit, at)).map(|i| i * bits);
    let below = |at: usize| (1u128 << at) - 1;
    match (lanes(ours.after.xmm[left]), lanes(ours.after.ymm_high[left])) {
        (Some(at), _) => (below(at), 0),
        (None, Some(at)) => (u128::MAX, below(at)),
        (None, None) => all,
    }
}

/// Bytes of the data pages where FXSAVE puts what is the processor's own: pointers that some save only with an
/// exception pending, and the mask of MXCSR.
fn processors_own(insns: &[Instruction], ours: &Outcome) -> Vec<usize> {
    let [insn] = insns else { return Vec::new() };
    if !matches!(insn.mnemonic(), M::Fxsave | M::Fxsave64) && !uses_area(insn) {
        return Vec::new();
    }
    let address = insn.virtual_address(0, 0, |reg, _, _| match reg {
        reg if reg.is_segment_register() => Some(if reg == Register::GS { DATA } else { 0 }),
        reg => Some(ours.after.gpr[reg.full_register().number()]),
    });
    let start = address.map_or(0, |address| address.wrapping_sub(DATA) as usize);
    (6..24).chain(28..32).map(|i| start.wrapping_add(i)).collect()
}

/// Makes all NaNs one where a dot product's result is vector `n`: which of several it gives depends on the lane, in
/// ways of the processor's own.
fn any_nan(insns: &[Instruction], n: usize) -> fn(u128) -> u128 {
    let to =
        |insn: &Instruction| insn.op0_register().is_vector_register() && insn.op0_register().number() == n;
    match insns {
        [insn] if matches!(insn.mnemonic(), M::Dpps | M::Vdpps) && to(insn) => |unit| {
            let lanes = (0..4).map(|i| (unit >> (32 * i)) as u32);
            lanes.rev().fold(0, |v, lane| {
                v << 32 | u128::from(if lane << 1 > 0xff00_0000 { 0x7fc0_0000 } else { lane })
            })
        },
        [insn] if matches!(insn.mnemonic(), M::Dppd | M::Vdppd) && to(insn) => |unit| {
            let lanes = (0..2).map(|i| (unit >> (64 * i)) as u64);
            let quiet = 0x7ff8 << 48;
            lanes
                .rev()
                .fold(0, |v, lane| v << 64 | u128::from(if lane << 1 > 0xffe0 << 48 { quiet } else { lane }))
        },
        _ => |unit| unit,
    }
}

fn is_allowed_to_differ(insns: &[Instruction], ours: &Outcome, host: &Outcome) -> bool {
    if insns.iter().any(uses_area) && is_initial(&ours.after) {
        return true;
    }
    // The host has more components than the model, which it takes from the area too.
    let restores = |insn: &Instruction| matches!(insn.mnemonic(), M::Xrstor | M::Xrstor64);
    if insns.iter().any(restores) && ours.signal == libc::SIGSEGV && host.signal == 0 {
        return true;
    }
    // Whether a store's fault comes before the exceptions of what it would store is the processor's choice.
    if insns.iter().any(|insn| insn.mnemonic() == M::Vcvtps2ph) && host.signal == libc::SIGFPE {
        return true;
    }
    // Whether what is not stored, for an exception that is not masked, may be stored there: AMD's processors look.
    let memory = [libc::SIGSEGV, libc::SIGBUS].contains(&host.signal);
    let pending = ours.after.fsw & X87_PENDING != 0;
    if memory
        && pending
        && ours.after.rip != host.after.rip
        && stopped_at(insns, host).is_some_and(stores_x87)
    {
        return true;
    }
    // AMD's processors have one more bit in MXCSR (MM, misaligned operands): loading it is no fault there.
    if host.after.mxcsr & MISALIGNED_MODE != 0 && host.signal == 0 && ours.signal == libc::SIGSEGV {
        return true;
    }
    // Which of several accesses faults first, one that is not aligned or one that is nowhere, is the processor's
    // choice; so it is how much of an x87 store that an exception prevents is looked at.
    let unmasked = ours.after.fcw & X87_EXCEPTIONS != X87_EXCEPTIONS;
    let several = |insn: &Instruction| InstructionInfoFactory::new().info(insn).used_memory().len() > 1;
    let chosen = |insn: &Instruction| several(insn) || unmasked && stores_x87(insn);
    if host.after.eflags & AC != 0
        && insns.iter().any(chosen)
        && [ours.signal, host.signal].iter().all(|signal| [libc::SIGSEGV, libc::SIGBUS].contains(signal))
    {
        return true;
    }
    // Whether SHA's memory operand must be aligned depends on the manufacturer.
    if insns.iter().any(is_hash_of_memory) && ours.signal == libc::SIGSEGV && ours.signal != host.signal {
        return true;
    }
    // Where a jump to a place that cannot be fetched faults is seen differently.
    let jumps = |insn: &Instruction| {
        matches!(
            insn.flow_control(),
            FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return
        )
    };
    if ours.signal != host.signal && insns.iter().any(jumps) {
        return true;
    }
    // A faulting MMX store has touched the x87 stack's top already, in ways of the processor's own.
    let mmx = |insn: &Instruction| (0..insn.op_count()).any(|op| insn.op_register(op).is_mm());
    ours.signal != 0 && insns.iter().any(mmx)
}

/// Whether a component may be in its initial state, of which processors know to different degrees.
fn is_initial(state: &Registers) -> bool {
    state.fcw == 0x37f && state.fsw == 0 && state.ftw == 0
        || state.xmm.iter().all(|&x| x == 0)
        || state.ymm_high.iter().all(|&x| x == 0)
}

/// A step of SHA with an operand in memory, which Intel's processors want aligned.
pub fn is_hash_of_memory(insn: &Instruction) -> bool {
    let in_memory = insn.op_kinds().any(|kind| kind == OpKind::Memory);
    in_memory && insn.cpuid_features().contains(&CpuidFeature::SHA)
}

/// In a sequence each instruction that leaves flags undefined is followed by one that defines all.
fn defined_flags(insns: &[Instruction], ours: &Outcome) -> u64 {
    let [insn] = insns else { return FLAGS };
    // Single steps end after every element: only they see the flags of those before the fault.
    let stepped = ours.signal != 0 && insn.is_string_instruction();
    if stepped { 0 } else { FLAGS & !undefined_flags(insn) }
}

/// Flags that the instruction leaves undefined.
pub fn undefined_flags(insn: &Instruction) -> u64 {
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
pub fn x87_mask(insn: &Instruction) -> u16 {
    let x87 = [
        CpuidFeature::FPU,
        CpuidFeature::FPU287,
        CpuidFeature::FPU287XL_ONLY,
        CpuidFeature::FPU387,
        CpuidFeature::FPU387SL_ONLY,
    ];
    let written = insn.cpuid_features().iter().any(|f| x87.contains(f));
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
pub fn is_excused(insn: &Instruction, case: &Case) -> bool {
    if insn.flow_control() != FlowControl::Next && has_operand_size_prefix(case) {
        return true;
    }
    if !host_has(insn) {
        return true;
    }
    // The host would save or restore components that the model lacks.
    if uses_area(insn) && (case.before.gpr[0] > 7 || case.before.gpr[2] != 0) {
        return true;
    }
    match insn.mnemonic() {
        // 16-bit double shifts by more than 16 and BSWAP of 16 bits are undefined.
        M::Shld | M::Shrd if insn.op0_kind() == OpKind::Register && insn.op0_register().size() == 2 => true,
        M::Shld | M::Shrd => insn.memory_size().size() == 2,
        M::Bswap => insn.op0_register().size() == 2,
        // AMD reads four bytes for a 16-bit MOVSXD.
        M::Movsxd => insn.op0_register().size() == 2 && insn.op1_kind() == OpKind::Memory,
        // Whether bytes that the mask leaves out may fault is the processor's choice.
        M::Maskmovq | M::Maskmovdqu | M::Vmaskmovdqu => true,
        // AMD truncates branch targets under an operand-size prefix, lets a repeat prefix change a loop's
        // condition, and has no register forms in PREFETCHW's row; we are an Intel processor.
        M::Loope | M::Loopne => insn.has_rep_prefix() || insn.has_repne_prefix(),
        M::Pause => case.len > 2,
        M::Reservednop => format!("{:?}", insn.code()).ends_with("0F0D"),
        _ => false,
    }
}

/// Whether the host can run the instruction, in one form or another.
pub fn host_has(insn: &Instruction) -> bool {
    cpu::allows(host_features(), insn) || has_host_form(insn)
}

fn host_features() -> u64 {
    static FEATURES: OnceLock<u64> = OnceLock::new();
    *FEATURES.get_or_init(|| {
        cpu::features_of(|leaf, subleaf| {
            let said = std::arch::x86_64::__cpuid_count(leaf, subleaf);
            [said.eax, said.ebx, said.ecx, said.edx]
        })
    })
}

/// Whether it is AVX-VNNI on a host that has only AVX512-VNNI. That scales displacements of one byte.
fn has_host_form(insn: &Instruction) -> bool {
    insn.cpuid_features().contains(&CpuidFeature::AVX_VNNI)
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vl")
        && insn.memory_displ_size() == 0
}

/// The case as the host can run it: AVX-VNNI may be AVX512-VNNI there, with the same operands.
pub fn host_form(case: &Case, insn: &Instruction) -> Case {
    if cpu::allows(host_features(), insn) || !has_host_form(insn) {
        return *case;
    }
    let at = case.code.iter().position(|&b| b == 0xc4).unwrap_or(0);
    let [inverted, rest, _, modrm, ..] = case.code[at + 1..] else { return *case };
    // With a register there, EVEX's X names the upper sixteen.
    let inverted = if modrm >= 0xc0 { inverted | 0x40 } else { inverted };
    let evex = [0x62, inverted & 0xe0 | 0x10 | inverted & 7, rest & 0xfb | 4, rest << 3 & 0x20 | 8];
    let mut code = [0x90; MAX_CODE];
    code[..at].copy_from_slice(&case.code[..at]);
    code[at..at + 4].copy_from_slice(&evex);
    code[at + 4..16].copy_from_slice(&case.code[at + 3..15]);
    Case { code, len: case.len + 1, ..*case }
}
