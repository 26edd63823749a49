//! Every script of `rules_examples_v2`, as it stands in the tree, with a real guest.

use std::path::Path;

use crate::fixture::{Ruled, compiled};
use crate::harness::Arch;

/// A copy of the set of examples in `directory`, with `edit` made to one of them.
fn set(arch: Arch, directory: &str, edit: Option<(&str, &str, &str)>) -> Ruled {
    let ruled = Ruled::new(arch, &[]);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules_examples_v2").join(directory);
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".lua") {
            ruled.put(&name, &std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    if let Some((name, from, to)) = edit {
        let text = std::fs::read_to_string(ruled.script(name)).unwrap();
        assert!(text.contains(from));
        ruled.put(name, &text.replace(from, to));
    }
    ruled
}

on_both! {
    write_and_getpid(arch) {
        let ruled = set(arch, "", None);
        let said = ruled.steps(&["echo hello", "getpid"]);
        let log = ruled.log();
        let pid = said.lines().nth(1).unwrap().trim_start_matches("getpid ").to_owned();
        assert!(log.starts_with("[Lua Log] Loaded\n[Lua Log] write(fd=1, count=5) = 5: \"hello\"\n"), "{log}");
        assert!(log.contains(&format!("getpid: real {pid}, the guest sees {pid}")), "{log}");
        let ruled = set(arch, "", Some(("getpid.lua", "mode = \"modify\"", "mode = \"fake\"")));
        assert!(ruled.steps(&["getpid"]).contains("getpid 12345\n"));
        assert!(ruled.log().contains("getpid: fake 12345"));
    }
    open_and_openat(arch) {
        let ruled = set(arch, "", None);
        let out = ruled.beside("out").display().to_string();
        let ended = ruled.run("/bin/bash", &["-c", &format!("echo x > {out}; cat {out}")]);
        assert_eq!(ended.stdout, "x\n", "{ended:?}");
        let (opened, log) = (format!("openat(\"{out}\", flags=0x241) = "), ruled.log());
        let result = log.split(&opened).nth(1).and_then(|rest| rest.lines().next());
        assert!(result.is_some_and(|fd| fd.parse::<u32>().is_ok()), "{log}");
        let ruled = set(arch, "", Some(("openat.lua", "block_writes = false", "block_writes = true")));
        let ended = ruled.run("/bin/bash", &["-c", &format!("echo x > {out}; cat < /dev/null; echo $?")]);
        assert_eq!(ended.stdout, "0\n");
        assert!(ended.stderr.contains("Permission denied") && ruled.log().contains("for writing: refused"), "{ended:?}");
    }
    open_by_its_old_name(arch) {
        if arch == Arch::Aarch64 {
            return; // has no such call
        }
        let ruled = set(arch, "", Some(("open.lua", "block_writes = false", "block_writes = true")));
        let ended = ruled.run(&compiled(arch, "calls"), &["open", "/dev/null"]);
        assert_eq!(ended.stdout, "reading 1\nwriting -13\n", "{ended:?}");
        assert!(ruled.log().contains("open(\"/dev/null\") for writing: refused"), "{}", ruled.log());
    }
    read_counts(arch) {
        let ruled = set(arch, "", None);
        let ended = ruled.run(&compiled(arch, "calls"), &["read", "/dev/zero"]);
        assert_eq!(ended.stdout, "read 800\n", "{ended:?}");
        assert!(ruled.log().contains("read: 100 calls, ") && ruled.log().contains(" bytes"), "{}", ruled.log());
    }
    sockets(arch) {
        let ruled = set(arch, "", None);
        let ended = ruled.run(&compiled(arch, "calls"), &["socket"]);
        assert_eq!(ended.stdout, "unix 1\ninet -13\ninet6 -13\nraw -13\n", "{ended:?}");
        assert!(ruled.log().contains("socket: AF_INET is blocked"), "{}", ruled.log());
    }
    memory(arch) {
        let ruled = set(arch, "memory", None);
        let ended = ruled.run("/bin/uname", &["-n", "-m"]);
        let machine = if arch == Arch::X86_64 { "x86_64" } else { "aarch64" };
        assert_eq!(ended.stdout, format!("ruled-by-lua {machine}\n"), "{ended:?}");
        assert!(ruled.log().contains(&format!("uname: Linux on {machine} (rc 0, first word 0x756e694c)")), "{}", ruled.log());
    }
    registers(arch) {
        let ruled = set(arch, "registers", None);
        assert_eq!(ruled.run("/usr/bin/id", &["-ru"]).status, 0);
        let register = if arch == Arch::X86_64 { "i386.core: rax=" } else { "aarch64.core: x0=" };
        assert!(ruled.log().contains(register) && ruled.log().contains("getuid: pc=0x"), "{}", ruled.log());
    }
    fault_injection(arch) {
        let ruled = set(arch, "fault_injection", None);
        let out = ruled.beside("out").display().to_string();
        let ended = ruled.run(&compiled(arch, "calls"), &["faults", &out]);
        assert_eq!(ended.stdout, "8 8 8 1 -4 \nwrote 1048576\nthen -28\n", "{ended:?} {}", ruled.log());
        assert!(ruled.log().contains("injected ENOSPC after 1048576 bytes"), "{}", ruled.log());
    }
    latency(arch) {
        let ruled = set(arch, "latency", Some(("write.lua", "DELAY_MS = 2", "DELAY_MS = 60")));
        let start = std::time::Instant::now();
        assert_eq!(ruled.steps(&["echo slow"]), "slow\n", "{}", ruled.log());
        assert!(start.elapsed() >= std::time::Duration::from_millis(120), "two writes, 60 ms each");
        assert_eq!(set(arch, "latency", None).steps(&["echo slow"]), "slow\n");
    }
}
