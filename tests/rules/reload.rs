//! Scripts that change while the guest runs, in each mode.

use qemu_lua::rules::{Outcome, ReloadMode};

use crate::fake::{Directory, GETPID, Guest, eventually};

fn returning(value: i64) -> String {
    format!("function do_syscall() return {value} end")
}

const COUNTER: &str = "local n = 0 function do_syscall() n = n + 1 return n end";

/// In `watch` within a moment; in the other modes on the very next call.
fn expect(reload: ReloadMode, guest: &mut Guest, number: u64, expected: Outcome) {
    if reload == ReloadMode::Watch {
        eventually(&format!("{expected:?}"), || guest.call(number, [1; 8]) == expected);
    } else {
        assert_eq!(guest.call(number, [1; 8]), expected, "{reload:?}");
    }
}

fn in_each_mode(test: impl Fn(ReloadMode)) {
    [ReloadMode::Watch, ReloadMode::Stat, ReloadMode::Always].into_iter().for_each(test);
}

#[test]
fn scripts_are_edited_added_removed_and_replaced() {
    in_each_mode(|reload| {
        let directory = Directory::with(&[("write.lua", &returning(10))]);
        let mut guest = Guest::new(&directory.open(reload));
        expect(reload, &mut guest, 1, Outcome::Result(10));
        // The same size, and often within one tick of the file clock.
        for value in 11..40 {
            directory.put("write.lua", &returning(value));
            expect(reload, &mut guest, 1, Outcome::Result(value));
        }
        directory.put("getpid.lua", &returning(5));
        expect(reload, &mut guest, GETPID, Outcome::Result(5));
        directory.remove("write.lua");
        expect(reload, &mut guest, 1, Outcome::Original);
        directory.put("write.lua", &returning(12));
        expect(reload, &mut guest, 1, Outcome::Result(12));
        directory.replace("write.lua", &returning(13));
        expect(reload, &mut guest, 1, Outcome::Result(13));
        assert_eq!(directory.log(), "");
    });
}

#[test]
fn half_written_scripts_do_not_replace_good_ones() {
    in_each_mode(|reload| {
        let directory = Directory::with(&[("write.lua", &returning(1)), ("getpid.lua", &returning(100))]);
        let mut guest = Guest::new(&directory.open(reload));
        expect(reload, &mut guest, 1, Outcome::Result(1));
        for (marker, broken) in
            [(101, ""), (102, "function do_syscall() ret"), (103, "local only_the_beginning = 1\n")]
        {
            directory.put("write.lua", broken);
            // When the marker is seen, the broken file has been.
            directory.put("getpid.lua", &returning(marker));
            expect(reload, &mut guest, GETPID, Outcome::Result(marker));
            assert_eq!(guest.call(1, [0; 8]), Outcome::Result(1), "{reload:?} {broken:?}");
        }
        directory.put("write.lua", &returning(2));
        expect(reload, &mut guest, 1, Outcome::Result(2));
    });
}

#[test]
fn a_thread_that_comes_late_gets_the_last_version_that_worked() {
    let directory = Directory::with(&[("write.lua", &returning(1))]);
    let rules = directory.open(ReloadMode::Stat);
    let mut first = Guest::new(&rules);
    assert_eq!(first.write(), Outcome::Result(1));
    directory.put("write.lua", "local only_the_beginning = 1");
    assert_eq!(first.write(), Outcome::Result(1));
    assert_eq!(Guest::new(&rules).write(), Outcome::Result(1));
    assert!(directory.log().contains("defines no do_syscall"));
}

#[test]
fn a_script_that_stays_broken_is_told_of_once() {
    in_each_mode(|reload| {
        let directory = Directory::with(&[("write.lua", &returning(1))]);
        let mut guest = Guest::new(&directory.open(reload));
        expect(reload, &mut guest, 1, Outcome::Result(1));
        directory.put("write.lua", "function do_syscall( oops");
        eventually("a line", || {
            assert_eq!(guest.write(), Outcome::Result(1));
            !directory.log().is_empty()
        });
        (0..20).for_each(|_| assert_eq!(guest.write(), Outcome::Result(1)));
        assert_eq!(directory.log_lines().len(), 1, "{}", directory.log());
    });
}

