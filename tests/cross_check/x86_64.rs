//! iced-x86, which we decode with, against yaxpeax-x86.

use crate::binaries::{Quota, code};
use crate::known::{Differences, Example};
use crate::reading::{Operand, Reading, of_iced, of_yaxpeax};
use iced_x86::{CpuidFeature, Decoder, DecoderOptions, Instruction, Mnemonic};
use yaxpeax_arch::LengthedInstruction;
use yaxpeax_x86::amd64::InstDecoder;

const MACHINE: u16 = 62;
const MAX_LEN: usize = 15;

fn defaults() -> Vec<String> {
    // Without libcrypto, whose code has tables among it, in every version others.
    let libraries = ["libc.so.6", "libm.so.6", "libsqlite3.so.0"];
    let programs = ["bash", "busybox", "perl", "python3", "openssl", "gawk"];
    let libraries = libraries.map(|name| format!("/usr/lib/x86_64-linux-gnu/{name}"));
    libraries.into_iter().chain(programs.map(|name| format!("/usr/bin/{name}"))).collect()
}

/// What no model of ours has: neither decoder's reading of it matters.
fn is_another_extension(insn: &Instruction) -> bool {
    let others = [
        CpuidFeature::AVX512F,
        CpuidFeature::AVX512BW,
        CpuidFeature::AVX512DQ,
        CpuidFeature::AVX512CD,
        CpuidFeature::AVX512VL,
        CpuidFeature::FMA4,
        CpuidFeature::XOP,
        CpuidFeature::D3NOW,
        CpuidFeature::PADLOCK_ACE,
        CpuidFeature::PADLOCK_PHE,
        CpuidFeature::PADLOCK_RNG,
        CpuidFeature::PADLOCK_PMM,
        CpuidFeature::VMX,
    ];
    insn.cpuid_features().iter().any(|feature| others.contains(feature))
        || format!("{:?}", insn.code()).starts_with("EVEX")
}

fn theirs(bytes: &[u8]) -> Option<Reading> {
    let insn = InstDecoder::default().decode_slice(bytes).ok()?;
    let len = insn.len().to_const() as usize;
    Some(of_yaxpeax(&insn, len))
}

/// One name for what the two spell differently.
fn canonical(mnemonic: &str) -> &str {
    const SPELLINGS: &[(&str, &str)] = &[
        ("ae", "nb"),
        ("be", "na"),
        ("e", "z"),
        ("ne", "nz"),
        ("fndisi", "fdisi8087_nop"),
        ("fneni", "feni8087_nop"),
        ("fnsetpm", "fsetpm287_nop"),
        ("popfq", "popf"),
        ("pushfq", "pushf"),
        ("xlatb", "xlat"),
        ("incsspq", "incssp"),
        ("reservednop", "nop"),
    ];
    const STRINGS: &[&str] = &["movs", "cmps", "stos", "lods", "scas", "ins", "outs"];
    if let Some(name) =
        STRINGS.iter().find(|name| mnemonic.len() == name.len() + 1 && mnemonic.starts_with(**name))
    {
        return name;
    }
    let found = SPELLINGS.iter().find(|(ours, _)| *ours == mnemonic);
    found.map_or(mnemonic, |(_, theirs)| *theirs)
}

/// Conditions have two spellings in every instruction that has one.
fn same_mnemonic(ours: &str, theirs: &str) -> bool {
    const CONDITIONAL: &[&str] = &["cmov", "set", "loop", "j"];
    if canonical(ours) == theirs || ours == theirs {
        return true;
    }
    let stem = CONDITIONAL.iter().find(|stem| ours.starts_with(**stem) && theirs.starts_with(**stem));
    stem.is_some_and(|stem| canonical(&ours[stem.len()..]) == &theirs[stem.len()..])
}

/// The operands without what one of the two leaves unsaid: the x87's top of stack, and in which order the operands of
/// exchanges and string instructions stand.
fn operands(reading: &Reading) -> Vec<Operand> {
    let top = Operand::Register("st0".to_owned());
    let mut operands: Vec<_> = reading.operands.iter().filter(|operand| **operand != top).cloned().collect();
    if ["xchg", "cmps", "scas"].iter().any(|name| reading.mnemonic.starts_with(name)) {
        operands.sort_by_key(Operand::to_string);
    }
    operands
}

