//! What each command-line option, and its environment variable, does to the guest.

use crate::harness::{Arch, Ended, compiled, compiled_with, guest_command, run};
use std::path::Path;
use std::process::Command;

/// A guest's output under these options and variables; it must end well.
fn said(arch: Arch, options: &[&str], variables: &[(&str, &str)], program: &str, args: &[&str]) -> String {
    let ended = ended(arch, options, variables, program, args);
    assert_eq!(ended.status, 0, "{ended:?}");
    ended.stdout
}

fn ended(arch: Arch, options: &[&str], variables: &[(&str, &str)], program: &str, args: &[&str]) -> Ended {
    let mut command = Command::new("/usr/bin/env");
    let guest = guest_command(arch, options, program, args);
    // The harness clears the environment, so the variables are set behind it.
    command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
    command.arg(guest.get_program()).args(guest.get_args());
    run(command, "")
}

/// The option and the variable do the same.
fn either(arch: Arch, option: (&str, &str), variable: &str, program: &str, args: &[&str], expected: &str) {
    assert_eq!(said(arch, &[option.0, option.1], &[], program, args), expected, "{option:?}");
    assert_eq!(said(arch, &[], &[(variable, option.1)], program, args), expected, "{variable}");
}

/// The one line that a command line is refused with.
fn refused(options: &[&str], variables: &[(&str, &str)]) -> String {
    let ended = ended(Arch::X86_64, options, variables, "/bin/true", &[]);
    assert_eq!((ended.status, ended.stderr.lines().count()), (1, 1), "{ended:?}");
    ended.stderr
}

/// End addresses of the guest's mappings.
fn mapping_ends(maps: &str) -> Vec<u64> {
    let end = |line: &str| u64::from_str_radix(line.split([' ', '-']).nth(1).unwrap(), 16).unwrap();
    maps.lines().map(end).collect()
}

/// Whether `text` is the pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let at = if index + 1 == parts.len() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Lines of `traced.c`, as strace writes them (its version 6.1); those of one architecture start with its name.
const TRACED: &str = include_str!("traced.txt");

