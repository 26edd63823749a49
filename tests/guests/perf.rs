//! What perf is told of translated code: names of guest functions in the map and in the dump.

use crate::harness::{Arch, Ended, compiled_from, guest_command, start};
use std::path::PathBuf;

/// An empty directory of this test's.
fn directory(arch: Arch, name: &str) -> PathBuf {
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("perf-{name}-{arch:?}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).unwrap();
    place
}

/// Runs a program in a directory, with these options; its process's number, and how it ended.
fn run_in(place: &PathBuf, arch: Arch, options: &[&str], program: &str, args: &[&str]) -> (u32, Ended) {
    let mut command = guest_command(arch, options, program, args);
    let child = start(command.current_dir(place));
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap();
    (pid, Ended { status, stdout: text(output.stdout), stderr: text(output.stderr) })
}

/// A line of a map: start, size and name.
type Line = (u64, u64, String);

/// The lines of a process's map, which is removed.
fn map_of(pid: u32) -> Vec<Line> {
    let path = format!("/tmp/perf-{pid}.map");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let hex = |word: &str| u64::from_str_radix(word, 16).unwrap();
    let parse = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (start, size) = (hex(words.next().unwrap()), hex(words.next().unwrap()));
        (start, size, words.next().unwrap().to_owned())
    };
    text.lines().map(parse).collect()
}

fn names(lines: &[Line], name: &str) -> usize {
    lines.iter().filter(|(.., of)| of == name).count()
}

fn fib(arch: Arch) -> String {
    compiled_from(arch, "tests/bench", "fib")
}

on_both! {
    the_map_names_hot_functions(arch) {
        let place = directory(arch, "map");
        let (pid, ended) = run_in(&place, arch, &["-perfmap", "-cache", "off"], &fib(arch), &[]);
        assert_eq!((ended.status, ended.stdout.as_str()), (0, "39088169\n"), "{}", ended.stderr);
        let mut lines = map_of(pid);
        // From templates, and as the head of a region.
        assert!(names(&lines, "fib") >= 2, "{lines:?}");
        assert!(lines.iter().any(|(.., name)| name.starts_with("fib+0x")), "{lines:?}");
        lines.sort();
        for pair in lines.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "one lies in the other: {pair:?}");
        }
        std::fs::remove_dir_all(&place).unwrap();
    }
    the_map_names_code_of_earlier_runs(arch) {
        let place = directory(arch, "saved");
        let cache = place.join("cache");
        let options = ["-perfmap", "-cache", cache.to_str().unwrap()];
        let first = map_of(run_in(&place, arch, &options, &fib(arch), &[]).0);
        let (pid, ended) = run_in(&place, arch, &options, &fib(arch), &[]);
        assert_eq!((ended.status, ended.stdout.as_str()), (0, "39088169\n"), "{}", ended.stderr);
        let second = map_of(pid);
        assert!(second.iter().any(|line| line.2 == "fib" && first.contains(line)), "{first:?}\n{second:?}");
        std::fs::remove_dir_all(&place).unwrap();
    }
    a_forked_child_has_a_map_of_its_own(arch) {
        let place = directory(arch, "fork");
        let script = "(echo $BASHPID; for ((i = 0; i < 100; i++)); do :; done); true";
        let (pid, ended) = run_in(&place, arch, &["-perfmap", "-cache", "off"], "/bin/bash", &["-c", script]);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        let (parent, child) = (map_of(pid), map_of(ended.stdout.trim().parse().unwrap()));
        let shared = parent.iter().zip(&child).take_while(|(a, b)| a == b).count();
        assert!(shared > 100 && shared < child.len(), "{shared} of {} and {}", parent.len(), child.len());
        std::fs::remove_dir_all(&place).unwrap();
    }
    the_dump_has_names_and_code(arch) {
        let place = directory(arch, "dump");
        let (pid, ended) = run_in(&place, arch, &["-jitdump", "-perfmap", "-cache", "off"], &fib(arch), &[]);
        assert_eq!((ended.status, ended.stdout.as_str()), (0, "39088169\n"), "{}", ended.stderr);
        let lines = map_of(pid);
        let dump = std::fs::read(place.join(format!("jit-{pid}.dump"))).unwrap();
        assert_eq!(records(&dump, pid), lines);
        std::fs::remove_dir_all(&place).unwrap();
    }
}

/// The pieces of code in a dump; everything in it must be as the format says.
fn records(dump: &[u8], pid: u32) -> Vec<Line> {
    let word = |at: usize| u32::from_le_bytes(dump[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(dump[at..at + 8].try_into().unwrap());
    // "JiTD", version 1, a header of 40 bytes, for x86-64.
    assert_eq!([0, 4, 8, 12, 20].map(word), [0x4a69_5444, 1, 40, 62, pid]);
    let (mut at, mut found, mut time) = (40, Vec::new(), long(24));
    while at < dump.len() {
        let (kind, size) = (word(at), word(at + 4) as usize);
        assert!(kind == 0 && long(at + 8) >= time, "a record of kind {kind} at {at}");
        time = long(at + 8);
        let [start, address, len, number] = [24, 32, 40, 48].map(|offset| long(at + offset));
        assert_eq!((word(at + 16), start, number), (pid, address, found.len() as u64));
        let name = dump[at + 56..].split(|&byte| byte == 0).next().unwrap();
        assert_eq!(size, 56 + name.len() + 1 + len as usize);
        found.push((start, len, String::from_utf8(name.to_vec()).unwrap()));
        at += size;
    }
    found
}
