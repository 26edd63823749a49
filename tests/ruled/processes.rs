//! Rules with threads, processes, signals and execve.

use crate::fixture::{Ruled, Session, compiled};
use crate::harness::{self, Arch};
use std::process::Command;

const FORWARD: &str = "function do_syscall(...) return c_do_syscall(...) end";

/// The names of the calls that these programs make, each with a rule that forwards it.
const FORWARDED: &[&str] = &[
    "read",
    "write",
    "openat",
    "close",
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigsuspend",
    "ioctl",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "execve",
    "exit",
    "exit_group",
    "wait4",
    "futex",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "getpid",
    "gettid",
    "tgkill",
    "kill",
    "pipe",
    "pipe2",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "fstat",
    "newfstatat",
    "arch_prctl",
    "prlimit64",
    "getrandom",
    "epoll_wait",
    "epoll_pwait",
    "nanosleep",
    "clock_nanosleep",
    "setitimer",
    "sigaltstack",
    "mremap",
    "getdents64",
    "readlinkat",
    "faccessat",
    "pselect6",
    "ppoll",
    "poll",
    "lseek",
    "uname",
    "getuid",
    "sysinfo",
    "statx",
    "madvise",
];

fn forwarding(arch: Arch) -> Ruled {
    let ruled = Ruled::new(arch, &[]);
    FORWARDED.iter().for_each(|name| ruled.put(&format!("{name}.lua"), FORWARD));
    ruled
}

/// A program of the plain suite is not disturbed by rules that forward everything.
fn forwards(arch: Arch, name: &str) {
    let native = harness::run(std::process::Command::new(harness::compiled(Arch::X86_64, name)), "");
    let ruled = forwarding(arch);
    let ended = ruled.run(&harness::compiled(arch, name), &[]);
    assert_eq!(
        (ended.status, ended.stdout),
        (native.status, native.stdout),
        "{}\n{}",
        ended.stderr,
        ruled.log()
    );
    assert_eq!(ruled.log(), "");
}

fn native(program: &str, args: &[&str]) -> harness::Ended {
    let mut command = std::process::Command::new(program);
    command.args(args);
    harness::run(command, "")
}

