//! Single AArch64 instructions on every tier.
//!
//! The case files give the state before and after, one instruction a line; what they expect came from
//! qemu-aarch64. `INSN_UPDATE=1` writes them anew (read the difference then). The random comparison runs
//! `qemu-aarch64` and a cross compiler, which scripts/test installs.
#![allow(clippy::unwrap_used)]

#[path = "insn/aarch64/case.rs"]
mod case;
#[path = "insn/aarch64/machine.rs"]
mod machine;
#[path = "insn/aarch64/oracle.rs"]
mod oracle;
#[path = "insn/aarch64/random.rs"]
mod random;
#[path = "insn/tiers.rs"]
mod tiers;

use case::Case;
use machine::Machine;
use std::collections::BTreeMap;
use std::path::PathBuf;

const FILES: [&str; 5] = ["base", "loadstore", "fp", "simd", "crypto"];

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/insn/aarch64", &format!("{name}.txt")].iter().collect()
}

/// The file that a word's case belongs in.
fn file_of(name: &str, word: u32) -> &'static str {
    match (word >> 25 & 15, word >> 24 & 0x5e) {
        (0b0111 | 0b1111, _)
            if ["AES", "SHA1", "SHA256", "PMULL (64"].iter().any(|p| name.starts_with(p)) =>
        {
            "crypto"
        }
        (0b0111 | 0b1111, 0x1e) => "fp",
        (0b0111 | 0b1111, _) => "simd",
        (op, _) if op & 5 == 4 => "loadstore",
        _ => "base",
    }
}

/// Compares on every case; the failures by name.
fn compare(
    lacking: u64,
    cases: impl Iterator<Item = (String, Case)>,
) -> (usize, BTreeMap<String, Vec<String>>) {
    let mut machine = Machine::new(lacking);
    let (mut count, mut failures) = (0, BTreeMap::<String, Vec<String>>::new());
    for (name, case) in cases {
        count += 1;
        for (tier, ours) in machine.run(&case) {
            if ours != case.after {
                let got = Case { after: ours, ..case.clone() };
                let line = format!("{case}\n     {tier:?} gave {}", got.changes());
                failures.entry(name.clone()).or_default().push(line);
            }
        }
    }
    (count, failures)
}

fn report(count: usize, failures: &BTreeMap<String, Vec<String>>) {
    for (name, lines) in failures {
        println!("{name}: {} wrong", lines.len());
        lines.iter().take(2).for_each(|line| println!("     {line}"));
    }
    println!("{count} instructions compared");
    assert!(failures.is_empty(), "{} encodings are wrong", failures.len());
}

#[test]
fn every_case_gives_the_expected_state() {
    if std::env::var_os("INSN_UPDATE").is_some() {
        update();
    }
    let mut cases = Vec::new();
    for name in FILES.into_iter().chain(["written"]) {
        let text = std::fs::read_to_string(file(name)).unwrap();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let case = Case::parse(line).unwrap_or_else(|| panic!("{name}.txt: {line}"));
            cases.push((line.split(" ; ").next().unwrap_or(line).to_owned(), case));
        }
    }
    assert!(cases.len() > 1000, "cases are missing");
    let (count, failures) = compare(0, cases.into_iter());
    report(count, &failures);
}

/// Writes the case files: some instructions of every encoding, as the oracle runs them.
fn update() {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (name, case) in oracle::run(&random::words(20_26, 3, "", true)) {
        let text = texts.entry(file_of(&name, case.word)).or_insert_with(|| {
            "# encoding ; word ; registers before (others 0, sp mid-data) -> what has changed\n".to_owned()
        });
        *text += &format!("{name} ; {case}\n");
    }
    for name in FILES {
        std::fs::write(file(name), &texts[name]).unwrap();
    }
}

/// `INSN_SEED`, `INSN_PER_ENCODING` and `INSN_ONLY` (a part of the name) widen or narrow it.
#[test]
fn random_instructions_agree_with_qemu() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let only = std::env::var("INSN_ONLY").unwrap_or_default();
    let words = random::words(number("INSN_SEED", 1), number("INSN_PER_ENCODING", 30) as usize, &only, false);
    let (count, failures) = compare(oracle::lacking(), oracle::run(&words).into_iter());
    report(count, &failures);
}
