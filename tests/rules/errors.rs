//! What goes wrong in rules, and that no call is made twice for it.

use std::sync::Arc;

use qemu_lua::rules::{CallEnd, Options, Outcome, ReloadMode, Rules, RulesError};

use crate::fake::{Directory, EXIT_GROUP, Guest, WRITE, check, run, run_with};

#[test]
fn an_error_before_the_call_makes_the_original() {
    let (outcome, guest, directory) = run("error('boom')");
    assert_eq!(outcome, Outcome::Original);
    assert!(guest.host.calls.is_empty());
    let lines = directory.log_lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("[Lua Error] write.lua: write.lua:2: boom | stack traceback:"), "{lines:?}");
}

#[test]
fn an_error_after_the_call_keeps_its_result() {
    let (outcome, guest, _) =
        run("c_do_syscall(num, a1, a2, 1) c_do_syscall(num, a1, a2, 2) c_do_syscall(39) error('x')");
    assert_eq!(outcome, Outcome::Result(1001));
    assert_eq!(guest.host.calls.len(), 3);
}

#[test]
fn another_number_is_not_the_intercepted_call() {
    assert_eq!(run("c_do_syscall(39) error('x')").0, Outcome::Original);
}

#[test]
fn results_that_are_no_integers_fall_back() {
    for body in [
        "",
        "return nil",
        "return '5'",
        "return 1.5",
        "return {}",
        "return true",
        "return 2^70",
        "return 0/0",
    ] {
        let (outcome, _, directory) = run(body);
        assert_eq!(outcome, Outcome::Original, "{body}");
        assert!(directory.log().contains("write.lua: do_syscall returned"), "{}", directory.log());
    }
    assert_eq!(run("c_do_syscall(num) return 'ok'").0, Outcome::Result(1001));
}

