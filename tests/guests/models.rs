//! glibc chooses its functions by the CPU's features: whatever the model, a program prints the same.
//!
//! Mathematical functions are compared to the last bit, with what the same choice gives natively: glibc's own switches
//! turn features off there. AArch64's are compared with another emulator's.

use crate::harness::{Arch, Ended, compiled, guest_command, program_same_as_native, run};
use std::process::Command;

/// Makes glibc choose as it does on a processor without AVX.
const WITHOUT_AVX: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-FMA4";
const MODELS_WITHOUT_AVX: &[&str] = &["qemu64", "Nehalem", "x86-64-v1", "x86-64-v2"];

fn models(arch: Arch) -> Vec<String> {
    let mut command = Command::new(arch.emulator());
    command.args(["-cpu", "help"]);
    let help = run(command, "").stdout;
    let models = help.lines().skip(1).take_while(|line| !line.is_empty());
    models.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn guest(arch: Arch, options: &[&str], name: &str, args: &[&str]) -> Ended {
    run(guest_command(arch, options, &compiled(arch, name), args), "")
}

fn native(environment: &[&str], name: &str, args: &[&str]) -> Ended {
    let mut command = Command::new("/usr/bin/env");
    command.args(environment).arg(compiled(Arch::X86_64, name)).args(args);
    run(command, "")
}

fn by_qemu(name: &str, args: &[&str]) -> Ended {
    let mut command = Command::new("qemu-aarch64");
    command.arg(compiled(Arch::Aarch64, name)).args(args);
    run(command, "")
}

on_both! {
    strings_are_the_same_on_every_model(arch) {
        let expected = native(&[], "ifunc", &["strings"]);
        assert_eq!(expected.stdout.lines().count(), 8);
        for model in models(arch) {
            let got = guest(arch, &["-cpu", &model], "ifunc", &["strings"]);
            assert_eq!((got.status, &got.stdout), (0, &expected.stdout), "{model}: {}", got.stderr);
        }
    }
    maths_are_the_same_on_every_model(arch) {
        let (modern, old) = match arch {
            Arch::X86_64 => (native(&[], "ifunc", &["maths"]), native(&[WITHOUT_AVX], "ifunc", &["maths"])),
            Arch::Aarch64 => (by_qemu("ifunc", &["maths"]), by_qemu("ifunc", &["maths"])),
        };
        assert!(modern.stdout.lines().count() > 20);
        for model in models(arch) {
            let expected = if MODELS_WITHOUT_AVX.contains(&model.as_str()) { &old } else { &modern };
            let got = guest(arch, &["-cpu", &model], "ifunc", &["maths"]);
            assert_eq!((got.status, &got.stdout), (0, &expected.stdout), "{model}: {}", got.stderr);
        }
    }
}

const TIERS: &[&str] = &["interp", "template", "jit", "auto"];

#[test]
fn long_doubles_of_80_bits_print_the_same_digits() {
    for tier in TIERS {
        program_same_as_native(Arch::X86_64, tier, "longdouble", &[]);
    }
}

#[test]
fn long_doubles_of_128_bits_print_the_same_digits() {
    let expected = by_qemu("longdouble", &[]);
    for tier in TIERS {
        let got = guest(Arch::Aarch64, &["-tier", tier], "longdouble", &[]);
        assert_eq!((got.status, &got.stdout), (expected.status, &expected.stdout), "{tier}: {}", got.stderr);
    }
}

/// Words of every encoding of Arm's list that a program can execute by itself: no branches, waits and the like.
fn words() -> String {
    const STRAIGHT: &[&str] = &["control/hints", "control/pstate", "control/systeminstrswithreg"];
    // FMOV (vector, immediate) of half precision with `op` set is not allocated ("Advanced SIMD modified immediate");
    // QEMU has it.
    const WRONG_IN_QEMU: (u32, u32) = (0x3ff8_fc00, 0x2f00_fc00);
    let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as u32
    };
    let mut out = String::new();
    let list = include_str!("../../arch/aarch64/src/decode/arm_encodings.tsv").lines();
    for fields in list.filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>())
    {
        let straight = !fields[0].starts_with("control/") || STRAIGHT.contains(&fields[0]);
        if !straight || fields[1].starts_with("WF") {
            continue;
        }
        let (mask, value) = (hex(fields[2]), hex(fields[3]));
        let words = (0..8).map(|_| value | random() & !mask);
        for word in words.filter(|word| word & WRONG_IN_QEMU.0 != WRONG_IN_QEMU.1) {
            out += &format!("{word:08x}\n");
        }
    }
    out
}

#[test]
fn a_model_has_the_instructions_that_it_has_elsewhere() {
    let (words, program) = (words(), compiled(Arch::Aarch64, "available"));
    for model in ["cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1"] {
        let mut qemu = Command::new("qemu-aarch64");
        qemu.args(["-cpu", model, &program]);
        let expected = run(qemu, &words);
        let got = run(guest_command(Arch::Aarch64, &["-cpu", model], &program, &[]), &words);
        assert_eq!((expected.status, got.status), (0, 0), "{model}: {}", got.stderr);
        assert!(expected.stdout.lines().count() > 15_000);
        let pairs = expected.stdout.lines().zip(got.stdout.lines());
        let different: Vec<_> = pairs.filter(|(expected, got)| expected != got).collect();
        assert_eq!(different, [], "{model}: in QEMU and here");
    }
}
