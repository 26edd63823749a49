//! Single instructions: on the interpreter, as compiled code, and on the host CPU where it is the guest's.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used)]

#[path = "insn/bugs.rs"]
mod bugs;
#[path = "insn/case.rs"]
mod case;
#[path = "insn/compare.rs"]
mod compare;
#[path = "insn/forms.rs"]
mod forms;
#[path = "insn/fuzz.rs"]
mod fuzz;
#[path = "insn/generate.rs"]
mod generate;
#[allow(dead_code)] // shared with suites of programs
#[path = "guests/harness.rs"]
mod harness;
#[path = "x86_64/host.rs"]
mod host;
#[path = "insn/machine.rs"]
mod machine;
#[path = "insn/oracle.rs"]
mod oracle;
#[path = "insn/random.rs"]
mod random;
#[path = "insn/saved/mod.rs"]
mod saved;
#[path = "insn/saved/x86_64.rs"]
mod saved_x86_64;
#[path = "insn/text.rs"]
mod text;
#[path = "insn/tiers.rs"]
mod tiers;
#[path = "insn/values.rs"]
mod values;

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The tests share the fixed pages.
fn pages() -> MutexGuard<'static, ()> {
    static PAGES: Mutex<()> = Mutex::new(());
    static MAPPED: Once = Once::new();
    let guard = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    MAPPED.call_once(oracle::map_pages);
    guard
}

#[test]
fn written_cases_hold_on_all_tiers_and_the_host_cpu() {
    let _pages = pages();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/insn/x86_64");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let run = |path: &std::path::PathBuf| {
        text::run(&path.display().to_string(), &std::fs::read_to_string(path).unwrap())
    };
    let wrong: Vec<String> = files.iter().flat_map(run).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `INSN_SEED`, `INSN_PER_OPCODE` and `INSN_ONLY` (a mnemonic) widen or narrow it.
#[test]
fn random_instructions_agree_with_the_host_cpu() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let _pages = pages();
    let only = std::env::var("INSN_ONLY").ok();
    let per_opcode = number("INSN_PER_OPCODE", 60) as usize;
    let (count, failures) = random::compare(number("INSN_SEED", 1), per_opcode, only.as_deref());
    for (name, lines) in &failures {
        println!("{name}: {} failures", lines.len());
        for line in lines.iter().take(number("INSN_SHOW", 2) as usize) {
            println!("   {line}");
        }
    }
    println!("{count} instructions compared");
    assert!(failures.is_empty(), "{} mnemonics differ from the host CPU", failures.len());
}

/// What the environment asks for. `FUZZ_FILES` is separated by colons.
fn wanted() -> fuzz::Wanted {
    const FILES: &str = "/proc/self/exe:/lib/x86_64-linux-gnu/libc.so.6:/lib/x86_64-linux-gnu/libm.so.6:\
                         /usr/lib/x86_64-linux-gnu/libcrypto.so.3:/bin/bash";
    let number = |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let files = std::env::var("FUZZ_FILES").unwrap_or_else(|_| FILES.to_owned());
    fuzz::Wanted {
        seed: number("FUZZ_SEED", 1),
        seconds: number("FUZZ_SECONDS", 10),
        cases: ["FUZZ_SINGLES", "FUZZ_MUTATED", "FUZZ_SEQUENCES"].map(|name| number(name, u64::MAX)),
        per_form: number("FUZZ_PER_FORM", 0),
        files: files.split(':').map(str::to_owned).collect(),
        bug: None,
    }
}

/// What `scripts/fuzz-insn` runs.
#[test]
#[ignore = "runs as long as FUZZ_SECONDS says"]
fn fuzzed_instructions_agree_with_the_host_cpu() {
    let _pages = pages();
    let wrong = fuzz::run(&wanted());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `scripts/fuzz-insn x86_64 --bugs` runs.
#[test]
#[ignore = "takes a minute for each bug that it does not find"]
fn planted_bugs_are_found_within_a_minute() {
    let _pages = pages();
    let mut missed = Vec::new();
    for (what, bug) in bugs::BUGS {
        let begin = std::time::Instant::now();
        let wrong = fuzz::run(&fuzz::Wanted { seconds: 60, bug: Some(bug), ..wanted() });
        println!("{what}: found {} after {:.1} s", !wrong.is_empty(), begin.elapsed().as_secs_f32());
        if wrong.is_empty() {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// What `scripts/fuzz-insn x86_64 --saved` runs, in short.
#[test]
fn programs_with_saved_code_do_what_the_host_cpu_does() {
    with_programs(|guest, plan| saved::run(guest, plan));
}

/// What `scripts/fuzz-insn x86_64 --saved --bugs` runs.
#[test]
#[ignore = "takes minutes"]
fn programs_with_mistakes_are_told() {
    with_programs(|guest, plan| saved::planted::missed(guest, plan.seed, plan.sequences));
}

fn with_programs(f: impl FnOnce(&mut saved_x86_64::X86, &saved::Plan) -> Vec<String>) {
    let (_pages, mut wanted) = (pages(), wanted());
    // What is the same for each build, so that seeds are.
    wanted.files.retain(|file| !file.starts_with("/proc"));
    let mut guest = saved_x86_64::X86 { work: fuzz::Work::new(&wanted), machine: machine::Machine::new() };
    let wrong = f(&mut guest, &saved::Plan::from_environment());
    assert!(wrong.is_empty(), "{wrong:?}");
}
