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
