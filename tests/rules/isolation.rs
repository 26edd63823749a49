//! What a rule does to the process it runs in: files, commands, descriptors, forks.

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;

use qemu_lua::rules::{CallEnd, LogSink, Options, Outcome, ReloadMode, Rules};

use crate::fake::{Directory, EXIT_GROUP, Guest, check, eventually, run_with};

#[test]
fn commands_run_and_report_how_they_ended() {
    check(
        "assert(os.execute() == true)
         local ok, how, code = os.execute('exit 3') assert(ok == nil and how == 'exit' and code == 3)
         ok, how, code = os.execute('true') assert(ok == true and how == 'exit' and code == 0)
         ok, how, code = os.execute('kill -9 $$') assert(ok == nil and how == 'signal' and code == 9)
         local p = assert(io.popen('echo hello; exit 4')) assert(p:read('a') == 'hello\\n')
         ok, how, code = p:close() assert(ok == nil and how == 'exit' and code == 4)
         assert(not pcall(io.popen, 'true', 'rw'))",
        |_| {},
    );
}

#[test]
fn commands_can_be_written_to() {
    let directory = Directory::new();
    let file = directory.outside("out");
    check(
        &format!(
            "local p = assert(io.popen('cat > {}', 'w')) p:write('a', 1, '\\n') assert(p:close())",
            file.display()
        ),
        |_| {},
    );
    assert_eq!(fs::read_to_string(file).unwrap(), "a1\n");
}

#[test]
fn commands_are_invisible_to_wait() {
    let guest_wait = || {
        let mut status = 0;
        // SAFETY: the status outlives the call. Only this test has children of the ordinary kind.
        unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) }
    };
    check("kept = io.popen('sleep 0.2') c_do_syscall(39) assert(kept:close())", move |host| {
        host.kernel = Box::new(move |_, _| {
            // ECHILD, unless the fork test's child is there: never a child that has ended.
            assert!(guest_wait() <= 0);
            CallEnd::Returned(0)
        });
    });
}

#[test]
fn files_are_written_before_a_call_and_after_the_rule() {
    let directory = Directory::new();
    let file = directory.outside("notes");
    let seen = file.clone();
    let body = format!(
        "local f = assert(io.open('{}', 'w')) kept = f f:write('one') c_do_syscall(231) f:write('two') return 0",
        file.display()
    );
    let (outcome, guest, _log) = run_with(&body, move |host| {
        host.kernel = Box::new(move |number, _| {
            assert_eq!(number, EXIT_GROUP);
            assert_eq!(fs::read_to_string(&seen).unwrap(), "one");
            CallEnd::Returned(0)
        });
    });
    assert_eq!(outcome, Outcome::Result(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "onetwo");
    drop(guest);
}

#[test]
fn files_behave_like_luas() {
    let directory = Directory::new();
    let file = directory.outside("lines").display().to_string();
    check(
        &format!(
            "local f = assert(io.open('{file}', 'w')) f:write('a\\nb\\n') assert(f:close()) assert(io.type(f) == 'closed file')
             local t = {{}} for line in io.lines('{file}') do t[#t + 1] = line end assert(t[1] == 'a' and t[2] == 'b')
             local f2, message, code = io.open('/nonexistent/x') assert(f2 == nil and code == 2 and message:find('nonexistent'))
             assert(not pcall(io.open, '{file}', 'q')) assert(not pcall(io.lines, '/nonexistent'))
             io.output('{file}') io.write('via default') io.close() io.output(io.stdout)
             io.input('{file}') assert(io.read('a') == 'via default') io.close(io.input()) io.input(io.stdin)
             local tmp = assert(io.tmpfile()) tmp:write('x') tmp:seek('set') assert(tmp:read('a') == 'x')"
        ),
        |_| {},
    );
}

#[test]
fn descriptors_are_high() {
    let directory =
        Directory::with(&[("write.lua", "kept = io.open('/dev/null') function do_syscall() return 0 end")]);
    let rules = directory.open(ReloadMode::Watch);
    let mut guest = Guest::new(&rules);
    assert_eq!(guest.write(), Outcome::Result(0));
    assert!(rules.descriptors().len() >= 2);
    assert!(rules.descriptors().iter().all(|&fd| fd > 200), "{:?}", rules.descriptors());
}

#[test]
fn the_log_survives_a_pipe_without_reader_and_keeps_long_lines_whole() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let log = LogSink::from_fd(writer.into());
    let logs = 4;
    let text = std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let mut text = String::new();
            let mut chunk = [0; 50_000];
            while text.lines().filter(|line| line.ends_with('.')).count() < logs * 20 {
                let n = reader.read(&mut chunk).unwrap();
                text.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
            }
            text
        });
        for letter in ["a", "b", "c", "d"] {
            let log = &log;
            scope.spawn(move || {
                for n in 0..20 {
                    log.message(format!("{}.", letter.repeat(1 + n * 5000)).as_bytes());
                }
            });
        }
        read.join().unwrap()
    });
    for line in text.lines() {
        let body = line.strip_prefix("[Lua Log] ").unwrap().trim_end_matches('.');
        assert!(body.bytes().all(|byte| byte == body.as_bytes()[0]));
    }
    // The reader is gone: a write now would raise SIGPIPE.
    log.message(b"nobody hears this");
    assert!(log.fd().unwrap().as_raw_fd() > 200);
}

