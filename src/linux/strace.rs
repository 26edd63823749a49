//! `-strace`: a line per system call.

use super::table::Done;
use super::thread::Thread;
use super::{dispatch, read_string};
use crate::mem::Memory;
use guest::GuestAddr;
use guest::linux::SyscallRequest;
use std::fmt::Write as _;

/// Strings and buffers are shown up to this many bytes.
const SHOWN: usize = 32;

/// The arguments as text, taken before the call; `None` where calls are not traced.
pub fn enter(thread: &Thread, request: &SyscallRequest) -> Option<String> {
    let traced = thread.process.options.strace || crate::debug::enabled(crate::debug::item::STRACE);
    if !traced {
        return None;
    }
    let text = describe(thread.process.dispatch, request);
    if never_returns(thread.process.dispatch, request) {
        crate::log::write(&format!("{} {text} = ?\n", thread.tid()));
    }
    Some(text)
}

fn never_returns(dispatch: &dispatch::Dispatch, request: &SyscallRequest) -> bool {
    dispatch
        .entry(request.number)
        .is_some_and(|e| matches!(e.name, "exit" | "exit_group" | "execve" | "execveat"))
}

/// Writes the line, with the result.
pub fn leave(thread: &Thread, request: &SyscallRequest, done: Done, text: Option<String>) {
    let Some(text) = text else { return };
    let result = match done {
        Done::Value(value) if (-4095..0).contains(&value) => {
            let errno = -value as i32;
            format!("-1 {} ({})", super::errno::name(errno), crate::loader::errno_text(errno))
        }
        Done::Value(value) if is_address(thread.process.dispatch, request) => format!("{value:#x}"),
        Done::Value(value) => value.to_string(),
        Done::Interrupted => "? (to be restarted)".to_owned(),
        Done::Replaced | Done::Exited => "?".to_owned(),
    };
    crate::log::write(&format!("{} {text} = {result}\n", thread.tid()));
}

fn is_address(dispatch: &dispatch::Dispatch, request: &SyscallRequest) -> bool {
    dispatch.entry(request.number).is_some_and(|e| matches!(e.name, "mmap" | "mremap" | "brk" | "shmat"))
}

fn describe(dispatch: &dispatch::Dispatch, request: &SyscallRequest) -> String {
    let Some(entry) = dispatch.entry(request.number) else {
        return format!("syscall_{}({})", request.number, hex_list(&request.args));
    };
    let mut out = format!("{}(", entry.name);
    for (index, letter) in entry.args.bytes().enumerate().take(6) {
        if index > 0 {
            out.push(',');
        }
        let value = request.args[index];
        let next = request.args.get(index + 1).copied().unwrap_or(0);
        show(&mut out, letter, value, next);
    }
    out.push(')');
    out
}

fn hex_list(values: &[u64]) -> String {
    values.iter().map(|v| format!("{v:#x}")).collect::<Vec<_>>().join(",")
}

/// One argument by its letter. Writing to a String cannot fail.
fn show(out: &mut String, letter: u8, value: u64, next: u64) {
    let _ = match letter {
        b'd' | b'f' => write!(out, "{}", value as i32),
        b'u' => write!(out, "{value}"),
        b'D' if value as i32 == libc::AT_FDCWD => write!(out, "AT_FDCWD"),
        b'D' => write!(out, "{}", value as i32),
        b'm' => write!(out, "{value:#o}"),
        b'S' => write!(out, "{}", signal_name(value as i32)),
        b's' | b'P' => write!(out, "{}", shown_string(value)),
        b'r' => write!(out, "{}", shown_buffer(value, next)),
        _ if value == 0 => write!(out, "0"),
        _ => write!(out, "{value:#x}"),
    };
}

fn shown_string(addr: u64) -> String {
    match read_string(addr, libc::PATH_MAX as usize) {
        _ if addr == 0 => "NULL".to_owned(),
        Ok(Some(bytes)) => format!("\"{}\"", bytes.escape_ascii()),
        _ => format!("{addr:#x}"),
    }
}

fn shown_buffer(addr: u64, len: u64) -> String {
    let mut bytes = [0; SHOWN];
    let want = (len as usize).min(SHOWN);
    let got = Memory.read_prefix(GuestAddr(addr), &mut bytes[..want]);
    if got < want {
        return format!("{addr:#x}");
    }
    let more = if len as usize > SHOWN { "..." } else { "" };
    format!("\"{}\"{more}", bytes[..got].escape_ascii())
}

/// `SIGINT` and so on; realtime signals by number.
fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    match usize::try_from(signal - 1).ok().and_then(|i| NAMES.get(i)) {
        Some(name) => format!("SIG{name}"),
        None => signal.to_string(),
    }
}
