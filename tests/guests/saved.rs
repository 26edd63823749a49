//! Code saved for the next run: whatever a file of it holds, programs do the same.

use crate::harness::{Arch, Ended, compiled, guest_command, run, start};
use crate::share_of;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory of a test's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new(arch: Arch, name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("saved-{name}-{arch:?}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    /// The one file that there must be.
    fn file(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program does with saved code in `directory`, and how many blocks of it were in use at its end.
fn with(arch: Arch, directory: &str, program: &str, args: &[&str]) -> (Ended, u32) {
    let mut ended = run(guest_command(arch, &["-cache", directory, "-d", "stats"], program, args), "");
    let used = |line: &str| line.split("stats: ").nth(1)?.strip_suffix(" blocks of saved code")?.parse().ok();
    let used = ended.stderr.lines().rev().find_map(used).unwrap_or(0);
    ended.stderr = ended.stderr.lines().filter(|line| !line.contains("stats: ")).collect();
    (ended, used)
}

/// Runs without, cold and warm: all must end alike. The blocks that the last run used.
fn alike(arch: Arch, scratch: &Scratch, program: &str, args: &[&str]) -> u32 {
    let expected = run(guest_command(arch, &["-cache", "off"], program, args), "");
    for round in 0..3 {
        let (got, used) = with(arch, scratch.text(), program, args);
        assert_eq!((got.status, &got.stdout), (expected.status, &expected.stdout), "{round}: {}", got.stderr);
        assert!(round == 0 || used > 0, "nothing of {:?} was used", scratch.files());
    }
    with(arch, scratch.text(), program, args).1
}

const SCRIPT: &str = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); done; echo $i; ls -d /proc; (exit 3); echo $?; \
    for w in a b c; do echo $w | tr a-z A-Z; done; exec sort /dev/null";