#[test]
fn locals_live_on_until_the_script_itself_changes() {
    for reload in [ReloadMode::Watch, ReloadMode::Stat] {
        let directory = Directory::with(&[("write.lua", COUNTER), ("getpid.lua", &returning(1))]);
        let mut guest = Guest::new(&directory.open(reload));
        (1..=5).for_each(|n| assert_eq!(guest.write(), Outcome::Result(n)));
        directory.put("getpid.lua", &returning(2));
        expect(reload, &mut guest, GETPID, Outcome::Result(2));
        assert_eq!(guest.write(), Outcome::Result(6));
        // Written again with the same text: no change.
        directory.put("write.lua", COUNTER);
        directory.put("getpid.lua", &returning(3));
        expect(reload, &mut guest, GETPID, Outcome::Result(3));
        assert_eq!(guest.write(), Outcome::Result(7));
        directory.put("write.lua", &COUNTER.replace("n = 0", "n = 50"));
        let mut last = 0;
        eventually("a fresh state", || {
            let Outcome::Result(n) = guest.write() else { panic!("no rule") };
            last = n;
            n > 50
        });
        assert!(last < 60 || reload == ReloadMode::Watch);
    }
}

#[test]
fn always_loses_locals() {
    let directory = Directory::with(&[("write.lua", &format!("{COUNTER} c_log('Loaded')"))]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Always));
    (0..3).for_each(|_| assert_eq!(guest.write(), Outcome::Result(1)));
    assert_eq!(directory.log_lines().len(), 3);
}

#[test]
fn modules_are_found_and_their_changes_reach_the_rules_that_use_them() {
    in_each_mode(|reload| {
        let rule = "local v = require 'lib.value' function do_syscall() return v.get() end";
        let directory = Directory::with(&[
            ("write.lua", rule),
            ("read.lua", COUNTER),
            (
                "lib/value.lua",
                "local inner = require 'lib.inner' return { get = function() return inner + 1 end }",
            ),
            ("lib/inner/init.lua", "return 10"),
        ]);
        let mut guest = Guest::new(&directory.open(reload));
        expect(reload, &mut guest, 1, Outcome::Result(11));
        assert_eq!(guest.call(0, [0; 8]), Outcome::Result(1));
        directory.put("lib/inner/init.lua", "return 20");
        expect(reload, &mut guest, 1, Outcome::Result(21));
        directory.put("lib/value.lua", "return { get = function() return 5 end }");
        expect(reload, &mut guest, 1, Outcome::Result(5));
        if reload != ReloadMode::Always {
            assert_eq!(guest.call(0, [0; 8]), Outcome::Result(2), "it needs no module");
        }
    });
}

#[test]
fn a_missing_module_may_come_later() {
    in_each_mode(|reload| {
        let directory =
            Directory::with(&[("write.lua", "local v = require 'late' function do_syscall() return v end")]);
        let mut guest = Guest::new(&directory.open(reload));
        assert_eq!(guest.write(), Outcome::Original);
        directory.put("late.lua", "return 8");
        expect(reload, &mut guest, 1, Outcome::Result(8));
    });
}

#[test]
fn a_rule_may_edit_itself() {
    let directory = Directory::new();
    let path = directory.path("write.lua").display().to_string();
    let next = returning(2);
    directory.put(
        "write.lua",
        &format!(
            "function do_syscall() local f = io.open('{path}', 'w') f:write('{next}') f:close() return 1 end"
        ),
    );
    let mut guest = Guest::new(&directory.open(ReloadMode::Stat));
    assert_eq!(guest.write(), Outcome::Result(1));
    assert_eq!(guest.write(), Outcome::Result(2));
}

#[test]
fn links_are_followed() {
    in_each_mode(|reload| {
        let directory = Directory::new();
        let target = directory.outside("target.lua");
        std::fs::write(&target, returning(1)).unwrap();
        std::os::unix::fs::symlink(&target, directory.path("write.lua")).unwrap();
        let mut guest = Guest::new(&directory.open(reload));
        expect(reload, &mut guest, 1, Outcome::Result(1));
        std::fs::write(&target, returning(2)).unwrap();
        expect(reload, &mut guest, 1, Outcome::Result(2));
    });
}