on_both! {
    the_release_that_uname_reports(arch) {
        either(arch, ("-r", "9.8.7"), "QEMU_UNAME", "/bin/uname", &["-r"], "9.8.7\n");
    }
    the_programs_name(arch) {
        let args = ["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline | cut -c1-8"];
        either(arch, ("-0", "/x/busybox"), "QEMU_ARGV0", "/bin/busybox", &args, "/x/busyb\n");
    }
    variables_set_and_unset(arch) {
        let script = "echo $A-$B-$LC_ALL; bash -c 'echo $A-$B-$LC_ALL'";
        let args = ["-c", script];
        either(arch, ("-E", "A=1,B=x y"), "QEMU_SET_ENV", "/bin/bash", &args, "1-x y-C\n1-x y-C\n");
        either(arch, ("-U", "LC_ALL,TZ"), "QEMU_UNSET_ENV", "/bin/bash", &args, "--\n--\n");
        let options = ["-E", "A=1", "--E", "A=2", "-E", "B=3", "-U", "LC_ALL"];
        assert_eq!(said(arch, &options, &[], "/bin/bash", &args), "2-3-\n2-3-\n");
        // The last change of a variable counts.
        let options = ["-E", "A=1,B=1", "-U", "A", "-U", "B", "-E", "B=2"];
        assert_eq!(said(arch, &options, &[], "/bin/bash", &args), "-2-C\n-2-C\n");
    }
    the_stack_limit(arch) {
        let script = "ulimit -s; grep -c . /dev/null; bash -c 'ulimit -s; ulimit -s 512; bash -c \"ulimit -s\"'";
        let expected = "1024\n0\n1024\n512\n";
        either(arch, ("-s", "1M"), "QEMU_STACK_SIZE", "/bin/bash", &["-c", script], expected);
        let maps = said(arch, &["-s", "0x100000"], &[], "/bin/cat", &["/proc/self/maps"]);
        let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        assert!(stack.starts_with("7fffffeff000-7ffffffff000 "), "{stack}");
    }
    random_numbers_from_a_seed(arch) {
        let script = "import os, random; print(os.urandom(6).hex(), random.random(), hash('x'))";
        let seeded = |seed| said(arch, &["-seed", seed], &[], "/usr/bin/python3", &["-c", script]);
        let (one, again, two) = (seeded("5"), seeded("5"), seeded("6"));
        assert!(one == again && one != two, "{one}{again}{two}");
        assert_eq!(said(arch, &[], &[("QEMU_RAND_SEED", "5")], "/usr/bin/python3", &["-c", script]), one);
    }
    addresses_below_a_limit(arch) {
        for (options, variables) in
            [(&["-R", "0x40000000"][..], &[][..]), (&[], &[("QEMU_RESERVED_VA", "1G")])]
        {
            let maps = said(arch, options, variables, "/bin/cat", &["/proc/self/maps"]);
            assert!(maps.contains("[stack]") && maps.contains("[heap]"), "{maps}");
            assert!(mapping_ends(&maps).iter().all(|&end| end <= 1 << 30), "{maps}");
        }
        let script = "x = bytearray(1 << 20)\ntry: bytearray(2 << 30)\nexcept MemoryError: print('full')";
        assert_eq!(said(arch, &["-R", "1G"], &[], "/usr/bin/python3", &["-c", script]), "full\n");
    }
    address_spaces_end_where_they_should(arch) {
        let native = run(Command::new(compiled(Arch::X86_64, "ceiling")), "");
        assert!(native.status == 0 && native.stdout.lines().count() == 15, "{native:?}");
        for (options, top) in [(&[][..], "7ffffffff000"), (&["-R", "4T"], "40000000000"), (&["-R", "512G"], "8000000000")] {
            assert_eq!(said(arch, options, &[], &compiled(arch, "ceiling"), &[top]), native.stdout, "{top}");
        }
    }
    rings_of_io_uring_below_a_limit(arch) {
        let native = run(Command::new(compiled(Arch::X86_64, "uring")), "");
        for limit in ["4T", "2G"] {
            assert_eq!(said(arch, &["-R", limit], &[], &compiled(arch, "uring"), &[]), native.stdout, "{limit}");
        }
    }
    one_instruction_at_a_time(arch) {
        for (options, variables) in [
            (&["-one-insn-per-tb", "-d", "in_asm"][..], &[][..]),
            (&["-singlestep", "-d", "in_asm"], &[]),
            (&["-d", "in_asm"], &[("QEMU_ONE_INSN_PER_TB", "1")]),
        ] {
            let log = ended(arch, options, variables, "/bin/busybox", &["true"]).stderr;
            let blocks: Vec<&str> = log.split("----------------\n").skip(1).collect();
            assert!(blocks.len() > 100 && blocks.iter().all(|block| block.lines().count() == 2), "{log}");
        }
    }
    logs_of_some_addresses(arch) {
        let log = |options: &[&str]| {
            let options = [&["-d", "in_asm"], options].concat();
            ended(arch, &options, &[], "/bin/busybox", &["true"]).stderr
        };
        let starts = |log: &str| -> Vec<u64> {
            let blocks = log.split("IN:\n").skip(1);
            blocks.map(|b| u64::from_str_radix(&b[2..b.find(':').unwrap()], 16).unwrap()).collect()
        };
        let all = starts(&log(&[]));
        let (from, to) = (all[0] & !0xfff, (all[0] & !0xfff) + 0xfff);
        let inside = all.iter().filter(|&&pc| (from..=to).contains(&pc)).count();
        assert!(inside > 0 && inside < all.len());
        for filter in [format!("{from:#x}..{to:#x}"), format!("{from:#x}+1000"), format!("{to:#x}-fff")] {
            let filtered = starts(&log(&["-dfilter", &filter]));
            assert!(filtered.len() == inside && filtered.iter().all(|pc| (from..=to).contains(pc)), "{filter}");
        }
    }
    traces_read_as_straces_do(arch) {
        let log = ended(arch, &["-strace"], &[], &compiled(arch, "traced"), &[]).stderr;
        let mut rest = log.as_str();
        let own = |line: &'static str| match line.strip_prefix("x86_64: ") {
            Some(line) => (arch == Arch::X86_64).then_some(line),
            None => Some(line),
        };
        for line in TRACED.lines().filter_map(own) {
            // Lines come in this order; `*` stands for what differs from run to run.
            let found = rest.lines().position(|got| matches(line, got.split_once(' ').map_or("", |(_, text)| text)));
            let found = found.unwrap_or_else(|| panic!("no line {line}\nin {log}"));
            rest = rest.splitn(found + 2, '\n').last().unwrap();
        }
        // A child and its parent write when they come to it.
        assert!(log.contains(" exit_group(3) = ?\n") && log.contains(" +++ exited with 3 +++\n"), "{log}");
    }
    what_becomes_of_executed_programs(arch) {
        let script = "busybox uname -m; sh -c 'exit 7'; echo $?";
        let shell = |how: &str| ended(arch, &["-exec", how], &[], "/bin/busybox", &["sh", "-c", &format!("PATH=/bin:/usr/bin; exec 2>&1; /bin/uname -m; {script}")]);
        let machine = if arch == Arch::X86_64 { "x86_64" } else { "aarch64" };
        assert!(shell("follow").stdout.starts_with(&format!("{machine}\n")), "{:?}", shell("follow"));
        let denied = shell("deny");
        assert!(denied.stdout.contains("ermission denied") && !denied.stdout.contains(machine), "{denied:?}");
        // The host's programs run natively; the others have nobody but the emulator.
        let native = ended(arch, &["-exec", "native", "-strace"], &[], "/bin/busybox", &["sh", "-c", "/bin/busybox true; echo $?"]);
        assert_eq!(native.stdout, "0\n");
        assert_eq!(native.stderr.matches("exit_group").count(), if arch == Arch::X86_64 { 1 } else { 2 }, "{}", native.stderr);
        let unknown = ended(arch, &["-exec", "perhaps"], &[], "/bin/busybox", &["true"]);
        assert!(unknown.status != 0 && unknown.stderr.contains("none of follow, native, deny"), "{unknown:?}");
    }
    logs_into_a_file(arch) {
        let place = |name: &str| format!("{}/option-{arch:?}-{name}-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        let file = place("log");
        let expected = said(arch, &["-strace", "-D", &file], &[], "/bin/busybox", &["echo", "said"]);
        let log = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(expected, "said\n");
        assert!(log.contains("write(1, \"said\\n\", 5) = 5\n") && log.contains("exit_group(0) = ?\n"), "{log}");
        let pattern = place("pid-%d");
        let said = ended(arch, &[], &[("QEMU_STRACE", ""), ("QEMU_LOG_FILENAME", &pattern)], "/bin/busybox", &["true"]);
        assert_eq!((said.status, said.stderr.as_str()), (0, ""));
        let prefix = Path::new(&pattern).file_name().unwrap().to_str().unwrap().split("%d").next().unwrap().to_owned();
        let found: Vec<_> = std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten()
            .filter(|entry| entry.file_name().to_str().unwrap().starts_with(&prefix)).collect();
        assert_eq!(found.len(), 1);
        assert!(std::fs::read_to_string(found[0].path()).unwrap().contains("exit_group"));
        std::fs::remove_file(found[0].path()).unwrap();
    }
}

