//! `-strace`: a line per system call, as strace writes it.
//!
//! What the kernel reads is shown as it was before the call, what it writes as it is after it; so a line is written
//! when the call has returned. Calls that end a thread are written at once, and `execve` by the new program. Each line starts with the thread's
//! number, because lines of several threads and processes share the log.

mod births;
mod results;
mod sets;
mod show;
mod signals;
mod sockets;
mod structures;
mod terminals;
mod values;

use super::Process;
use super::table::Done;
use super::table::kinds::{Kind, Returns};
use super::table::shapes::Shape;
use super::thread::Thread;
use guest::linux::SyscallRequest;
use show::Call;
use std::ffi::{CStr, CString};

/// A call under way: what its arguments are, and their texts as far as they are known before it.
pub struct Traced {
    kinds: Vec<Kind>,
    returns: Returns,
    texts: Vec<Option<String>>,
    rooms: [u32; 6],
}

/// The arguments as text, taken before the call; `None` where calls are not traced.
pub fn enter(thread: &Thread, request: &SyscallRequest) -> Option<Traced> {
    if !is_wanted(thread.process) {
        return None;
    }
    let entry = thread.process.dispatch.entry(request.number);
    let (kinds, returns) = match entry {
        Some(entry) => show::kinds(entry, &request.args),
        None => (vec![Kind::Hex; request.args.len()], Returns::Number),
    };
    let rooms = rooms(&kinds, &request.args);
    let call = Call { args: &request.args, linux: thread.vcpu.env.arch.linux(), result: None, rooms: &rooms };
    let before = |(index, kind): (usize, &Kind)| match kind.is_result() {
        true => Some(String::new()),
        false => call.text(index, *kind),
    };
    let texts = kinds.iter().enumerate().map(before).collect();
    let traced = Traced { kinds, returns, texts, rooms };
    if matches!(returns, Returns::Never) {
        write(thread, request, &traced, None, "?");
        crate::log::write(&format!("{} +++ exited with {} +++\n", thread.tid(), request.args[0] & 0xff));
    }
    Some(traced)
}

/// Whether lines are wanted.
pub fn is_wanted(process: &Process) -> bool {
    process.options.strace || crate::debug::enabled(crate::debug::item::STRACE)
}

/// The lengths that the call will change: those that are pointed to, and those in messages.
fn rooms(kinds: &[Kind], args: &[u64; 6]) -> [u32; 6] {
    let mut rooms = [0; 6];
    for (index, kind) in kinds.iter().enumerate() {
        rooms[index] = match kind {
            Kind::Length => structures::length(args[index]) as u32,
            Kind::Gives(Shape::Message) => sockets::room_of(args[index]),
            _ => 0,
        };
    }
    rooms
}

/// Writes the line, with the result.
pub fn leave(thread: &Thread, request: &SyscallRequest, done: Done, traced: Option<Traced>) {
    let Some(traced) = traced else { return };
    let Some((value, text)) = result(thread, request, done, &traced) else { return };
    write(thread, request, &traced, value, &text);
}

/// What the call gave, and that as text; nothing if there shall be no line.
fn result(
    thread: &Thread,
    request: &SyscallRequest,
    done: Done,
    traced: &Traced,
) -> Option<(Option<i64>, String)> {
    let sigreturn =
        thread.process.dispatch.entry(request.number).is_some_and(|entry| entry.name == "rt_sigreturn");
    match done {
        Done::Value(value) if (-4095..0).contains(&value) => Some((Some(value), error(-value as i32))),
        // Of a birth the parent tells.
        Done::Value(0) if matches!(traced.returns, Returns::Birth) => None,
        Done::Value(value) => {
            let linux = thread.vcpu.env.arch.linux();
            let call = Call { args: &request.args, linux, result: Some(value), rooms: &traced.rooms };
            Some((Some(value), results::text(&call, &traced.kinds, traced.returns, value)))
        }
        Done::Interrupted => {
            Some((Some(-1), "? ERESTARTSYS (To be restarted if SA_RESTART is set)".to_owned()))
        }
        // What the interrupted code has where a call would leave its result.
        Done::Replaced if sigreturn => {
            let value = thread.vcpu.env.arch.linux().syscall_result(&thread.vcpu.state) as i64;
            let is_error = (-4095..0).contains(&value);
            Some((None, if is_error { error(-value as i32) } else { value.to_string() }))
        }
        // A call that did not return after all, or one whose line was written before.
        Done::Replaced | Done::Exited => None,
    }
}

fn error(errno: i32) -> String {
    format!("-1 {} ({})", super::errno::name(errno), crate::loader::errno_text(errno))
}

fn write(thread: &Thread, request: &SyscallRequest, traced: &Traced, value: Option<i64>, result: &str) {
    let entry = thread.process.dispatch.entry(request.number);
    let name = entry.map_or_else(|| format!("syscall_{:#x}", request.number), |entry| entry.name.to_owned());
    let linux = thread.vcpu.env.arch.linux();
    let call = Call { args: &request.args, linux, result: value, rooms: &traced.rooms };
    let late = |(index, kind): (usize, &Kind)| match kind.is_result() {
        true => call.text(index, *kind),
        false => traced.texts[index].clone(),
    };
    let mut arguments = traced.kinds.iter().enumerate().filter_map(late).collect::<Vec<_>>().join(", ");
    if name == "rt_sigreturn" {
        // What it takes is in the frame, and has become the thread's mask.
        arguments = format!("{{mask={}}}", signals::set(thread.mask));
    }
    crate::log::write(&format!("{} {name}({arguments}) = {result}\n", thread.tid()));
}

/// The call that this program owes its start to; its environment is shown where it is now.
pub fn executed(thread: &Thread, path: &CStr, arguments: &[CString], variables: u64) {
    if !is_wanted(thread.process) {
        return;
    }
    let list: Vec<_> = arguments.iter().map(|argument| shown(argument.to_bytes())).collect();
    let (tid, path) = (thread.tid(), values::quoted(path.to_bytes()));
    let variables = values::variables(variables);
    crate::log::write(&format!("{tid} execve({path}, [{}], {variables}) = 0\n", list.join(", ")));
}

/// A string as it is shown: its start.
fn shown(bytes: &[u8]) -> String {
    match bytes.get(..values::SHOWN) {
        Some(start) if bytes.len() > values::SHOWN => format!("{}...", values::quoted(start)),
        _ => values::quoted(bytes),
    }
}

/// The process ends by a signal.
pub fn killed(thread: &Thread, signal: i32) {
    if is_wanted(thread.process) {
        crate::log::write(&format!("{} +++ killed by {} +++\n", thread.tid(), values::signal(signal)));
    }
}

/// A signal that reaches the guest: its `siginfo_t`, as strace shows it.
pub fn signal(thread: &Thread, info: &[u8; 128]) {
    if is_wanted(thread.process) {
        let number = structures::value(info, 0, 4) as i32;
        let (name, info) = (values::signal(number), signals::info(info));
        crate::log::write(&format!("{} --- {name} {info} ---\n", thread.tid()));
    }
}
