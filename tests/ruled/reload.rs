//! Scripts that change while a guest runs, in each mode.

use std::time::Duration;

use crate::fixture::{Ruled, Session};
use crate::harness::Arch;

const MODES: [&str; 3] = ["watch", "stat", "always"];

fn returning(value: i64) -> String {
    format!("function do_syscall() return {value} end")
}

/// In `watch` within a second, in the other modes on the very next call.
fn expect(mode: &str, session: &mut Session, call: &str, expected: &str) {
    if mode == "watch" {
        let took = session.until(call, expected);
        assert!(took < Duration::from_secs(1), "{expected} took {took:?}");
    } else {
        assert_eq!(session.ask(call), expected, "{mode}");
    }
}

fn under_each_mode(arch: Arch, scripts: &[(&str, &str)], test: impl Fn(&str, &Ruled, &mut Session)) {
    for mode in MODES {
        let ruled = Ruled::new(arch, scripts).with(&["--rules-reload", mode]);
        let mut session = ruled.session();
        test(mode, &ruled, &mut session);
        assert_eq!(session.ended(), 0);
    }
}

on_both! {
    edited_added_removed_replaced(arch) {
        under_each_mode(arch, &[("getpid.lua", &returning(10))], |mode, ruled, session| {
            expect(mode, session, "getpid", "getpid 10");
            for value in 11..20 {
                ruled.put("getpid.lua", &returning(value));
                expect(mode, session, "getpid", &format!("getpid {value}"));
            }
            ruled.put("getsid.lua", &returning(30));
            expect(mode, session, "getsid", "getsid 30");
            ruled.remove("getpid.lua");
            expect(mode, session, "getpid", &format!("getpid {}", session.id()));
            ruled.put("getpid.lua", &returning(40));
            expect(mode, session, "getpid", "getpid 40");
            ruled.replace("getpid.lua", &returning(41));
            expect(mode, session, "getpid", "getpid 41");
            assert_eq!(ruled.log(), "");
        });
    }
    half_written(arch) {
        under_each_mode(arch, &[("getpid.lua", &returning(1)), ("getsid.lua", &returning(100))], |mode, ruled, session| {
            expect(mode, session, "getpid", "getpid 1");
            for (marker, broken) in [(101, ""), (102, "function do_syscall() ret"), (103, "local only_the_beginning = 1\n")] {
                ruled.put("getpid.lua", broken);
                // When the marker is seen, the broken file has been.
                ruled.put("getsid.lua", &returning(marker));
                expect(mode, session, "getsid", &format!("getsid {marker}"));
                assert_eq!(session.ask("getpid"), "getpid 1", "{mode} {broken:?}");
            }
            ruled.put("getpid.lua", &returning(2));
            expect(mode, session, "getpid", "getpid 2");
        });
    }
    state_lives_on_unless_always(arch) {
        let counter = "local n = 0 function do_syscall() n = n + 1 return n end c_log('Loaded')";
        under_each_mode(arch, &[("getpid.lua", counter)], |mode, ruled, session| {
            for n in 1..=3 {
                let expected = if mode == "always" { 1 } else { n };
                assert_eq!(session.ask("getpid"), format!("getpid {expected}"));
            }
            assert_eq!(ruled.log_lines().len(), if mode == "always" { 3 } else { 1 });
            ruled.put("getsid.lua", &returning(1));
            expect(mode, session, "getsid", "getsid 1");
            assert_eq!(session.ask("getpid"), format!("getpid {}", if mode == "always" { 1 } else { 4 }));
        });
    }
    the_guest_edits_its_own_rule(arch) {
        for mode in ["stat", "always"] {
            let ruled = Ruled::new(arch, &[("getpid.lua", &returning(1))]).with(&["--rules-reload", mode]);
            let path = ruled.script("getpid.lua").display().to_string();
            let steps: Vec<String> = (10..40).map(|n| format!("edit {path} {}", returning(n))).collect();
            let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
            let expected: String = (10..40).map(|n| format!("getpid {n}\n")).collect();
            assert_eq!(ruled.steps(&steps), expected, "{}", ruled.log());
        }
    }
    modules_count(arch) {
        under_each_mode(arch, &[("getpid.lua", "local v = require 'lib.v' function do_syscall() return v end"), ("lib/v.lua", "return 5")],
            |mode, ruled, session| {
                expect(mode, session, "getpid", "getpid 5");
                ruled.put("lib/v.lua", "return 6");
                expect(mode, session, "getpid", "getpid 6");
            });
    }
    a_clock_that_stops_while_a_script_loops(arch) {
        let ruled = Ruled::new(arch, &[]);
        let script = "while read x; do date -u +%s; done";
        let mut session = Session::start(ruled.command("/bin/bash", &["-c", script]));
        let now: i64 = session.ask("go").parse().unwrap();
        assert!(now > 1_600_000_000);
        ruled.put("clock_gettime.lua", "function do_syscall(num, clock, to)
            c_write_guest_u64(to, 86400) c_write_guest_u64(to + 8, 0) return 0 end");
        session.until("go", "86400");
        assert_eq!(session.ask("go"), "86400");
        ruled.remove("clock_gettime.lua");
        crate::fixture::eventually("the real time", || session.ask("go").parse::<i64>().unwrap() >= now);
        assert_eq!(session.ended(), 0);
    }
}