/// Its run-time library knows address spaces of 39, 42 and 48 bits.
#[test]
fn thread_sanitizer_of_aarch64_finds_a_race() {
    let flags = ["-g", "-O1", "-w", "-pthread", "-fsanitize=thread", "-static-libtsan"];
    let program = compiled_with(Arch::Aarch64, "scripts/suites/programs", "race", &flags);
    let ran = |what| ended(Arch::Aarch64, &["-R", "4T"], &[], &program, &[what]);
    let (clean, racing) = (ran("clean"), ran("race"));
    assert_eq!((clean.status, clean.stderr.as_str()), (0, ""), "{clean:?}");
    assert_eq!(racing.status, 66, "{racing:?}");
    assert!(racing.stderr.contains("WARNING: ThreadSanitizer: data race"), "{racing:?}");
    assert_eq!(clean.stdout, racing.stdout);
}

#[test]
fn what_cannot_be_had_is_refused_with_a_reason() {
    for (options, variables, words) in [
        (&["-B", "0x1000"][..], &[][..], "-B: only 0 is supported: guest addresses are host addresses"),
        (&[], &[("QEMU_GUEST_BASE", "0x1000")], "-B: only 0"),
        (&["-p", "8192"], &[], "-p: only the host's page size, 4096, is supported"),
        (&[], &[("QEMU_PAGESIZE", "65536")], "-p: only"),
        (&["-p", "x"], &[], "-p: x is not a number"),
        (&["-s", "big"], &[], "-s: big is not a number"),
        (&["-R", "?"], &[], "-R: ? is not a number"),
        (&["-seed", "s"], &[], "-seed: s is not a number"),
        (&["-dfilter", "1..z"], &[], "cannot read address range 1..z"),
        (&["-d", "frob"], &[], "unknown log item frob"),
        (&["-D", "/nonexistent/x"], &[], "cannot write log file /nonexistent/x: No such file"),
        (&["-E", "A"], &[], "-E: A is not VAR=VALUE"),
        (&["-cpu", "z80"], &[], "unknown CPU model z80"),
        (&[], &[("QEMU_CPU", "max,+frob")], "unknown CPU feature frob"),
        (&["-tier", "x"], &[], "unknown tier x"),
        (&["-g", "1"], &[], "option -g is not supported yet"),
        (&["-plugin", "x"], &[], "option -plugin is not supported yet"),
        (&["-trace", "x"], &[], "option -trace is not supported yet"),
        (&[], &[("QEMU_PLUGIN", "x")], "asks for option -plugin, which is not supported yet"),
        (&["-d", "trace:x"], &[], "-d trace:x is not supported yet"),
        (&["-frob"], &[], "unknown option -frob"),
        (&["--rules", "/nonexistent"], &[], "/nonexistent"),
    ] {
        let line = refused(options, variables);
        assert!(line.contains(words), "{options:?} {variables:?}: {line}");
    }
    assert_eq!(
        said(
            Arch::X86_64,
            &["-B", "0", "-p", "4096", "-t", "34 40 2", "-tb-size", "32"],
            &[],
            "/bin/echo",
            &["accepted"]
        ),
        "accepted\n"
    );
}

#[test]
fn questions_are_answered_without_a_program() {
    for (option, words) in [
        ("-h", "usage: qemu-lua-x86_64"),
        ("--help", "QEMU_LD_PREFIX"),
        ("-version", "qemu-lua-x86_64 version "),
        ("--version", "version"),
    ] {
        let mut command = Command::new(Arch::X86_64.emulator());
        command.arg(option);
        let ended = run(command, "");
        assert!(ended.status == 0 && ended.stdout.contains(words), "{ended:?}");
    }
    for (options, words) in [(["-cpu", "help"], "max"), (["-d", "help"], "in_asm")] {
        let mut command = Command::new(Arch::Aarch64.emulator());
        command.args(options);
        let ended = run(command, "");
        assert!(ended.status == 0 && ended.stdout.contains(words), "{ended:?}");
    }
}
