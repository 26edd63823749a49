//! Rules that fail: the guest goes on, the log says why once, and no call is made twice.

use crate::fixture::Ruled;
use crate::harness::Arch;

/// Runs `echo once` under a rule for write; the guest's output and the log's lines.
fn echo(arch: Arch, script: &str) -> (String, Vec<String>) {
    let ruled = Ruled::new(arch, &[("write.lua", script)]);
    let said = ruled.steps(&["echo once"]);
    (said, ruled.log_lines())
}

/// The write happens once, and one line tells of the failure.
fn happens_once(arch: Arch, script: &str, message: &str) {
    let (said, log) = echo(arch, script);
    assert_eq!(said, "once\n", "{script}");
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("[Lua Error] write.lua") && log[0].contains(message), "{log:?}");
}

on_both! {
    syntax_error_at_start(arch) {
        happens_once(arch, "function do_syscall( return 1 end", "write.lua:1:");
    }
    no_function(arch) {
        happens_once(arch, "local x = 1", "defines no do_syscall");
        happens_once(arch, "do_syscall = 5", "not a function");
    }
    error_at_the_top_level(arch) {
        happens_once(arch, "error('top') function do_syscall() end", "write.lua:1: top");
    }
    error_before_the_call(arch) {
        happens_once(arch, "function do_syscall() local t = nil return t.x end", "attempt to index");
        let gettid = if arch == Arch::X86_64 { 186 } else { 178 };
        happens_once(arch, &format!("function do_syscall() c_do_syscall({gettid}) error('another call') end"), "another call");
    }
    error_after_the_call(arch) {
        happens_once(arch, "function do_syscall(...) c_do_syscall(...) error('late') end", "write.lua:1: late | stack traceback:");
    }
    results_that_are_no_integers(arch) {
        for result in ["nil", "'5'", "1.5", "{}", "true", "2^70"] {
            happens_once(arch, &format!("function do_syscall() return {result} end"), "do_syscall returned");
        }
        happens_once(arch, "function do_syscall(...) c_do_syscall(...) return 'done' end", "do_syscall returned");
    }
    runaway_memory(arch) {
        happens_once(arch, "function do_syscall() local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end end", "not enough memory");
    }
    runaway_recursion(arch) {
        happens_once(arch, "function do_syscall() local function f() return 1 + f() end return f() end", "stack overflow");
    }
    an_error_handler_cannot_make_the_call_twice(arch) {
        let (said, log) = echo(arch, "function do_syscall(...) local r = c_do_syscall(...) pcall(error, 'mine') return r end");
        assert_eq!((said.as_str(), log.len()), ("once\n", 0));
    }
    a_float_with_an_integer_value(arch) {
        let (said, log) = echo(arch, "function do_syscall(...) return c_do_syscall(...) + 0.0 end");
        assert_eq!((said.as_str(), log.len()), ("once\n", 0));
    }
    a_failure_is_told_once(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "local n = 0 function do_syscall() n = n + 1 error('bad ' .. n) end")]);
        ruled.steps(&["getpid", "getpid", "getpid", "threads"]);
        assert_eq!(ruled.log_lines().len(), 1, "{}", ruled.log());
    }
    syntax_error_by_edit(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "function do_syscall() return 5 end")]).with(&["--rules-reload", "stat"]);
        let mut session = ruled.session();
        assert_eq!(session.ask("getpid"), "getpid 5");
        ruled.put("getpid.lua", "function do_syscall( oops");
        assert_eq!(session.ask("getpid"), "getpid 5");
        assert_eq!(session.ask("getpid"), "getpid 5");
        assert_eq!(ruled.log_lines().len(), 1, "{}", ruled.log());
        ruled.put("getpid.lua", "function do_syscall() return 6 end");
        assert_eq!(session.ask("getpid"), "getpid 6");
    }
    exit_group_from_a_rule(arch) {
        let number = if arch == Arch::X86_64 { 231 } else { 94 };
        let ruled = Ruled::new(arch, &[("getpid.lua", &format!("function do_syscall() pcall(c_do_syscall, {number}, 9) c_log('alive') end"))]);
        let ended = ruled.run(&crate::fixture::compiled(arch, "step"), &["echo before", "getpid", "echo after"]);
        assert_eq!((ended.status, ended.stdout.as_str(), ruled.log().as_str()), (9, "before\n", ""));
    }
    execve_from_a_rule(arch) {
        let number = if arch == Arch::X86_64 { 59 } else { 221 };
        // The guest's own argument strings: "getsid" runs the same program with no arguments.
        let script = format!("function do_syscall(num, page)
            c_write_guest_bytes(page, {:?} .. '\\0')
            c_write_guest_u64(page + 2048, page) c_write_guest_u64(page + 2056, 0)
            c_do_syscall({number}, page, page + 2048, page + 2056) c_log('alive') return 1 end",
            crate::fixture::compiled(arch, "registers"));
        let ruled = Ruled::new(arch, &[("getsid.lua", &script), ("getpid.lua", "function do_syscall() return 1 end")]);
        let ended = ruled.run(&crate::fixture::compiled(arch, "step"), &["echo before", "getsid", "echo after"]);
        assert!(ended.status == 0 && ended.stdout.starts_with("before\nresult "), "{ended:?} {}", ruled.log());
        let failing = script.replace("registers-", "no-such-program-");
        let ruled = Ruled::new(arch, &[("getsid.lua", &failing)]);
        assert_eq!(ruled.steps(&["getsid"]), "getsid 1\n");
        assert_eq!(ruled.log(), "[Lua Log] alive\n");
    }
    rt_sigreturn_under_and_from_rules(arch) {
        let number = if arch == Arch::X86_64 { 15 } else { 139 };
        // The guest's own return from its handler is forwarded, which replaces all registers.
        let forward = "function do_syscall(...) c_log('returning') local r = c_do_syscall(...) c_log('never') return r end";
        let ruled = Ruled::new(arch, &[("rt_sigreturn.lua", forward)]);
        let said = ruled.steps(&["handle 10", "raise 10", "hits"]);
        assert!(said.starts_with("handling 10\nhandled ") && said.ends_with("hits 1\n"), "{said}");
        assert_eq!(ruled.log(), "[Lua Log] returning\n");
        // A call of another name that turns into it: with no frame there, the guest dies of it as natively.
        let ruled = Ruled::new(arch, &[("getpid.lua", &format!("function do_syscall() c_do_syscall({number}) c_log('never') end"))]);
        let ended = ruled.run(&crate::fixture::compiled(arch, "step"), &["getpid"]);
        assert_eq!((ended.status, ruled.log().as_str()), (128 + 11, ""), "{ended:?}");
    }
    a_rule_inside_a_signal_handler(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "local n = 100 function do_syscall() n = n + 1 return n end")]);
        assert_eq!(ruled.steps(&["getpid", "handle 10", "raise 10", "raise 10", "getpid"]).replace("handling 10\n", ""),
            "getpid 101\nhandled 102\nhandled 103\ngetpid 104\n");
    }
    unknown_names_and_missing_directories(arch) {
        let ruled = Ruled::new(arch, &[("wriet.lua", "x = 1"), ("getpid.lua", "function do_syscall() return 1 end"), ("arch_prctl.lua", ""), ("lib/x.lua", "")]);
        ruled.steps(&["getpid", "spawn"]);
        assert_eq!(ruled.log_lines(), ["[Lua Error] wriet.lua: no system call has the name wriet"]);
        let program = crate::fixture::compiled(arch, "step");
        let nowhere = ruled.beside("nowhere");
        let command = crate::harness::guest_command(arch, &["--rules", &nowhere.to_string_lossy()], &program, &["getpid"]);
        let ended = crate::harness::run(command, "");
        assert!(ended.status != 0 && ended.stdout.is_empty() && ended.stderr.lines().count() == 1, "{ended:?}");
        assert!(ended.stderr.contains("nowhere"), "{ended:?}");
    }
}