on_both! {
    threads_under_forwarding_rules(arch) { forwards(arch, "threads") }
    no_ring_goes_past_the_rules(arch) {
        let ended = forwarding(arch).run(&harness::compiled(arch, "uring"), &[]);
        assert_eq!(ended.stdout, "no io_uring: Function not implemented\n");
        assert!(ended.stderr.contains("io_uring is not available"), "{}", ended.stderr);
    }
    signals_under_forwarding_rules(arch) { forwards(arch, "signals") }
    processes_under_forwarding_rules(arch) { forwards(arch, "process") }
    spawn_under_forwarding_rules(arch) { forwards(arch, "spawn") }
    a_shell_under_forwarding_rules(arch) {
        let ruled = forwarding(arch);
        let script = "trap 'echo bye' EXIT; echo a | cat | tr a b; x=$(echo sub); echo $x; (exit 7); echo $?; sleep 0 & wait; echo done";
        let ended = ruled.run("/bin/bash", &["-c", script]);
        assert_eq!((ended.status, ended.stdout.as_str()), (0, "b\nsub\n7\ndone\nbye\n"), "{}\n{}", ended.stderr, ruled.log());
        assert_eq!(ruled.log(), "");
    }
    each_thread_has_its_own_state(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "local n = 0 function do_syscall() n = n + 1 return n end c_log('Loaded')")]);
        assert_eq!(ruled.steps(&["threads"]), "thread 100\n".repeat(4), "{}", ruled.log());
        assert_eq!(ruled.log(), "[Lua Log] Loaded\n".repeat(4));
    }
    a_forked_child_has_a_copy_of_the_state(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "local n = 0 function do_syscall() n = n + 1 return n end")]);
        assert_eq!(ruled.steps(&["getpid", "fork", "getpid"]), "getpid 1\nchild 2\nwaited 3\ngetpid 2\n", "{}", ruled.log());
    }
    a_fork_from_a_rule_returns_twice(arch) {
        let log = "function do_syscall(...) local r = c_do_syscall(...) c_log(r == 0 and 'child' or 'parent') return r end";
        let ruled = Ruled::new(arch, &[("clone.lua", log), ("fork.lua", log)]);
        assert_eq!(ruled.steps(&["fork"]).lines().filter(|l| l.starts_with("waited 3")).count(), 1);
        let mut lines = ruled.log_lines();
        lines.sort();
        assert_eq!(lines, ["[Lua Log] child", "[Lua Log] parent"]);
    }
    with_shared_memory_only_the_parent_returns(arch) {
        let log = "local n = 0 function do_syscall(...) local r = c_do_syscall(...) c_log('returned ' .. tostring(r > 0)) return r end";
        let ruled = Ruled::new(arch, &[("clone.lua", log), ("vfork.lua", log), ("clone3.lua", log)]);
        assert_eq!(ruled.steps(&["vfork"]), "vforked 54\n", "{}", ruled.log());
        assert_eq!(ruled.log(), "[Lua Log] returned true\n");
        let said = ruled.steps(&["spawn"]);
        assert!(said.starts_with("spawn missing 2\nspawn 0\ngetpid ") && said.ends_with("spawned 0\n"), "{said}");
        assert_eq!(ruled.log_lines().len(), 3, "{}", ruled.log());
        ruled.steps(&["threads"]);
        assert_eq!(ruled.log_lines().len(), 7, "{}", ruled.log());
    }
    rules_stay_across_execve_and_cd(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "function do_syscall() return 55 end")]);
        assert_eq!(ruled.steps(&["cd /", "exec"]), "cd 0\ngetpid 55\n");
        // A relative path is that of the start.
        let program = compiled(arch, "step");
        let mut command = harness::guest_command(arch, &["--rules", "rules"], &program, &["cd /", "exec"]);
        command.current_dir(ruled.beside(""));
        let ended = harness::run(command, "");
        assert_eq!(ended.stdout, "cd 0\ngetpid 55\n", "{ended:?}");
        let ended = ruled.run("/bin/bash", &["-c", &format!("cd /; {program} getpid; exec {program} getpid")]);
        assert_eq!(ended.stdout, "getpid 55\ngetpid 55\n", "{ended:?}");
    }
    a_forwarding_read_is_interrupted_and_restarted(arch) {
        let script = "local n = 0 function do_syscall(num, fd, ...) if fd > 2 then n = n + 1 c_log('read ' .. n) end
            local r = c_do_syscall(num, fd, ...) if fd > 2 then c_log('gives ' .. r) end return r end";
        let ruled = Ruled::new(arch, &[("read.lua", script)]);
        assert_eq!(ruled.steps(&["interrupt 0"]), "read -4\nhits 1\n");
        assert_eq!(ruled.log(), "[Lua Log] read 1\n[Lua Log] gives -4\n");
        std::fs::remove_file(ruled.beside("log")).unwrap();
        assert_eq!(ruled.steps(&["interrupt 1"]), "read 1\nhits 2\n");
        let log = ruled.log();
        assert!(log.starts_with("[Lua Log] read 1\n[Lua Log] gives -4\n[Lua Log] read 2\n") && log.ends_with("gives 1\n"), "{log}");
    }
    a_rule_may_turn_an_interruption_into_something_else(arch) {
        let script = "function do_syscall(num, fd, ...) local r = c_do_syscall(num, fd, ...) if r == -4 then return -5 end return r end";
        let ruled = Ruled::new(arch, &[("read.lua", script)]);
        assert_eq!(ruled.steps(&["interrupt 1"]), "read -5\nhits 1\n");
    }
    unshare_works_as_natively(arch) {
        let native = native("unshare", &["-r", "true"]);
        let ruled = Ruled::new(arch, &[("getuid.lua", FORWARD), ("write.lua", FORWARD)]);
        let ended = ruled.run("/usr/bin/unshare", &["-r", "true"]);
        assert_eq!(ended.status, native.status, "{}\n{}", ended.stderr, ruled.log());
        // Also when the watcher has long been running.
        let mut session = Session::start(ruled.command("/bin/bash", &["-c", "read x; exec unshare -r true"]));
        session.send("go");
        assert_eq!(session.ended(), native.status);
    }
    signals_and_descriptors_are_those_of_the_native_run(arch) {
        // A watcher, a log, and a file and a pipe that a rule keeps open.
        let script = "local file, pipe = io.open('/dev/null', 'w'), io.popen('cat > /dev/null', 'w')
            function do_syscall(...) file:write('x') return c_do_syscall(...) end";
        let ruled = Ruled::new(arch, &[("newfstatat.lua", script), ("openat.lua", script)]);
        let look = "grep '^Sig[PBIC]' /proc/self/status; cd /proc/self/fd; echo *; for n in 0 1 2 3; do [ -e $n ] && echo $n; done; true";
        for before in ["", "trap '' PIPE;", "trap '' PIPE USR1; trap - USR1;", "exec 0<&-;", "exec 7</dev/null;", "exec 0<&- 5</dev/null 900</dev/null;"] {
            let start = format!("{before} exec \"$@\"");
            let under_bash = |command: Command| {
                let mut bash = Command::new("/bin/bash");
                bash.args(["-c", &start, "bash"]).arg(command.get_program()).args(command.get_args());
                harness::run(bash, "")
            };
            let mut native = Command::new("/bin/bash");
            native.args(["-c", look]);
            let expected = under_bash(native);
            let got = under_bash(ruled.command("/bin/bash", &["-c", look]));
            assert_eq!((got.status, got.stdout), (expected.status, expected.stdout), "{before}: {}", got.stderr);
        }
    }
    commands_of_rules_do_not_disturb_the_guest(arch) {
        let script = "function do_syscall() local f = io.popen('echo from the shell; exit 3') local s = f:read('a')
            local _, how, code = f:close() assert(s == 'from the shell\\n' and how == 'exit' and code == 3)
            assert(select(3, os.execute('exit 4')) == 4) return 66 end";
        let ruled = Ruled::new(arch, &[("getpid.lua", script)]);
        assert_eq!(ruled.steps(&["watch-children", "getpid", "children"]), "getpid 66\nwait 1\nsigchld 0\n", "{}", ruled.log());
    }
}