#[test]
fn a_forked_child_has_its_own_copy_and_sees_changes() {
    let directory =
        Directory::with(&[("write.lua", "local n = 0 function do_syscall() n = n + 1 return n end")]);
    let rules = directory.open(ReloadMode::Watch);
    let mut guest = Guest::new(&rules);
    assert_eq!(guest.write(), Outcome::Result(1));
    let guard = rules.before_fork();
    // SAFETY: the child only runs what a forked guest runs, and leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        guard.child();
        let counted = guest.write() == Outcome::Result(2);
        directory.put("write.lua", "function do_syscall() return 77 end");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let mut changed = false;
        while !changed && std::time::Instant::now() < deadline {
            changed = guest.write() == Outcome::Result(77);
        }
        // SAFETY: ends the child without the test harness's own exit.
        unsafe { libc::_exit(i32::from(!(counted && changed))) };
    }
    guard.parent();
    let mut status = 0;
    // SAFETY: the status outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 0);
    eventually("the parent sees it too", || guest.write() == Outcome::Result(77));
}

#[test]
fn the_directory_is_held_when_its_name_goes() {
    let directory = Directory::with(&[("write.lua", "return require 'late'"), ("late.lua", "x = 1")]);
    directory.put("write.lua", "function do_syscall() return require('late') end");
    directory.put("late.lua", "return 9");
    for reload in [ReloadMode::Stat, ReloadMode::Watch] {
        let rules = directory.open(reload);
        let away = directory.outside("elsewhere");
        fs::rename(directory.path(""), &away).unwrap();
        assert_eq!(Guest::new(&rules).write(), Outcome::Result(9));
        fs::rename(away, directory.path("")).unwrap();
    }
}

#[test]
fn the_watcher_can_be_stopped_and_comes_back() {
    let directory = Directory::with(&[("write.lua", "function do_syscall() return 1 end")]);
    let rules = directory.open(ReloadMode::Watch);
    let mut guest = Guest::new(&rules);
    eventually("a watcher", || guest.write() == Outcome::Result(1) && rules.descriptors().len() == 3);
    rules.stop_background();
    assert_eq!(rules.descriptors().len(), 2);
    assert!(rules.may_rule(0), "nobody watches");
    directory.put("write.lua", "function do_syscall() return 2 end");
    eventually("the change", || guest.write() == Outcome::Result(2));
    eventually("another watcher", || guest.write() == Outcome::Result(2) && !rules.may_rule(0));
    assert!(rules.may_rule(1));
    rules.freeze();
    directory.put("write.lua", "function do_syscall() return 3 end");
    assert_eq!(guest.write(), Outcome::Result(2));
    assert!(!rules.may_rule(0));
}

#[test]
fn changes_are_told_for_the_vdso() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let directory = Directory::with(&[("write.lua", "function do_syscall() return 1 end")]);
    let ruled = Arc::new(AtomicBool::new(false));
    let word = Arc::clone(&ruled);
    let options = Options {
        on_change: Some(Box::new(move |rules| word.store(rules.may_rule(39), Ordering::Relaxed))),
        ..directory.options()
    };
    let rules = Rules::open(Path::new(&directory.path("")), options).unwrap();
    assert!(ruled.load(Ordering::Relaxed), "nobody watches yet");
    let mut guest = Guest::new(&rules);
    eventually("a watcher", || guest.write() == Outcome::Result(1) && !ruled.load(Ordering::Relaxed));
    directory.put("getpid.lua", "function do_syscall() return 5 end");
    // No system call is made here: the watcher alone tells.
    eventually("the new rule", || ruled.load(Ordering::Relaxed));
}