/// What differs between two readings, if anything, for the list.
fn difference(bytes: &[u8], ours: &Reading, theirs: Option<&Reading>) -> Option<String> {
    let name = &ours.mnemonic;
    let differs = |what: String| Some(if has_two_rex(bytes) { "two REX prefixes".to_owned() } else { what });
    let Some(theirs) = theirs else { return differs(format!("{name}: no instruction")) };
    if ours.len != theirs.len {
        return differs(format!("{name}: length"));
    }
    if !same_mnemonic(name, &theirs.mnemonic) {
        return differs(format!("{name}: mnemonic {}", theirs.mnemonic));
    }
    let (a, b) = (operands(ours), operands(theirs));
    if a.len() != b.len() {
        return differs(format!("{name}: number of operands"));
    }
    let mut pairs = a.iter().zip(&b).enumerate().filter(|(_, (a, b))| !a.agrees(b));
    let (i, (a, b)) = pairs.next()?;
    differs(match kinds(a, b) {
        "displacement" if is_absolute(a) => "an absolute address".to_owned(),
        kind => format!("{name}: operand {i}: {kind}"),
    })
}

/// Only the last REX prefix counts; compilers never write two.
fn has_two_rex(bytes: &[u8]) -> bool {
    let legacy = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3];
    let prefixes = bytes.iter().take_while(|byte| legacy.contains(*byte) || **byte >> 4 == 4);
    prefixes.filter(|byte| **byte >> 4 == 4).count() > 1
}

fn is_absolute(operand: &Operand) -> bool {
    matches!(operand, Operand::Memory { base, index: None, .. } if base.is_empty())
}

fn kinds(a: &Operand, b: &Operand) -> &'static str {
    match (a, b) {
        (Operand::Register(_), Operand::Register(_)) => "register",
        (Operand::Immediate(..), Operand::Immediate(..)) => "immediate",
        (
            Operand::Memory { base, index, segment, .. },
            Operand::Memory { base: base2, index: index2, segment: segment2, .. },
        ) => match (base == base2, index == index2, segment == segment2) {
            (false, ..) => "base",
            (_, false, _) => "index",
            (_, _, false) => "segment",
            _ => "displacement",
        },
        _ => "kind",
    }
}

fn decode(bytes: &[u8]) -> Instruction {
    Decoder::new(64, bytes, DecoderOptions::NONE).decode()
}

fn example(bytes: &[u8]) -> Example {
    let ours = of_iced(&decode(bytes)).to_string();
    let theirs = theirs(bytes).map_or("-".to_owned(), |reading| reading.to_string());
    Example { bytes: bytes.to_vec(), ours, theirs }
}

#[test]
fn yaxpeax_x86_differs_as_listed() {
    let mut quota = Quota::new();
    let (mut differences, mut compared) = (Differences::default(), 0u64);
    for section in code(MACHINE, &defaults()) {
        let mut at = 0;
        while at < section.len() {
            let bytes = &section[at..section.len().min(at + MAX_LEN)];
            let insn = decode(bytes);
            at += insn.len().max(1);
            if insn.is_invalid() || is_another_extension(&insn) || insn.mnemonic() == Mnemonic::Nop {
                continue;
            }
            if !quota.admits((insn.code(), insn.op0_kind() as u8, insn.op1_kind() as u8)) {
                continue;
            }
            compared += 1;
            let bytes = &bytes[..insn.len()];
            if let Some(what) = difference(bytes, &of_iced(&insn), theirs(bytes).as_ref()) {
                differences.add(what, || example(bytes));
            }
        }
    }
    println!("{compared} instructions of {} forms compared", quota.forms());
    assert!(quota.forms() > 500, "only {} forms of instructions", quota.forms());
    differences.are_those_of(include_str!("yaxpeax-x86.txt"), example);
}
