//! Programs that use what only newer AArch64 processors have, on every tier.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // shared with the other suites
#[path = "guests/harness.rs"]
mod harness;

use harness::{Arch, compiled_from, guest_command, run};

fn check(name: &str, options: &[&str], expected: &str) {
    let program = compiled_from(Arch::Aarch64, "tests/aarch64", name);
    for tier in ["interp", "template", "jit", "auto"] {
        let options: Vec<&str> = options.iter().copied().chain(["-tier", tier]).collect();
        let ended = run(guest_command(Arch::Aarch64, &options, &program, &[]), "");
        assert_eq!((ended.status, ended.stdout.as_str()), (0, expected), "{tier}: {}", ended.stderr);
    }
}

#[test]
fn memory_copy_and_set_do_what_the_c_library_does() {
    check("memory", &[], "same\nfault, set up to the border: 1\n");
}

const POINTERS: &str =
    "signed 1, authenticated 1, stripped 1\nnew keys 0\ndiffer 1, unknown keys -1\nforged: ";

#[test]
fn signed_pointers_are_authenticated() {
    check("pointers", &[], &format!("advertised 1\n{POINTERS}signal 4, code 2\n"));
    check("pointers", &["-cpu", "neoverse-v1"], &format!("advertised 1\n{POINTERS}a bad address\n"));
}

#[test]
fn a_model_without_pointer_authentication_ignores_its_hints() {
    let expected = "advertised 0\nsigned 0, authenticated 1, stripped 1\nnew keys -1\n\
        differ 0, unknown keys -1\nforged: a bad address\n";
    check("pointers", &["-cpu", "cortex-a72"], expected);
}

/// The signal (4), its code (1, ILL_ILLOPC), whether it names the place (1), and BTYPE; 0 where the landing is
/// reached. By BLR, by BR x16, by BR x2, by BR x2 from a guarded page; to NOP, BTI, BTI c, BTI j, BTI jc, PACIASP.
const REACHED: &str = "4112 4112 0 4112 0 0\n4111 4111 0 0 0 0\n4111 4111 0 0 0 0\n4113 4113 4113 0 0 4113\n";

#[test]
fn branches_into_guarded_pages_must_land() {
    let expected = format!("advertised 1 1\nguarded 0\n{REACHED}handled 10\nunguarded 0 0\n");
    check("landings", &[], &expected);
    let nothing = "0 0 0 0 0 0\n".repeat(4);
    let expected = format!("advertised 0 0\nguarded -22\n{nothing}handled 10\nunguarded 0 0\n");
    check("landings", &["-cpu", "neoverse-n1"], &expected);
}

/// By the kernel's sources: arch/arm64/kernel/traps.c, arch/arm64/mm/fault.c.
#[test]
fn signals_say_what_the_kernel_says() {
    check("signals", &[], include_str!("aarch64/signals.txt"));
}

/// By Documentation/arch/arm64/tagged-pointers.rst and tagged-address-abi.rst.
#[test]
fn tags_are_ignored_by_accesses_and_minded_by_the_kernel() {
    check("tags", &[], include_str!("aarch64/tags.txt"));
}

#[test]
fn exclusive_pairs_fail_when_they_must_and_only_then() {
    let expected = "pair: 5 0, again 1, value 6\nclrex: 1\nother address: 1\ntag: 0\n\
        signal: 1, one that takes it 1, one that stores 1\nanother thread: 1, value 99\nsum: 0\n\
        torn: exclusive 0, pairs 0 0, vectors 0 0\nin a page of code: 200\nread-only: 0 0\n";
    check("exclusives", &[], expected);
}
