//! `os.execute` and `io.popen`, invisible to the guest.
//!
//! A command must not send the guest a SIGCHLD, and the guest's `wait` must not find it. The kernel has children
//! of that kind (exit signal 0, waited for only with `__WCLONE`), but execve gives every process SIGCHLD
//! back. So a keeper is between: a child with exit signal 0 that never execs, starts the shell, waits
//! for it and ends as it did.

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use mlua::ffi::{self, lua_State};

use super::context::Context;
use super::files::{self, Stream};
use super::stack::Stack;
use super::stop;
use super::thread::{close_range, set_signal_mask};
use crate::host::hidden_fd::HiddenFd;

const SHELL: &CStr = c"/bin/sh";

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Raises when memory is short.
pub(super) fn install(stack: Stack) {
    stack.push_globals();
    stack.field(-1, c"os");
    stack.push_function(execute);
    stack.set_field(-2, c"execute");
    stack.pop(1);
    stack.field(-1, c"io");
    stack.push_function(popen);
    stack.set_field(-2, c"popen");
    stack.pop(2);
}

/// Which descriptor of the shell becomes which.
type Redirection = Option<(RawFd, RawFd)>;

/// Starts `command` in a shell; its keeper's process id.
fn start(command: &CStr, redirection: Redirection) -> io::Result<libc::pid_t> {
    // The keeper must not run the guest's handlers, whatever comes.
    let guest_mask = set_signal_mask(u64::MAX);
    // SAFETY: a fork without exit signal; the child only makes raw calls and leaves by _exit.
    let keeper = unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) };
    if keeper == 0 {
        keep(command, redirection, guest_mask);
    }
    let error = io::Error::last_os_error();
    set_signal_mask(guest_mask);
    if keeper < 0 { Err(error) } else { Ok(keeper as libc::pid_t) }
}

/// The keeper. Other threads' locks may be held forever in this copy of the process: raw calls only.
fn keep(command: &CStr, redirection: Redirection, guest_mask: u64) -> ! {
    // SAFETY: this process is ours: it has one thread and ends here. A guest that ignores SIGCHLD would
    // make the kernel reap the shell before we see its status.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let shell = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t;
        if shell == 0 {
            run_shell(command, redirection, guest_mask);
        }
        // What the guest has open must not stay open for longer than the shell keeps it.
        close_range(0, u32::MAX);
        let mut status = 0;
        while shell > 0
            && libc::waitpid(shell, &raw mut status, 0) < 0
            && *libc::__errno_location() == libc::EINTR
        {}
        if shell < 0 {
            libc::_exit(127);
        }
        end_like(status)
    }
}

/// # Safety
/// To be called in a process of our own.
unsafe fn run_shell(command: &CStr, redirection: Redirection, guest_mask: u64) -> ! {
    let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), command.as_ptr(), ptr::null()];
    // SAFETY: raw calls on this process's own descriptors; all strings outlive the execve.
    unsafe {
        if let Some((from, to)) = redirection {
            libc::dup2(from, to);
        }
        set_signal_mask(guest_mask);
        libc::execve(SHELL.as_ptr(), arguments.as_ptr(), environ);
        libc::_exit(127)
    }
}

/// # Safety
/// To be called in a process of our own.
unsafe fn end_like(status: c_int) -> ! {
    // SAFETY: raw calls on this process only.
    unsafe {
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
            libc::signal(signal, libc::SIG_DFL);
            libc::kill(libc::getpid(), signal);
            set_signal_mask(0);
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

/// Waits for a keeper; the shell's wait status, or -1. Raises if the rule must end.
fn wait(stack: Stack, keeper: libc::pid_t) -> c_int {
    let mut status = 0;
    loop {
        // SAFETY: the status outlives the call.
        if unsafe { libc::waitpid(keeper, &raw mut status, libc::__WCLONE) } == keeper {
            return status;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return -1;
        }
        stop::check(stack);
    }
}

/// `os.execute([command])`
unsafe extern "C-unwind" fn execute(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    if stack.kind(1) <= ffi::LUA_TNIL {
        // SAFETY: a C string.
        stack.push_boolean(unsafe { libc::access(SHELL.as_ptr(), libc::X_OK) } == 0);
        return 1;
    }
    let command = stack.check_string(1);
    if Context::of(stack).unwritten.get() {
        files::flush(stack);
    }
    let status = match start(command, None) {
        Ok(keeper) => wait(stack, keeper),
        Err(_) => -1,
    };
    exec_result(stack, status)
}

/// The usual results for a wait status, or for what `errno` says if it is -1. Raises when memory is short.
fn exec_result(stack: Stack, status: c_int) -> c_int {
    if status >= 0 {
        // Lua takes an old errno for this command's.
        // SAFETY: this thread's own.
        unsafe { *libc::__errno_location() = 0 };
    }
    // SAFETY: a live state.
    unsafe { ffi::luaL_execresult(stack.raw(), status) }
}

/// A pipe out of the guest's way: read end, write end.
fn pipe() -> io::Result<(HiddenFd, HiddenFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, owned by nobody else.
    let [read, write] = ends.map(|fd| HiddenFd::hide(unsafe { OwnedFd::from_raw_fd(fd) }));
    Ok((read, write))
}

/// Starts `command` with a pipe to its output (`Read`) or input; our end, and the keeper.
fn start_piped(command: &CStr, reading: bool) -> io::Result<(HiddenFd, libc::pid_t)> {
    let (read, write) = pipe()?;
    let (ours, theirs, target) = if reading { (read, write, 1) } else { (write, read, 0) };
    let keeper = start(command, Some((theirs.as_raw_fd(), target)))?;
    Ok((ours, keeper))
}

/// `io.popen(command, mode = "r")`
unsafe extern "C-unwind" fn popen(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let command = stack.check_string(1);
    let mode = if stack.kind(2) <= ffi::LUA_TNIL { c"r" } else { stack.check_string(2) };
    if mode != c"r" && mode != c"w" {
        stack.argument_error(2, c"invalid mode");
    }
    if Context::of(stack).unwritten.get() {
        files::flush(stack);
    }
    let stream = files::new_stream(stack);
    let Some((file, keeper)) = open_piped(command, mode) else {
        return files::file_result(stack, 0, command.as_ptr());
    };
    // SAFETY: the value is on the stack, so it is alive.
    unsafe { stream.write(Stream { file, close: Some(close) }) };
    stack.push_integer(i64::from(keeper));
    stack.set_user_value(-2, 1);
    1
}

/// Nothing that it holds is alive when its caller raises.
fn open_piped(command: &CStr, mode: &CStr) -> Option<(*mut libc::FILE, libc::pid_t)> {
    let (fd, keeper) = start_piped(command, mode == c"r").ok()?;
    let file = files::to_file(fd, mode);
    (!file.is_null()).then_some((file, keeper))
}

/// A pipe's `closef`: closes it and waits for the command.
unsafe extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    // SAFETY: Lua calls this with one of its files as the argument.
    unsafe { files::close_stream(stack.pointer(1).cast()) };
    stack.user_value(1, 1);
    let keeper = stack.integer(-1).and_then(|pid| libc::pid_t::try_from(pid).ok());
    let status = keeper.map_or(-1, |keeper| wait(stack, keeper));
    exec_result(stack, status)
}
