//! Every example, as it stands in the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qemu_lua::rules::{CallEnd, Outcome, Rules, SyscallNames};

use crate::fake::{BASE, Directory, Guest};

const NAMES: &[(u64, &str)] = &[
    (0, "read"),
    (1, "write"),
    (2, "open"),
    (39, "getpid"),
    (41, "socket"),
    (63, "uname"),
    (102, "getuid"),
    (257, "openat"),
];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules_examples_v2")
}

fn open(path: &Path, directory: &Directory) -> Arc<Rules> {
    let mut options = directory.options();
    options.names = SyscallNames::new(NAMES, &[]);
    Rules::open(path, options).unwrap()
}

/// A guest under the examples in `set`, or under one of them with `edit` made to its text.
fn guest(set: &str, edit: Option<(&str, &str, &str)>) -> (Guest, Directory) {
    let directory = Directory::new();
    let mut path = examples().join(set);
    if let Some((script, from, to)) = edit {
        let text = fs::read_to_string(path.join(script)).unwrap();
        assert!(text.contains(from));
        directory.put(script, &text.replace(from, to));
        path = directory.path("");
    }
    let rules = open(&path, &directory);
    (Guest::new(&rules), directory)
}

fn call(guest: &mut Guest, number: u64, args: [u64; 4]) -> Outcome {
    guest.call(number, [args[0], args[1], args[2], args[3], 0, 0, 0, 0])
}

#[test]
fn write_logs_and_forwards() {
    let (mut guest, directory) = guest("", None);
    guest.host.memory[..3].copy_from_slice(b"hi\n");
    assert_eq!(call(&mut guest, 1, [1, BASE, 3, 0]), Outcome::Result(1001));
    assert_eq!(call(&mut guest, 1, [1, 0, 3, 0]), Outcome::Result(1001));
    let log = directory.log();
    assert!(log.starts_with("[Lua Log] Loaded\n[Lua Log] write(fd=1, count=3) = 1001: \"hi"), "{log}");
    assert!(log.contains("unreadable buffer (-14)"), "{log}");
}

#[test]
fn getpid_modifies_or_fakes() {
    assert_eq!(call(&mut guest("", None).0, 39, [0; 4]), Outcome::Result(1039));
    let (mut changed, _log) = guest("", Some(("getpid.lua", "offset = 0", "offset = 5")));
    assert_eq!(call(&mut changed, 39, [0; 4]), Outcome::Result(1044));
    let (mut fake, _log) = guest("", Some(("getpid.lua", "mode = \"modify\"", "mode = \"fake\"")));
    assert_eq!(call(&mut fake, 39, [0; 4]), Outcome::Result(12345));
    assert!(fake.host.calls.is_empty());
}

#[test]
fn open_and_openat_can_block_writes() {
    for (script, number, read, write) in [
        ("open.lua", 2, [BASE, 0, 0, 0], [BASE, 0x241, 0o644, 0]),
        ("openat.lua", 257, [0xffff_ff9c, BASE, 0, 0], [0xffff_ff9c, BASE, 0x241, 0]),
    ] {
        let (mut open, log) = guest("", None);
        open.host.memory[..5].copy_from_slice(b"/etc\0");
        assert_eq!(
            call(&mut open, number, write),
            Outcome::Result(1000 + number.cast_signed()),
            "{}",
            log.log()
        );
        assert!(log.log().contains("(\"/etc\", flags=0x241) = "), "{}", log.log());
        let (mut blocked, log) = guest("", Some((script, "block_writes = false", "block_writes = true")));
        blocked.host.memory[..5].copy_from_slice(b"/etc\0");
        assert_eq!(call(&mut blocked, number, write), Outcome::Result(-13), "{}", log.log());
        assert_eq!(call(&mut blocked, number, read), Outcome::Result(1000 + number.cast_signed()));
    }
}