#[test]
fn a_failure_is_told_once() {
    let directory = Directory::with(&[(
        "write.lua",
        "local n = 0 function do_syscall() n = n + 1 error('bad ' .. n) end",
    )]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    for _ in 0..50 {
        assert_eq!(guest.write(), Outcome::Original);
    }
    assert_eq!(directory.log_lines().len(), 1, "{}", directory.log());
}

#[test]
fn scripts_that_define_no_function_are_told_and_passed_over() {
    for (script, message) in [
        ("local x = 1", "defines no do_syscall"),
        ("do_syscall = 5", "do_syscall is not a function"),
        ("error('top')", "write.lua:1: top"),
        ("function do_syscall( return 1 end", "write.lua:1:"),
        ("return require 'missing'", "module 'missing' not found"),
    ] {
        for reload in [ReloadMode::Watch, ReloadMode::Stat, ReloadMode::Always] {
            let directory = Directory::with(&[("write.lua", script)]);
            let mut guest = Guest::new(&directory.open(reload));
            for _ in 0..3 {
                assert_eq!(guest.write(), Outcome::Original, "{script}");
            }
            let lines = directory.log_lines();
            assert_eq!(lines.len(), 1, "{reload:?} {lines:?}");
            assert!(lines[0].contains(message), "{lines:?}");
        }
    }
}

#[test]
fn an_empty_script_is_no_rule_and_no_error() {
    let directory = Directory::with(&[("write.lua", "\n")]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    assert_eq!(guest.write(), Outcome::Original);
    assert_eq!(directory.log(), "");
}

#[test]
fn unknown_names_are_told_at_start_once() {
    let directory = Directory::with(&[
        ("wriet.lua", "x = 1"),
        ("openat2_elsewhere.lua", "x = 1"),
        ("lib/any.lua", "x = 1"),
    ]);
    let _rules = directory.open(ReloadMode::Watch);
    assert_eq!(directory.log_lines(), ["[Lua Error] wriet.lua: no system call has the name wriet"]);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let directory = Directory::new();
    let Err(RulesError::Directory { path, .. }) =
        Rules::open(&directory.path("nowhere"), directory.options())
    else {
        panic!("opened");
    };
    assert!(path.ends_with("nowhere"));
    directory.put("file", "");
    assert!(Rules::open(&directory.path("file"), directory.options()).is_err());
}

#[test]
fn calls_that_do_not_return_unwind_the_rule() {
    for body in [
        "c_do_syscall(231, 3) return 5",
        "while true do pcall(c_do_syscall, 231, 3) end",
        "while true do xpcall(c_do_syscall, function() while true do end end, 231) end",
        "local co = coroutine.wrap(function() while true do pcall(c_do_syscall, 231) end end) while true do pcall(co) end",
        "local co = coroutine.create(function() c_do_syscall(231) end) while true do coroutine.resume(co) end",
        "setmetatable({}, {__index = function() c_do_syscall(231) end}).x = 1 local t <close> = setmetatable({}, {__close = function() while true do end end}) c_do_syscall(231)",
        "string.gsub('aaa', 'a', function() c_do_syscall(231) end)",
        "table.sort({3, 2, 1}, function() c_do_syscall(231) end)",
        "require 'module'",
    ] {
        let directory = Directory::with(&[
            ("write.lua", &format!("function do_syscall() {body} end")),
            ("module.lua", "pcall(c_do_syscall, 231)"),
        ]);
        let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
        guest.host.kernel =
            Box::new(|number, _| if number == EXIT_GROUP { CallEnd::Diverged } else { CallEnd::Returned(0) });
        assert_eq!(guest.write(), Outcome::Diverged, "{body}: {}", directory.log());
        assert!(guest.host.calls.iter().filter(|call| call.0 == EXIT_GROUP).count() == 1, "{body}");
        assert!(!directory.log().contains("Error] write"), "{}", directory.log());
    }
}

#[test]
fn a_call_at_the_top_level_may_not_return_either() {
    let directory = Directory::with(&[("write.lua", "c_do_syscall(231) function do_syscall() return 0 end")]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    guest.host.kernel = Box::new(|_, _| CallEnd::Diverged);
    assert_eq!(guest.write(), Outcome::Diverged);
}

/// Asks the rule to stop from within one of its calls, as a signal handler would.
fn stopped(body: &str) -> (Outcome, Guest, Directory) {
    let directory = Directory::with(&[("write.lua", &format!("function do_syscall(num) {body} end"))]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    let cell = std::sync::Arc::clone(guest.thread.stop_cell());
    guest.host.kernel = Box::new(move |_, _| {
        // SAFETY: on the rule's own thread.
        assert!(unsafe { cell.request(0) });
        CallEnd::Returned(-4)
    });
    let outcome = guest.write();
    (outcome, guest, directory)
}

#[test]
fn a_rule_that_never_returns_can_be_ended() {
    for body in [
        "c_do_syscall(39) while true do end",
        "c_do_syscall(39) while true do pcall(function() while true do end end) end",
        "local function f() c_do_syscall(39) while true do end end while true do xpcall(f, function() while true do end end) end",
        "coroutine.wrap(function() c_do_syscall(39) while true do end end)() while true do end",
        "local co = coroutine.create(function() c_do_syscall(39) coroutine.yield() end) while true do coroutine.resume(co) end",
        "c_do_syscall(39) debug.sethook() while true do end",
        "c_do_syscall(39) for i = 1, math.huge do coroutine.wrap(function() end)() end",
    ] {
        let (outcome, mut guest, directory) = stopped(body);
        assert_eq!(outcome, Outcome::Stopped(None), "{body}: {}", directory.log());
        // The machine is as good as new.
        directory.put(
            "read.lua",
            "function do_syscall() local n = 0 for i = 1, 100 do n = n + 1 end return n end",
        );
        let rules = directory.open(ReloadMode::Watch);
        assert_eq!(Guest::new(&rules).call(0, [0; 8]), Outcome::Result(100));
        guest.host.kernel = Box::new(|_, _| CallEnd::Diverged);
        assert_eq!(guest.write(), Outcome::Diverged);
    }
}

#[test]
fn a_stopped_rule_that_has_made_its_call_says_so() {
    assert_eq!(stopped("c_do_syscall(num) while true do end").0, Outcome::Stopped(Some(-4)));
}

#[test]
fn a_request_outside_rules_does_nothing() {
    let (_, mut guest, _) = run("return 3");
    // SAFETY: on the rule's own thread.
    assert!(!unsafe { guest.thread.stop_cell().request(0) });
    assert_eq!(guest.write(), Outcome::Result(3));
}

#[test]
fn memory_has_a_limit_that_is_an_error() {
    let directory = Directory::with(&[(
        "write.lua",
        "function do_syscall(n, a) if a == 1 then local t = {} while true do t[#t + 1] = ('x'):rep(1 << 16) .. #t end end return 5 end",
    )]);
    let options = Options { memory_limit: 4 << 20, ..directory.options() };
    let rules: Arc<Rules> = Rules::open(&directory.path(""), options).unwrap();
    let mut guest = Guest::new(&rules);
    assert_eq!(guest.write(), Outcome::Original);
    assert!(directory.log().contains("not enough memory"), "{}", directory.log());
    assert_eq!(guest.call(WRITE, [2, 0, 0, 0, 0, 0, 0, 0]), Outcome::Result(5));
}

#[test]
fn deep_recursion_is_an_error() {
    let (outcome, _, directory) = run("local function f() return 1 + f() end return f()");
    assert_eq!(outcome, Outcome::Original);
    assert!(directory.log().contains("stack overflow"));
    assert_eq!(run("local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k + 1] end return t[1]").0, Outcome::Original);
}

#[test]
fn a_rule_cannot_exit_or_load_machine_code() {
    check(
        "local ok, message = pcall(os.exit, 0) assert(not ok and message:find('os.exit is not allowed'))
         assert(package.loadlib == nil and #package.searchers == 2 and package.cpath == '')
         assert(not pcall(require, 'socket.core'))
         assert(not load('\\27Lua', 'x', 't'))",
        |_| {},
    );
}

#[test]
fn rules_do_not_nest() {
    let directory = Directory::with(&[
        ("write.lua", "function do_syscall(num) return c_do_syscall(num) + c_do_syscall(39) end"),
        ("getpid.lua", "function do_syscall() return 1 end"),
    ]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    assert_eq!(guest.write(), Outcome::Result(1001 + 1039));
}

#[test]
fn rules_do_not_see_each_others_globals_nor_functions() {
    let directory = Directory::with(&[
        ("write.lua", "leak = 5 function do_syscall() return 1 end"),
        ("getpid.lua", "function do_syscall() if leak == nil then return 2 end return 3 end"),
        ("read.lua", "local unused = 1"),
    ]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    assert_eq!(guest.write(), Outcome::Result(1));
    assert_eq!(guest.call(39, [0; 8]), Outcome::Result(2));
    assert_eq!(guest.call(0, [0; 8]), Outcome::Original);
}

#[test]
fn a_panic_of_the_engine_is_a_lua_error() {
    let (outcome, _, directory) = run_with("c_do_syscall(39) return 1", |host| {
        host.kernel = Box::new(|_, _| panic!("a test's panic"));
    });
    assert_eq!(outcome, Outcome::Original);
    assert!(directory.log().contains("internal error (a panic)"));
}

#[test]
fn finalizers_at_the_end_of_a_thread_have_no_system_call() {
    let (outcome, guest, directory) = run(
        "local t = setmetatable({}, {__gc = function() c_log(tostring(pcall(c_do_syscall, 39))) end}) kept = t return 0",
    );
    assert_eq!(outcome, Outcome::Result(0));
    drop(guest);
    assert_eq!(directory.log_lines(), ["[Lua Log] false"], "{}", directory.log());
}
