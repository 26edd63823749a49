//! `-strace`: a line per system call, as strace writes it.
//!
//! What the kernel reads is shown as it was before the call, what it writes as it is after it; so a line is written
//! when the call has returned. Calls that end a thread are written at once, and `execve` by the new program. Each line starts with the thread's
//! number, because lines of several threads and processes share the log.

mod show;
mod structures;

use super::dispatch::Entry;
use super::table::Done;
use super::table::kinds::Kind;
use super::thread::Thread;
use guest::linux::{KernelLayout, SyscallRequest};
use show::Call;
use std::ffi::{CStr, CString};

/// A call under way: the texts of its arguments as far as they are known before it.
pub struct Traced {
    texts: Vec<Option<String>>,
}

/// The arguments as text, taken before the call; `None` where calls are not traced.
pub fn enter(thread: &Thread, request: &SyscallRequest) -> Option<Traced> {
    if !is_traced(thread) {
        return None;
    }
    let entry = thread.process.dispatch.entry(request.number);
    let call = Call { args: &request.args, layout: layout(thread), result: None };
    let texts = match entry {
        None => request.args.iter().map(|arg| Some(format!("{arg:#x}"))).collect(),
        Some(entry) => {
            let before = |(index, kind): (usize, Kind)| (!kind.is_result()).then(|| call.text(index, kind));
            let params = &entry.params[..call.shown(entry.params)];
            params.iter().map(|param| param.kind).enumerate().map(before).collect()
        }
    };
    let traced = Traced { texts };
    if entry.is_some_and(|entry| matches!(entry.name, "exit" | "exit_group")) {
        write(thread, request, &traced, &call, "?");
    }
    Some(traced)
}

/// Whether lines are wanted.
fn is_traced(thread: &Thread) -> bool {
    thread.process.options.strace || crate::debug::enabled(crate::debug::item::STRACE)
}

fn layout(thread: &Thread) -> KernelLayout {
    thread.vcpu.env.arch.linux().layout()
}

/// Writes the line, with the result.
pub fn leave(thread: &Thread, request: &SyscallRequest, done: Done, traced: Option<Traced>) {
    let Some(traced) = traced else { return };
    let name = thread.process.dispatch.entry(request.number).map_or("", |entry| entry.name);
    let (value, text) = match done {
        Done::Value(value) if (-4095..0).contains(&value) => {
            let errno = -value as i32;
            let text = format!("-1 {} ({})", super::errno::name(errno), crate::loader::errno_text(errno));
            (value, text)
        }
        Done::Value(value) if matches!(name, "mmap" | "mremap" | "brk" | "shmat") => {
            (value, format!("{value:#x}"))
        }
        Done::Value(value) => (value, value.to_string()),
        Done::Interrupted => (-1, "? (to be restarted)".to_owned()),
        // A call that did not return after all, or one whose line was written before.
        Done::Replaced | Done::Exited if name == "rt_sigreturn" => (-1, "? (registers restored)".to_owned()),
        Done::Replaced | Done::Exited => return,
    };
    let call = Call { args: &request.args, layout: layout(thread), result: Some(value) };
    write(thread, request, &traced, &call, &text);
}

fn write(thread: &Thread, request: &SyscallRequest, traced: &Traced, call: &Call, result: &str) {
    let entry: Option<&Entry> = thread.process.dispatch.entry(request.number);
    let name = entry.map_or_else(|| format!("syscall_{:#x}", request.number), |entry| entry.name.to_owned());
    let late = |index: usize| entry.map_or(String::new(), |entry| call.text(index, entry.params[index].kind));
    let texts =
        traced.texts.iter().enumerate().map(|(index, text)| text.clone().unwrap_or_else(|| late(index)));
    let arguments = texts.collect::<Vec<_>>().join(", ");
    crate::log::write(&format!("{} {name}({arguments}) = {result}\n", thread.tid()));
}

/// The call that this program owes its start to.
pub fn executed(thread: &Thread, path: &CStr, arguments: &[CString]) {
    if !is_traced(thread) {
        return;
    }
    let quoted = |text: &CStr| format!("\"{}\"", text.to_bytes().escape_ascii());
    let list: Vec<_> = arguments.iter().map(|argument| quoted(argument)).collect();
    let (tid, path) = (thread.tid(), quoted(path));
    crate::log::write(&format!("{tid} execve({path}, [{}], ...) = 0\n", list.join(", ")));
}

/// A signal that reaches the guest: its `siginfo_t`, as strace shows it.
pub fn signal(thread: &Thread, info: &[u8; 128]) {
    if is_traced(thread) {
        crate::log::write(&format!("{} --- {} ---\n", thread.tid(), structures::signal_info(info)));
    }
}