#[test]
fn read_counts() {
    let (mut guest, directory) = guest("", None);
    for _ in 0..100 {
        assert_eq!(call(&mut guest, 0, [3, BASE, 8, 0]), Outcome::Result(1000));
    }
    assert!(directory.log().contains("read: 100 calls, 100000 bytes, 0 errors"), "{}", directory.log());
    assert!(directory.log().contains("read: fd 3: 100000 bytes"));
}

#[test]
fn socket_lets_local_sockets_pass() {
    let (mut guest, directory) = guest("", None);
    let passed = Outcome::Result(1041);
    let blocked = Outcome::Result(-13);
    for (domain, kind, expected) in [
        (1, 1, passed),
        (1, 0x8_0002, passed),
        (16, 3, passed),
        (2, 1, blocked),
        (2, 0x8_0801, blocked),
        (10, 2, blocked),
        (1, 0x8_0003, blocked),
        (17, 2, blocked),
    ] {
        assert_eq!(
            call(&mut guest, 41, [domain, kind, 0, 0]),
            expected,
            "{domain} {kind}: {}",
            directory.log()
        );
    }
}

#[test]
fn uname_is_changed_in_memory() {
    let (mut guest, directory) = guest("memory", None);
    guest.host.memory[..6].copy_from_slice(b"Linux\0");
    guest.host.memory[260..267].copy_from_slice(b"x86_64\0");
    assert_eq!(call(&mut guest, 63, [BASE, 0, 0, 0]), Outcome::Result(1063));
    assert_eq!(&guest.host.memory[65..78], b"ruled-by-lua\0");
    assert!(
        directory.log().contains("uname: Linux on x86_64 (rc 0, first word 0x756e694c)"),
        "{}",
        directory.log()
    );
}

#[test]
fn registers_are_shown_once_per_place() {
    let (mut guest, directory) = guest("registers", None);
    guest.host.state.set_pc(0x40_1000);
    for _ in 0..3 {
        assert_eq!(call(&mut guest, 102, [0; 4]), Outcome::Result(1102));
    }
    let lines = directory.log_lines();
    assert_eq!(
        lines,
        ["[Lua Log] getuid: pc=0x401000 sp=0", "[Lua Log] core: rax=0 rsp=0 rip=0x401000 eflags=0"]
    );
}

#[test]
fn faults_are_injected() {
    let (mut guest, directory) = guest("fault_injection", None);
    let results: Vec<_> = (0..5).map(|_| call(&mut guest, 0, [3, BASE, 8, 0])).collect();
    assert_eq!(results[4], Outcome::Result(-4));
    assert_eq!(guest.host.calls[3].1[2], 1, "shortened");
    guest.host.kernel = Box::new(|_, args| CallEnd::Returned(args[2].cast_signed()));
    assert_eq!(call(&mut guest, 1, [5, BASE, 1 << 20, 0]), Outcome::Result(1 << 20));
    assert_eq!(call(&mut guest, 1, [5, BASE, 1, 0]), Outcome::Result(-28));
    assert_eq!(call(&mut guest, 1, [1, BASE, 1, 0]), Outcome::Result(1));
    assert!(directory.log().contains("injected ENOSPC after 1048576 bytes"));
}

#[test]
fn latency_sleeps_on_the_guests_stack() {
    let (mut guest, directory) = guest("latency", None);
    guest.host.state.set_u64(::guest::state::ARCH_BASE.plus(8), BASE + 0x1000);
    guest.host.memory.fill(7);
    assert_eq!(call(&mut guest, 1, [1, BASE, 1, 0]), Outcome::Result(1001), "{}", directory.log());
    let (sleep, args) = guest.host.calls[0];
    assert_eq!((sleep, args[0], args[1]), (35, BASE + 0x1000 - 512, 0));
    assert!(guest.host.memory.iter().all(|&byte| byte == 7), "what was there is back");
}

#[test]
fn every_example_is_free_of_errors_at_start() {
    for set in ["", "memory", "registers", "fault_injection", "latency"] {
        let directory = Directory::new();
        let _rules = open(&examples().join(set), &directory);
        assert_eq!(directory.log(), "", "{set}");
    }
}
