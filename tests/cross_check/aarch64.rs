//! The A64 table, which we decode with, against yaxpeax-arm: whether a word is an instruction, and which.

use crate::binaries::{Quota, code};
use crate::known::{Differences, Example};
use arch_aarch64::AARCH64;
use guest::arch::{Absence, GuestArch};
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Opcode};

const MACHINE: u16 = 183;

fn defaults() -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sysroot-aarch64/usr");
    // Without libcrypto, whose code has tables among it, in every version others.
    let libraries = ["libc.so.6", "libm.so.6", "libsqlite3.so.0"];
    let programs = ["bash", "busybox", "perl", "python3", "openssl"];
    let libraries = libraries.map(|name| format!("{root}/lib/aarch64-linux-gnu/{name}"));
    libraries.into_iter().chain(programs.map(|name| format!("{root}/bin/{name}"))).collect()
}

fn theirs(word: u32) -> Option<Opcode> {
    let insn = InstDecoder::default().decode(&mut U8Reader::new(&word.to_le_bytes())).ok()?;
    (insn.opcode != Opcode::Invalid).then_some(insn.opcode)
}

/// Whether a row of the table is about the opcode. A row has several names, "LDXR, LDAXR (exclusive)", each for all sizes,
/// signs and orders: LDADD is LDADDB with acquire to the other.
fn names(row: &str, opcode: &str) -> bool {
    let opcode = opcode.split('(').next().unwrap_or(opcode);
    let names = row.split(" (").next().unwrap_or(row);
    names.split(", ").any(|name| {
        let name = name.split(' ').next().unwrap_or(name);
        match (name, opcode) {
            ("B.cond", "Bcc") | ("BC.cond", "BCcc") | ("HINT", _) | ("DC" | "IC", "SYS") => true,
            ("LDn" | "STn", _) => opcode.starts_with(&name[..2]),
            _ => opcode.starts_with(name) || unsigned(name).is_some_and(|name| opcode.starts_with(&name)),
        }
    })
}

/// FCVTZS is also the row of FCVTZU.
fn unsigned(name: &str) -> Option<String> {
    name.strip_suffix('S').map(|start| start.to_owned() + "U")
}

fn ours(word: u32) -> String {
    arch_aarch64::encoding_name(word).unwrap_or("-").to_owned()
}

fn example(bytes: &[u8]) -> Example {
    let word = u32::from_le_bytes(bytes.try_into().unwrap());
    let theirs = theirs(word).map_or("-".to_owned(), |opcode| format!("{opcode:?}"));
    Example { bytes: bytes.to_vec(), ours: ours(word), theirs }
}

#[test]
fn yaxpeax_arm_differs_as_listed() {
    let mut quota = Quota::new();
    let (mut differences, mut compared, mut accepted) = (Differences::default(), 0u64, 0u64);
    for section in code(MACHINE, &defaults()) {
        for bytes in section.chunks_exact(4) {
            let word = u32::from_le_bytes(bytes.try_into().unwrap());
            let (ours, theirs) = (ours(word), theirs(word));
            let theirs = theirs.map_or("-".to_owned(), |opcode| format!("{opcode:?}"));
            if !quota.admits((ours.clone(), theirs.clone())) {
                continue;
            }
            compared += 1;
            if ours == "-" && theirs != "-" {
                // It accepts much that is not allocated.
                let absence = AARCH64.absence(u64::MAX, bytes);
                assert!(!matches!(absence, Absence::Missing(_)), "{word:#010x} {theirs}: {absence:?}");
                accepted += 1;
            } else if ours != theirs && !names(&ours, &theirs) {
                differences.add(format!("{ours} as {theirs}"), || example(bytes));
            }
        }
    }
    println!(
        "{compared} words of {} kinds compared; {accepted} that are none are some to the other",
        quota.forms()
    );
    assert!(quota.forms() > 250, "only {} kinds of instructions", quota.forms());
    differences.are_those_of(include_str!("yaxpeax-arm.txt"), example);
}
