//! Arguments of `clone` and `clone3`: there are those that the flags ask for.

use super::show::Call;
use super::structures::{length, value};
use super::values::{bits, number, pointer, signal};
use crate::linux::table::names as n;
use crate::mem::Memory;
use guest::GuestAddr;

const PIDFD: u64 = libc::CLONE_PIDFD as u64;
const SETTLS: u64 = libc::CLONE_SETTLS as u64;
const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
const CHILD_TID: u64 = (libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID) as u64;

/// The number that a successful call has left there.
fn given(call: &Call, addr: u64) -> String {
    if call.result.is_some_and(|result| result < 0) || addr == 0 {
        return pointer(addr);
    }
    format!("[{}]", length(addr) as i32)
}

/// All arguments of `clone`.
pub fn clone(call: &Call) -> String {
    let [flags, stack, parent_tid, ..] = *call.args;
    let (tls, child_tid) = call.linux.clone_tls_and_child_tid(call.args);
    let mut texts = vec![format!("child_stack={}", pointer(stack)), format!("flags={}", clone_flags(flags))];
    if flags & (PARENT_SETTID | PIDFD) != 0 {
        texts.push(format!("parent_tid={}", given(call, parent_tid)));
    }
    if flags & SETTLS != 0 {
        texts.push(format!("tls={}", pointer(tls)));
    }
    if flags & CHILD_TID != 0 {
        texts.push(format!("child_tidptr={}", pointer(child_tid)));
    }
    texts.join(", ")
}

/// Flags, and the signal that the child's end sends.
fn clone_flags(flags: u64) -> String {
    const SIGNAL: u64 = 0xff;
    let named = bits(n::CLONE, flags & !SIGNAL & 0xffff_ffff);
    match (flags & SIGNAL, flags & !SIGNAL) {
        (0, _) => named,
        (number, 0) => signal(number as i32),
        (number, _) => format!("{named}|{}", signal(number as i32)),
    }
}

/// `struct clone_args`, and what the call has written to where it says.
pub fn clone3(call: &Call, addr: u64, size: u64) -> String {
    /// The first version's size, and that of what is known.
    const SIZES: [usize; 2] = [64, 88];
    let mut bytes = [0; SIZES[1]];
    let want = (size as usize).clamp(SIZES[0], SIZES[1]);
    if size < SIZES[0] as u64 || Memory.read_prefix(GuestAddr(addr), &mut bytes[..want]) < want {
        return pointer(addr);
    }
    let word = |index: usize| value(&bytes, 8 * index, 8);
    let (flags, pidfd, parent_tid) = (word(0), word(1), word(3));
    let mut texts = vec![format!("flags={}", bits(n::CLONE, flags))];
    let mut field = |wanted: bool, name: &str, text: String| {
        if wanted {
            texts.push(format!("{name}={text}"));
        }
    };
    field(flags & PIDFD != 0, "pidfd", pointer(pidfd));
    field(flags & CHILD_TID != 0, "child_tid", pointer(word(2)));
    field(flags & PARENT_SETTID != 0, "parent_tid", pointer(parent_tid));
    field(true, "exit_signal", signal(word(4) as i32));
    field(true, "stack", pointer(word(5)));
    field(true, "stack_size", number(word(6)));
    field(flags & SETTLS != 0, "tls", pointer(word(7)));
    field(word(8) != 0 || word(9) != 0, "set_tid", super::structures::numbers(word(8), word(9)));
    field(word(8) != 0 || word(9) != 0, "set_tid_size", word(9).to_string());
    field(flags >> 33 & 1 != 0, "cgroup", (word(10) as i32).to_string());
    let mut written = Vec::new();
    if call.result.is_some_and(|result| result > 0) {
        let places = [(PIDFD, "pidfd", pidfd), (PARENT_SETTID, "parent_tid", parent_tid)];
        let asked = places.iter().filter(|(flag, ..)| flags & flag != 0);
        written.extend(asked.map(|(_, name, addr)| format!("{name}={}", given(call, *addr))));
    }
    let after = if written.is_empty() { String::new() } else { format!(" => {{{}}}", written.join(", ")) };
    format!("{{{}}}{after}", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_clone_have_a_signal_beside_them() {
        assert_eq!(clone_flags(0x11), "SIGCHLD");
        assert_eq!(clone_flags(0x4111), "CLONE_VM|CLONE_VFORK|SIGCHLD");
    }
}