on_both! {
    a_shell_and_what_it_executes(arch) {
        let scratch = Scratch::new(arch, "shell");
        assert!(alike(arch, &scratch, "/bin/dash", &["-c", SCRIPT]) > 200);
        // dash, ls, tr and sort.
        assert_eq!(scratch.files().len(), 4);
    }
    regions_of_an_earlier_run_are_made_anew_where_this_one_goes_other_ways(arch) {
        let program = compiled(arch, "phases");
        for kind in ["pointer", "way"] {
            let scratch = Scratch::new(arch, kind);
            let regions = |rounds: &str, phase: &str| {
                let options = ["-cache", scratch.text(), "-d", "stats"];
                let ended = run(guest_command(arch, &options, &program, &[kind, rounds, phase, phase]), "");
                assert_eq!(ended.status, 0, "{}", ended.stderr);
                share_of("in regions", &ended.stderr)
            };
            let rounds = ["4000000", "16000000", "64000000"];
            for phase in ["0", "1", "2"] {
                let ends_there = rounds.into_iter().any(|rounds| regions(rounds, phase) > 90.0);
                assert!(ends_there, "{kind} {phase}");
            }
        }
    }
    what_each_run_does_anew_is_saved_in_the_end(arch) {
        let scratch = Scratch::new(arch, "anew");
        let blocks = |script: &str| with(arch, scratch.text(), "/bin/dash", &["-c", script]).1;
        blocks(":");
        // A few blocks more than that, again and again: by itself, no run of them is worth the writing.
        let more = "case x in [a-w]*) ;; x) : $((1 + 2)) ;; esac";
        let first = blocks(more);
        let most = (0..60).map(|_| blocks(more)).max().unwrap_or(0);
        assert!(most > first, "{first} blocks of saved code, and never more");
    }
    what_earlier_runs_have_made_hot_waits(arch) {
        // Otherwise each run would lift it, and note in the file what that has cost.
        let scratch = Scratch::new(arch, "lukewarm");
        let program = compiled(arch, "lukewarm");
        let written = || {
            with(arch, scratch.text(), &program, &[]);
            std::fs::read(scratch.file()).unwrap()
        };
        let first = written();
        assert!((0..3).all(|_| written() == first));
    }
    faults_in_saved_code(arch) {
        let scratch = Scratch::new(arch, "fault");
        alike(arch, &scratch, &compiled(arch, "fault"), &[]);
    }
    code_that_changes_itself(arch) {
        let scratch = Scratch::new(arch, "smc");
        alike(arch, &scratch, &compiled(arch, "smc"), &[]);
    }
    functions_that_are_replaced(arch) {
        let scratch = Scratch::new(arch, "patched");
        let native = run(Command::new(compiled(Arch::X86_64, "patched")), "");
        let program = compiled(arch, "patched");
        assert!(alike(arch, &scratch, &program, &[]) > 500);
        assert_eq!(with(arch, scratch.text(), &program, &[]).0.stdout, native.stdout);
    }
    jumps_that_lead_forward(arch) {
        let scratch = Scratch::new(arch, "forward");
        let (program, native) = (compiled(arch, "forward"), compiled(Arch::X86_64, "forward"));
        for changes in [&[][..], &[], &["6", "7", "8"], &["9", "5"]] {
            let mut command = Command::new(&native);
            command.args(changes);
            let expected = run(command, "");
            let (got, _) = with(arch, scratch.text(), &program, changes);
            assert_eq!((got.status, got.stdout), (0, expected.stdout), "{changes:?}: {}", got.stderr);
        }
    }
    hot_code_of_several_files(arch) {
        let scratch = Scratch::new(arch, "units");
        let (program, native) = (compiled(arch, "units"), compiled(Arch::X86_64, "units"));
        for how in ["kept", "kept", "replaced", "kept", "opened", "replaced"] {
            let mut command = Command::new(&native);
            command.arg(how);
            let expected = run(command, "");
            let (got, _) = with(arch, scratch.text(), &program, &[how]);
            assert_eq!((got.status, got.stdout), (0, expected.stdout), "{how}: {}", got.stderr);
        }
    }
    hot_loops(arch) {
        let scratch = Scratch::new(arch, "hot");
        alike(arch, &scratch, &compiled(arch, "sieve"), &[]);
    }
    threads_with_saved_code(arch) {
        let scratch = Scratch::new(arch, "threads");
        alike(arch, &scratch, &compiled(arch, "threads"), &[]);
    }
    another_model_has_another_file(arch) {
        let scratch = Scratch::new(arch, "models");
        let program = compiled(arch, "ifunc");
        let model = if arch == Arch::X86_64 { "qemu64" } else { "cortex-a53" };
        let mut outputs = Vec::new();
        for _ in 0..2 {
            for options in [&["-cache", scratch.text()][..], &["-cache", scratch.text(), "-cpu", model]] {
                let got = run(guest_command(arch, options, &program, &["strings"]), "");
                assert_eq!(got.status, 0, "{}", got.stderr);
                outputs.push(got.stdout);
            }
        }
        assert_eq!(scratch.files().len(), 2);
        assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
    }
    a_guest_does_not_see_the_files(arch) {
        let scratch = Scratch::new(arch, "hidden");
        alike(arch, &scratch, "/bin/ls", &["/proc/self/fd"]);
    }
    damaged_files_are_not_used(arch) {
        let scratch = Scratch::new(arch, "damage");
        let program = compiled(arch, "sieve");
        let (expected, _) = with(arch, scratch.text(), &program, &[]);
        let (again, all) = with(arch, scratch.text(), &program, &[]);
        assert_eq!(again, expected);
        let file = scratch.file();
        let good = std::fs::read(&file).unwrap();
        let damages = (0..24).map(|n| n * (good.len() - 1) / 24);
        let mut unused = 0;
        for at in damages {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, &bytes).unwrap();
            let (got, used) = with(arch, scratch.text(), &program, &[]);
            assert_eq!((got.status, &got.stdout), (0, &expected.stdout), "byte {at}: {}", got.stderr);
            unused += u32::from(used < all);
            std::fs::write(&file, &good).unwrap();
        }
        assert!(unused >= 20, "{unused}");
        for len in [0, 100, 4096, good.len() - 1] {
            std::fs::write(&file, &good[..len]).unwrap();
            let (got, used) = with(arch, scratch.text(), &program, &[]);
            assert_eq!((got.status, &got.stdout, used), (0, &expected.stdout, 0), "{len}: {}", got.stderr);
        }
    }
    others_cannot_write_it(arch) {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new(arch, "modes");
        let program = compiled(arch, "sieve");
        let (expected, _) = with(arch, scratch.text(), &program, &[]);
        assert!(with(arch, scratch.text(), &program, &[]).1 > 0);
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(&scratch.file(), 0o660);
        assert_eq!(with(arch, scratch.text(), &program, &[]), (expected, 0));
        set(&scratch.0, 0o777);
        let (refused, _) = with(arch, scratch.text(), &program, &[]);
        assert_eq!(refused.status, 1);
        assert!(refused.stderr.contains("others may write it"), "{}", refused.stderr);
        set(&scratch.0, 0o700);
    }
    many_start_at_once(arch) {
        let scratch = Scratch::new(arch, "many");
        let program = compiled(arch, "sieve");
        let expected = run(guest_command(arch, &["-cache", "off"], &program, &[]), "");
        let all: Vec<_> = (0..12)
            .map(|_| start(&mut guest_command(arch, &["-cache", scratch.text(), "-d", "stats"], &program, &[])))
            .collect();
        for child in all {
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected.stdout);
        }
        scratch.file();
        assert!(with(arch, scratch.text(), &program, &[]).1 > 0);
    }
    without_a_place_nothing_is_said(arch) {
        let guest = guest_command(arch, &[], &compiled(arch, "sieve"), &[]);
        for home in ["HOME=/nonexistent", "HOME=/proc/self", "XDG_CACHE_HOME=/dev/null", "HOME="] {
            let mut command = Command::new("/usr/bin/env");
            command.arg(home).arg(guest.get_program()).args(guest.get_args());
            let ended = run(command, "");
            assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{home}");
        }
    }
    the_default_place_is_below_home(arch) {
        let scratch = Scratch::new(arch, "home");
        let guest = guest_command(arch, &[], &compiled(arch, "sieve"), &[]);
        for (variable, place) in [("HOME", ".cache/qemu-lua"), ("XDG_CACHE_HOME", "qemu-lua")] {
            let mut command = Command::new("/usr/bin/env");
            command.arg(format!("{variable}={}", scratch.text()));
            command.arg(guest.get_program()).args(guest.get_args());
            assert_eq!(run(command, "").status, 0);
            assert_eq!(std::fs::read_dir(scratch.0.join(place)).unwrap().count(), 1, "{variable}");
        }
    }
}

