//! Single AArch64 instructions on every tier.
//!
//! The case files give the state before and after, one instruction a line; what they expect came from
//! qemu-aarch64. `INSN_UPDATE=1` writes them anew (read the difference then). The random comparison runs
//! `qemu-aarch64` and a cross compiler, which scripts/test installs.
#![allow(clippy::unwrap_used)]

#[path = "insn/aarch64/bugs.rs"]
mod bugs;
#[path = "insn/aarch64/case.rs"]
mod case;
#[path = "insn/aarch64/fuzz.rs"]
mod fuzz;
#[allow(dead_code)] // shared with suites of programs
#[path = "guests/harness.rs"]
mod harness;
#[path = "insn/aarch64/machine.rs"]
mod machine;
#[path = "insn/aarch64/oracle.rs"]
mod oracle;
#[path = "insn/aarch64/random.rs"]
mod random;
#[path = "insn/saved/mod.rs"]
mod saved;
#[path = "insn/aarch64/saved.rs"]
mod saved_aarch64;
#[path = "insn/tiers.rs"]
mod tiers;

use case::Case;
use machine::Machine;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// The tests share the data's pages and the cache.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compares on every case; the failures by name.
fn compare(
    lacking: u64,
    cases: impl Iterator<Item = (String, Case)>,
) -> (usize, BTreeMap<String, Vec<String>>) {
    let mut machine = Machine::new(lacking);
    let (mut count, mut failures) = (0, BTreeMap::<String, Vec<String>>::new());
    for (name, mut case) in cases {
        count += 1;
        let group = case.group();
        if !group.touches_memory {
            case.after.memory = 0;
        }
        for (tier, mut ours) in machine.run(&group) {
            let ours = ours.remove(0);
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
    let _alone = alone();
    if std::env::var_os("INSN_UPDATE").is_some() {
        update();
    }
    let cases: Vec<_> = FILES.into_iter().chain(["written"]).flat_map(cases_of).collect();
    assert!(cases.len() > 1000, "cases are missing");
    let (count, failures) = compare(0, cases.into_iter());
    report(count, &failures);
}

fn cases_of(name: &str) -> Vec<(String, Case)> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    let case = |line: &str| {
        let case = Case::parse(line).unwrap_or_else(|| panic!("{name}.txt: {line}"));
        (line.split(" ; ").next().unwrap_or(line).to_owned(), case)
    };
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(case).collect()
}

/// Writes the case files: some instructions of every encoding, as the oracle runs them.
fn update() {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (name, mut case) in oracle::run(&random::words(20_26, 3, "", true)) {
        if !case.group().touches_memory {
            case.after.memory = case.before.memory;
        }
        let text = texts.entry(file_of(&name, case.words[0])).or_insert_with(|| {
            "# encoding ; word ; registers before (others 0, sp mid-data) -> what has changed\n".to_owned()
        });
        *text += &format!("{name} ; {case}\n");
    }
    for name in FILES {
        std::fs::write(file(name), &texts[name]).unwrap();
    }
}

/// What `scripts/fuzz-insn` runs: `FUZZ_SEED`, `FUZZ_SECONDS`, `FUZZ_ENOUGH` (runs), `FUZZ_ONLY` (a part of the
/// encodings' names), `FUZZ_COUNTS` (print them for every encoding).
fn plan() -> fuzz::Plan {
    let number = |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    fuzz::Plan {
        seed: number("FUZZ_SEED", 1),
        time: Duration::from_secs(number("FUZZ_SECONDS", 10)),
        enough: number("FUZZ_ENOUGH", u64::MAX),
        only: std::env::var("FUZZ_ONLY").unwrap_or_default(),
        bug: None,
        stop: false,
    }
}

#[test]
fn random_code_agrees_with_qemu() {
    let _alone = alone();
    let report = fuzz::run(&plan());
    report.print();
    assert_eq!(report.mismatches, 0, "mismatches, printed above");
}

/// What `scripts/fuzz-insn aarch64 --bugs` runs.
#[test]
#[ignore = "takes a minute for each bug that it does not find"]
fn planted_bugs_are_found_within_a_minute() {
    let _alone = alone();
    let mut missed = Vec::new();
    for (what, bug) in bugs::BUGS {
        let begin = Instant::now();
        let plan = fuzz::Plan { time: Duration::from_secs(60), bug: Some(bug), stop: true, ..plan() };
        let report = fuzz::run(&plan);
        println!("{what}: {} after {:.1} s", report.mismatches, begin.elapsed().as_secs_f32());
        if report.mismatches == 0 {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// What `scripts/fuzz-insn aarch64 --saved` runs, in short.
#[test]
fn programs_with_saved_code_do_what_they_do_in_qemu() {
    with_programs(saved::run);
}

/// What `scripts/fuzz-insn aarch64 --saved --bugs` runs.
#[test]
#[ignore = "takes minutes"]
fn programs_with_mistakes_are_told() {
    with_programs(|guest, plan| saved::planted::missed(guest, plan.seed, plan.sequences));
}

fn with_programs(f: impl FnOnce(&mut saved_aarch64::A64, &saved::Plan) -> Vec<String>) {
    let (_alone, plan) = (alone(), saved::Plan::from_environment());
    let wrong = f(&mut saved_aarch64::A64::default(), &plan);
    assert!(wrong.is_empty(), "{wrong:?}");
}
