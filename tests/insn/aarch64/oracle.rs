//! qemu-aarch64 as the oracle: a small program runs single instructions from records in a file.

use crate::case::{Case, Registers};
use arch_aarch64::features::{CSSC, DPB, DPB2, HBC, LSE2, MOPS, WFXT};
use std::path::{Path, PathBuf};
use std::process::Command;

const RECORD: usize = 816;
/// A model with everything that ours has, as far as the emulator knows it.
const CPU: &str = "max";

/// The emulator: `INSN_QEMU` names a newer one.
fn emulator() -> String {
    std::env::var("INSN_QEMU").unwrap_or_else(|_| "qemu-aarch64".to_owned())
}

/// Features that this version of the emulator does not have.
pub fn lacking() -> u64 {
    let old = LSE2 | HBC | MOPS | WFXT | DPB | DPB2;
    CSSC | if is_old() { old } else { 0 }
}

/// Whether the emulator is right about the encoding. Version 7 extends the 16-bit result of the scalar conversion
/// to fixed point over 32 bits; the manual writes one 16-bit element and zeros above (`FCVTZS (vector,
/// fixed-point)`, `V[d, esize]`).
pub fn is_right(name: &str) -> bool {
    name != "FCVTZS, FCVTZU (scalar, fixed-point, half)" || !is_old()
}

fn is_old() -> bool {
    let output = Command::new(emulator()).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = text.split_once("version ").and_then(|(_, v)| v.split('.').next()?.parse().ok());
    let major: u32 = major.unwrap_or_else(|| panic!("what version is this? {text}"));
    major < 9
}

/// Runs the instructions; the given state after is replaced by what came of them.
pub fn run(cases: &[(String, Case)]) -> Vec<(String, Case)> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = build(&dir);
    let (input, output) = (dir.join("insn_aarch64.in"), dir.join("insn_aarch64.out"));
    let records: Vec<u8> = cases.iter().flat_map(|(_, case)| encode(case)).collect();
    std::fs::write(&input, records).unwrap();
    let status =
        Command::new(emulator()).args(["-cpu", CPU]).arg(program).args([&input, &output]).status().unwrap();
    assert!(status.success(), "the oracle failed: {status}");
    let records = std::fs::read(output).unwrap();
    assert_eq!(records.len(), cases.len() * RECORD);
    let after = records.chunks_exact(RECORD).map(decode);
    cases
        .iter()
        .zip(after)
        .map(|((name, case), after)| (name.clone(), Case { after, ..case.clone() }))
        .collect()
}

fn build(dir: &Path) -> PathBuf {
    let program = dir.join("insn_aarch64_oracle");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/insn/aarch64/oracle");
    let status = Command::new("aarch64-linux-gnu-gcc")
        .args(["-O1", "-fno-stack-protector", "-static", "-Wl,--section-start=stub=0x10000000", "-o"])
        .arg(&program)
        .args([source.join("oracle.c"), source.join("run_one.S")])
        .status()
        .unwrap();
    assert!(status.success(), "the oracle does not build");
    program
}

fn encode(case: &Case) -> Vec<u8> {
    let r = &case.before;
    let words = r.x.iter().copied().chain([r.sp, r.nzcv, r.fpcr, r.fpsr, u64::from(case.word), 0, 0]);
    words.flat_map(u64::to_le_bytes).chain(r.v.iter().flat_map(|v| v.to_le_bytes())).collect()
}

fn decode(record: &[u8]) -> Registers {
    let word = |n: usize| u64::from_le_bytes(record[8 * n..8 * n + 8].try_into().unwrap());
    let vector = |n: usize| u128::from_le_bytes(record[304 + 16 * n..][..16].try_into().unwrap());
    Registers {
        x: std::array::from_fn(word),
        sp: word(31),
        nzcv: word(32),
        fpcr: word(33),
        fpsr: word(34),
        v: std::array::from_fn(vector),
        status: word(36),
        memory: word(37),
    }
}
