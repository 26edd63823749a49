//! `c_log`: whole lines, wherever standard error has gone.

use crate::fixture::{Ruled, compiled};
use crate::harness;

/// Lines of different lengths, longer than what a pipe takes at once.
const NOISY: &str = "local n = 0 function do_syscall(num) n = n + 1
    c_log(('abcdefghij'):rep(n % 7 * 150) .. '.') return c_do_syscall(num) end";

fn assert_whole(log: &str, lines: usize) {
    assert_eq!(log.lines().count(), lines);
    for line in log.lines() {
        let body = line
            .strip_prefix("[Lua Log] ")
            .and_then(|l| l.strip_suffix('.'))
            .unwrap_or_else(|| panic!("{line}"));
        assert!(
            body.is_empty()
                || (body.len() % 1500 == 0 || body.len() % 10 == 0) && body.starts_with("abcdefghij"),
            "{line}"
        );
        assert_eq!(body.matches("abcdefghij").count() * 10, body.len(), "{line}");
    }
}

on_both! {
    lines_are_whole_with_threads_and_processes(arch) {
        let program = compiled(arch, "step");
        let script = format!("for i in 1 2 3; do {program} threads threads & done; wait");
        let ruled = Ruled::new(arch, &[("getpid.lua", NOISY)]);
        let ended = ruled.run("/bin/dash", &["-c", &script]);
        assert_eq!(ended.status, 0, "{ended:?}");
        // The shell asks for its own pid too, perhaps.
        let lines = ruled.log_lines().len();
        assert!((2400..2410).contains(&lines), "{lines}");
        assert_whole(&ruled.log(), lines);
    }
    lines_are_whole_on_a_pipe(arch) {
        let program = compiled(arch, "step");
        let script = format!("for i in 1 2; do {program} threads & done; wait");
        let ruled = Ruled::new(arch, &[("getpid.lua", NOISY)]);
        let rules = ruled.script("");
        let command = harness::guest_command(arch, &["--rules", &rules.to_string_lossy()], "/bin/dash", &["-c", &script]);
        let ended = harness::run(command, "");
        let lines = ended.stderr.lines().count();
        assert!((800..810).contains(&lines), "{lines}");
        assert_whole(&ended.stderr, lines);
    }
    the_log_outlives_the_guests_descriptor(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "function do_syscall() c_log('here') return 1 end")]);
        let rules = ruled.script("");
        let options = ["--rules", &*rules.to_string_lossy()];
        let steps = ["getpid", "close 2", "getpid", "fork", "exec"];
        let ended = harness::run(harness::guest_command(arch, &options, &compiled(arch, "step"), &steps), "");
        assert_eq!(ended.stderr, "[Lua Log] here\n".repeat(4), "{ended:?}");
        let script = format!("exec 2>/dev/null; {} getpid", compiled(arch, "step"));
        let ended = harness::run(harness::guest_command(arch, &options, "/bin/dash", &["-c", &script]), "");
        assert!(ended.stderr.contains("[Lua Log] here\n"), "{ended:?}");
    }
    a_log_that_cannot_be_written_is_an_error(arch) {
        let ruled = Ruled::new(arch, &[]).with(&["--rules-log", "/nonexistent/log"]);
        let ended = ruled.run(&compiled(arch, "step"), &["getpid"]);
        assert!(ended.status != 0 && ended.stdout.is_empty() && ended.stderr.lines().count() == 1, "{ended:?}");
    }
    the_guest_does_not_see_our_descriptors(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "function do_syscall() return 1 end")]);
        let script = "for f in /proc/self/fd/*; do f=${f##*/}; [ $f -ge 256 ] || echo $f; done";
        let mut native = std::process::Command::new("/bin/bash");
        native.args(["-c", script]);
        let native = harness::run(native, "");
        let ended = ruled.run("/bin/bash", &["-c", script]);
        assert_eq!(ended.stdout, native.stdout, "{ended:?}");
    }
}
