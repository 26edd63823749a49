//! The benchmark's programs do under every tier what they do natively; here they do a part of their work.

use crate::harness::{Arch, guest_command, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench");

/// The programs.
fn names() -> Vec<String> {
    let files = std::fs::read_dir(SOURCES).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|path| path.extension().is_some_and(|end| end == "c"));
    let mut names: Vec<_> =
        sources.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The compiler's flags, which a comment at the top of the source says; `None` where it is not for this architecture.
fn flags(arch: &str, name: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("{SOURCES}/{name}.c")).unwrap();
    let line =
        |start: String| text.lines().find_map(|line| line.strip_prefix(start.as_str()).map(str::to_owned));
    let found = line(format!("// flags-{arch}: ")).or_else(|| line("// flags: ".to_owned()));
    let words: Vec<_> = found.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    (words != ["none"]).then_some(words)
}

/// The program, compiled into this test's own directory.
fn compiled(place: &Path, arch: Arch, name: &str) -> Option<PathBuf> {
    let (compiler, arch) = match arch {
        Arch::X86_64 => ("gcc", "x86_64"),
        Arch::Aarch64 => ("aarch64-linux-gnu-gcc", "aarch64"),
    };
    let flags = flags(arch, name)?;
    let out = place.join(format!("{name}-{arch}"));
    let status = Command::new(compiler)
        .args(["-O2", "-Wall", "-ffp-contract=off", "-static", "-pthread", "-DSHARE=100"])
        .args(flags)
        .arg("-o")
        .args([&out, &PathBuf::from(format!("{SOURCES}/{name}.c"))])
        .arg("-lm")
        .status()
        .unwrap();
    assert!(status.success(), "{name} does not compile for {arch}");
    Some(out)
}

/// Whether the host has the instructions that a program was compiled for.
fn host_runs(name: &str) -> bool {
    match name {
        "aes" => is_x86_feature_detected!("aes"),
        "sha" => is_x86_feature_detected!("sha"),
        "clmul" => is_x86_feature_detected!("pclmulqdq"),
        _ => !name.ends_with("_avx2") || is_x86_feature_detected!("avx2"),
    }
}

fn compare(arch: Arch) {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{arch:?}"));
    std::fs::create_dir_all(&place).unwrap();
    let mut compared = 0;
    for name in names().iter().filter(|name| host_runs(name)) {
        let (Some(native), Some(guest)) =
            (compiled(&place, Arch::X86_64, name), compiled(&place, arch, name))
        else {
            continue;
        };
        let expected = run(Command::new(&native), "");
        assert_eq!(expected.status, 0, "{name}: {expected:?}");
        for tier in ["interp", "template", "jit", "auto"] {
            let got = run(guest_command(arch, &["-tier", tier], guest.to_str().unwrap(), &[]), "");
            assert_eq!((got.status, &got.stdout), (0, &expected.stdout), "{name} {tier}: {}", got.stderr);
        }
        compared += 1;
    }
    assert!(compared >= 20, "{compared} programs");
}

on_both! {
    the_benchmark_prints_on_every_tier_what_it_prints_natively(arch) {
        compare(arch);
    }
}
