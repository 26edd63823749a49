//! Programs that use what only x86-64 has, on every tier: they must print what they print natively.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // shared with the other suites
#[path = "guests/harness.rs"]
mod harness;
#[path = "x86_64/host.rs"]
mod host;

use harness::{Arch, compiled_from, guest_command, run};
use std::process::Command;

fn same_as_native(name: &str, args: &[&str]) {
    let program = compiled_from(Arch::X86_64, "tests/x86_64", name);
    let mut native = Command::new(&program);
    native.args(args);
    let expected = run(native, "");
    for tier in ["interp", "template", "jit", "auto"] {
        let got = run(guest_command(Arch::X86_64, &["-tier", tier], &program, args), "");
        assert_eq!((got.status, &got.stdout), (expected.status, &expected.stdout), "{tier}: {}", got.stderr);
    }
}

/// The host processor's, as CPUID says.
fn manufacturer() -> String {
    let leaf = std::arch::x86_64::__cpuid(0);
    let bytes = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether programs shall run INT1, too.
fn int1() -> &'static str {
    if host::int1_is_a_trap() {
        return "int1";
    }
    println!("this host's INT1 is no trap, and left out");
    "no int1"
}

#[test]
fn the_trap_flag_steps_through_single_instructions() {
    same_as_native("trapflag", &[]);
}

#[test]
fn selectors_are_those_of_a_64_bit_program() {
    same_as_native("segments", &[]);
}

#[test]
fn faults_become_the_signals_that_the_kernel_makes_of_them() {
    same_as_native("faults", &[&manufacturer(), int1()]);
}

#[test]
fn later_signals_show_the_last_exception() {
    same_as_native("later", &[]);
}

#[test]
fn x87_results_and_environments_are_the_processors() {
    same_as_native("x87", &[]);
}

#[test]
fn extended_state_is_saved_and_restored_as_the_processor_does() {
    if !is_x86_feature_detected!("xsavec") {
        println!("the host has no XSAVEC");
        return;
    }
    same_as_native("xstate", &[]);
}

#[test]
fn single_steps_meet_traps_faults_and_repeats_as_on_the_processor() {
    same_as_native("steps", &[&manufacturer(), int1()]);
}

#[test]
fn accesses_are_checked_for_alignment_where_a_program_asks_for_it() {
    same_as_native("alignment", &[]);
}

const EVERYTHING: &str = "cx16 lahf-lm popcnt sse3 ssse3 sse4.1 sse4.2 movbe rdtscp fsgsbase erms 3dnowprefetch xsave avx \
    avx2 fma f16c bmi1 bmi2 lzcnt adx aes pclmulqdq sha-ni gfni vaes vpclmulqdq avx-vnni rdrand rdseed rdpid xsaveopt \
    xsavec xgetbv1 clflushopt clwb fsrm";

/// Without a feature everything else stays but for what rests on it, and nothing of the feature itself does.
#[test]
fn single_features_can_be_taken_away() {
    const REST_ON_AVX: &str = "avx avx2 fma f16c vaes vpclmulqdq avx-vnni";
    let rest_on_xsave = format!("xsave xsaveopt xsavec xgetbv1 {REST_ON_AVX}");
    let program = compiled_from(Arch::X86_64, "tests/x86_64", "models");
    let on = |model: &str| run(guest_command(Arch::X86_64, &["-cpu", model], &program, &[]), "");
    for feature in EVERYTHING.split_whitespace() {
        let gone = match feature {
            "avx" => REST_ON_AVX,
            "xsave" => &rest_on_xsave,
            alone => alone,
        };
        let model = format!("max,-{feature}");
        let ended = on(&model);
        let stays = |name: &&str| !gone.split(' ').any(|g| g == *name);
        let left: String =
            EVERYTHING.split_whitespace().filter(stays).map(|name| format!(" {name}")).collect();
        assert_eq!(ended.stdout, left + "\n", "{model}: {}", ended.stderr);
    }
    let everything: String = EVERYTHING.split_whitespace().map(|name| format!(" {name}")).collect();
    assert_eq!(on("max").stdout, everything + "\n");
}
