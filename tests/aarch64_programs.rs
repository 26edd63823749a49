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
    let expected = "same\nfault, set up to the border: 1\nmended 2 times: 1\nmended 2 times: 1\n";
    check("memory", &[], expected);
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
    check("exceptions", &[], include_str!("aarch64/exceptions.txt"));
}

#[test]
fn later_signals_show_the_last_exception() {
    check("later", &[], include_str!("aarch64/later.txt"));
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
        torn: exclusive 0, pairs 0 0, words 0, stack 0 0, vectors 0 0\nin a page of code: 200\nread-only: 0 0\n";
    check("exclusives", &[], expected);
}

/// What the models have besides floating point and Advanced SIMD: as Linux shows the processors, without SVE.
#[test]
fn models_advertise_show_list_and_execute_the_same() {
    const V8_0: &str = "aes pmull sha1 sha2 crc32";
    const V8_2: &str = "aes pmull sha1 sha2 crc32 atomics asimdrdm asimddp dcpop lrcpc fphp asimdhp ssbs";
    let models = [
        ("cortex-a53", 0x410f_d034, V8_0),
        ("cortex-a57", 0x411f_d070, V8_0),
        ("cortex-a72", 0x410f_d083, V8_0),
        ("cortex-a76", 0x414f_d0b1, V8_2),
        ("neoverse-n1", 0x413f_d0c1, V8_2),
        (
            "neoverse-v1",
            0x411f_d400,
            "aes pmull sha1 sha2 sha512 crc32 atomics asimdrdm sha3 sm3 sm4 asimddp asimdfhm flagm rng dcpop dcpodp \
             paca pacg jscvt fcma lrcpc ilrcpc dgh bf16 i8mm fphp asimdhp dit ssbs uscat",
        ),
        ("max", 0xf_0000, EVERYTHING),
    ];
    for (model, midr, features) in models {
        check("models", &["-cpu", model], &format!("midr {midr:#x} 1: {features}\n"));
    }
}

const EVERYTHING: &str = "aes pmull sha1 sha2 sha512 crc32 atomics asimdrdm sha3 sm3 sm4 asimddp asimdfhm flagm flagm2 \
    rng dcpop dcpodp paca pacg jscvt fcma lrcpc ilrcpc dgh frint sb bf16 i8mm wfxt mops hbc cssc fphp asimdhp dit ssbs \
    uscat";

/// Without a feature everything else stays, and nothing of the feature itself does.
#[test]
fn single_features_can_be_taken_away() {
    let program = compiled_from(Arch::Aarch64, "tests/aarch64", "models");
    // The name for -cpu, and the words that go with it.
    let features = [
        ("aes", "aes pmull"),
        ("sha1", "sha1"),
        ("crc32", "crc32"),
        ("lse", "atomics"),
        ("rdm", "asimdrdm"),
        ("sha3", "sha3"),
        ("sm3", "sm3"),
        ("sm4", "sm4"),
        ("dotprod", "asimddp"),
        ("fhm", "asimdfhm"),
        ("flagm2", "flagm2"),
        ("rng", "rng"),
        ("dpb2", "dcpodp"),
        ("pauth", "paca pacg"),
        ("jscvt", "jscvt"),
        ("fcma", "fcma"),
        ("lrcpc2", "ilrcpc"),
        ("frintts", "frint"),
        ("sb", "sb"),
        ("bf16", "bf16"),
        ("i8mm", "i8mm"),
        ("wfxt", "wfxt"),
        ("mops", "mops"),
        ("hbc", "hbc"),
        ("cssc", "cssc"),
        ("dit", "dit"),
        ("ssbs", "ssbs"),
        ("lse2", "uscat"),
        ("sha512", "sha512"),
        // Others build on these.
        ("sha2", "sha2 sha512"),
        ("flagm", "flagm flagm2"),
        ("lrcpc", "lrcpc ilrcpc"),
        ("dpb", "dcpop dcpodp"),
        ("fp16", "fphp asimdhp asimdfhm"),
    ];
    for (feature, gone) in features {
        let model = format!("max,-{feature}");
        let ended = run(guest_command(Arch::Aarch64, &["-cpu", &model], &program, &[]), "");
        let left: Vec<&str> =
            EVERYTHING.split_whitespace().filter(|name| !gone.split(' ').any(|g| g == *name)).collect();
        assert_eq!(
            ended.stdout,
            format!("midr 0xf0000 1: {}\n", left.join(" ")),
            "{model}: {}",
            ended.stderr
        );
    }
}

#[test]
fn code_may_change_through_another_mapping_and_tags_may_be_everywhere() {
    let expected = "through another mapping: 1\ntagged: 999000\nfault: 1\nwithout a tag: 1\n";
    check("aliases", &[], expected);
}
