//! Rules that never return, and guests that end while rules have something to say.

use std::time::Duration;

use crate::fixture::{Ruled, Session, compiled, eventually};
use crate::harness::Arch;

/// Says that it has started, then never returns.
const FOREVER: &str = "function do_syscall(num) c_log('looping') while true do end end";

fn stuck(ruled: &Ruled, before: &[&str]) -> Session {
    let mut session = ruled.session();
    for step in before {
        session.ask(step);
    }
    session.send("getsid");
    eventually("the rule's start", || ruled.log().contains("looping"));
    session
}

on_both! {
    ended_by_a_signal_that_kills(arch) {
        for (name, number) in [("INT", 2), ("TERM", 15)] {
            let ruled = Ruled::new(arch, &[("getsid.lua", FOREVER)]);
            let session = stuck(&ruled, &[]);
            session.signal(name);
            assert_eq!(session.ended(), 128 + number);
        }
    }
    ended_by_a_signal_with_a_handler(arch) {
        for (name, number) in [("INT", 2), ("TERM", 15)] {
            for pause in [0, 200] {
                let ruled = Ruled::new(arch, &[("getsid.lua", FOREVER)]);
                let mut session = stuck(&ruled, &[&format!("handle {number}")]);
                std::thread::sleep(Duration::from_millis(pause)); // both sides of the patience with slow rules
                session.signal(name);
                assert_eq!(session.line(), "getsid -4", "{name} after {pause} ms");
                assert_eq!(session.ask("hits"), "hits 1");
                assert_eq!(session.ended(), 0);
            }
        }
    }
    no_pcall_or_coroutine_survives_it(arch) {
        for body in [
            "while true do pcall(function() while true do end end) end",
            "while true do coroutine.wrap(function() while true do end end)() end",
            "local co = coroutine.create(function() while true do coroutine.yield() end end) while true do coroutine.resume(co) end",
            "while true do xpcall(function() while true do end end, function() while true do end end) end",
        ] {
            let ruled = Ruled::new(arch, &[("getsid.lua", &format!("function do_syscall() c_log('looping') {body} end"))]);
            let mut session = stuck(&ruled, &["handle 15"]);
            session.signal("TERM");
            assert_eq!(session.line(), "getsid -4", "{body}");
            assert_eq!(session.ask("hits"), "hits 1");
        }
    }
    a_rule_that_retries_for_ever_is_ended(arch) {
        let sleep = if arch == Arch::X86_64 { 35 } else { 101 };
        let ruled = Ruled::new(arch, &[("getsid.lua", &format!("function do_syscall(num, page) c_log('looping')
            c_write_guest_u64(page, 1000) c_write_guest_u64(page + 8, 0)
            while true do c_do_syscall({sleep}, page, 0) end end"))]);
        let session = stuck(&ruled, &["handle 15"]);
        session.signal("TERM");
        assert_eq!(session.line(), "getsid -4");
        assert_eq!(session.ended(), 0);
    }
    another_signal_first_does_not_protect_it(arch) {
        let ruled = Ruled::new(arch, &[("getsid.lua", FOREVER)]);
        let session = stuck(&ruled, &["handle 10"]);
        session.signal("USR1");
        std::thread::sleep(Duration::from_millis(20)); // lets the first one arrive; either order must end it
        session.signal("TERM");
        assert_eq!(session.ended(), 128 + 15);
        let ruled = Ruled::new(arch, &[("getsid.lua", FOREVER)]);
        let mut session = stuck(&ruled, &["handle 10", "handle 15"]);
        session.signal("USR1");
        std::thread::sleep(Duration::from_millis(20));
        session.signal("TERM");
        assert_eq!(session.line(), "getsid -4");
        assert_eq!(session.ask("hits"), "hits 2");
        assert_eq!(session.ended(), 0);
    }
    ended_by_exit_group_in_another_thread(arch) {
        let ruled = Ruled::new(arch, &[("getsid.lua", FOREVER)]);
        let mut session = ruled.session();
        session.send("leave-after 21");
        session.send("getsid");
        assert_eq!(session.ended(), 21);
    }
    buffers_are_written_however_the_guest_ends(arch) {
        for (steps, status) in [(vec!["getpid", "exit 3"], 3), (vec!["getpid", "kill 15"], 143), (vec!["getpid", "kill 11"], 139),
            (vec!["getpid", "exec"], 0), (vec!["getpid", "leave-after 5", "getsid", "getsid"], 5), (vec!["getpid"], 0)] {
            let ruled = Ruled::new(arch, &[("getsid.lua", "function do_syscall() c_log('looping') while true do end end")]);
            let out = ruled.beside("out");
            ruled.put("getpid.lua", &format!("local f = io.open('{}', 'a') function do_syscall() f:write('kept\\n') return 1 end", out.display()));
            let ended = ruled.run(&compiled(arch, "step"), &steps);
            assert_eq!(ended.status, status, "{steps:?} {ended:?} {}", ruled.log());
            let kept = std::fs::read_to_string(&out).unwrap_or_default();
            let expected = if steps.contains(&"exec") { 2 } else { 1 };
            assert_eq!(kept.lines().count(), expected, "{steps:?}: {kept:?}");
        }
    }
}