/// A library is replaced by another of the same name, size and time.
#[test]
fn a_library_that_was_replaced() {
    let scratch = Scratch::new(Arch::X86_64, "library");
    let inside = |name: &str| scratch.0.join(name).to_str().unwrap().to_owned();
    let gcc = |args: &[&str]| assert!(Command::new("gcc").args(args).status().unwrap().success());
    let (main, one, two) = (inside("main.c"), inside("one.c"), inside("two.c"));
    let function = "int f(int x) { for (int i = 0; i < 9; i++) x = x * 3 + STEP; return x; }";
    std::fs::write(&one, function.replace("STEP", "1")).unwrap();
    std::fs::write(&two, function.replace("STEP", "2")).unwrap();
    std::fs::write(
        &main,
        "#include <stdio.h>\nint f(int); int main() { int s = 0; for (int i = 0; i < 99; i++) s ^= f(i); printf(\"%d\\n\", s); }",
    )
    .unwrap();
    let (library, program, cache) = (inside("libf.so"), inside("main"), inside("cache"));
    gcc(&["-O1", "-shared", "-fPIC", "-o", &library, &one]);
    gcc(&["-o", &program, &main, &library]);
    let written = std::fs::metadata(&library).unwrap();
    let outputs = || {
        let native = run(Command::new(&program), "");
        let (got, used) = with(Arch::X86_64, &cache, &program, &[]);
        assert_eq!((got.status, &got.stdout), (0, &native.stdout), "{}", got.stderr);
        (native.stdout, used)
    };
    let (first, _) = outputs();
    assert!(outputs().1 > 0);
    gcc(&["-O1", "-shared", "-fPIC", "-o", &inside("new.so"), &two]);
    std::fs::copy(inside("new.so"), &library).unwrap();
    let file = std::fs::File::options().write(true).open(&library).unwrap();
    file.set_modified(written.modified().unwrap()).unwrap();
    assert_eq!(std::fs::metadata(&library).unwrap().len(), written.len());
    for _ in 0..2 {
        let (second, used) = outputs();
        assert_ne!(first, second);
        assert!(used > 0);
    }
}
