//! The alternate signal stack (kernel/signal.c, `do_sigaltstack`).
//!
//! One that disarms itself (`SS_AUTODISARM`) is gone while a handler runs, so that the handler may leave for another stack; what
//! `rt_sigreturn` finds in the frame brings it back.

use super::table::Done;
use super::thread::Thread;
use super::{read_guest, write_guest};
use guest::linux::AltStack;

const SS_ONSTACK: u32 = libc::SS_ONSTACK as u32;
const SS_DISABLE: u32 = libc::SS_DISABLE as u32;
const SS_AUTODISARM: u32 = 1 << 31;

/// None, as threads start with, and as it is after one has disarmed itself.
pub const RESET: AltStack = AltStack { sp: 0, flags: SS_DISABLE, size: 0 };

/// Whether `stack` is in use where the stack pointer is `sp`, and so not to be changed.
pub fn in_use(stack: &AltStack, sp: u64) -> bool {
    stack.flags & SS_AUTODISARM == 0 && stack.holds(sp)
}

/// Whether a handler that asks for it goes there from `sp`.
pub fn is_entered_from(stack: &AltStack, sp: u64) -> bool {
    stack.size != 0 && !in_use(stack, sp)
}

/// A handler has been entered.
pub fn entered_handler(stack: &mut AltStack) {
    if stack.flags & SS_AUTODISARM != 0 {
        *stack = RESET;
    }
}

/// Makes `new` the stack of a thread whose stack pointer is `sp`.
pub fn change(thread: &mut Thread, new: AltStack, sp: u64) -> Result<(), i32> {
    if in_use(&thread.alt_stack, sp) {
        return Err(libc::EPERM);
    }
    let mode = new.flags & !SS_AUTODISARM;
    if !matches!(mode, 0 | SS_DISABLE | SS_ONSTACK) {
        return Err(libc::EINVAL);
    }
    if new == thread.alt_stack {
        return Ok(());
    }
    if mode != SS_DISABLE && new.size < thread.vcpu.env.arch.linux().min_signal_stack() {
        return Err(libc::ENOMEM);
    }
    thread.alt_stack = if mode == SS_DISABLE { AltStack { sp: 0, size: 0, ..new } } else { new };
    Ok(())
}

pub fn sigaltstack(thread: &mut Thread, args: &[u64; 6]) -> Done {
    change_and_show(thread, args).map(|()| 0).into()
}

fn change_and_show(thread: &mut Thread, &[new, old, ..]: &[u64; 6]) -> Result<(), i32> {
    let sp = thread.vcpu.env.arch.stack_pointer(&thread.vcpu.state).raw();
    let before = thread.alt_stack;
    if new != 0 {
        change(thread, from_bytes(&read_guest(new)?), sp)?;
    }
    if old != 0 {
        write_guest(old, &bytes(&shown(&before, sp)))?;
    }
    Ok(())
}

/// As `sigaltstack` tells of it.
fn shown(stack: &AltStack, sp: u64) -> AltStack {
    let state = match stack.size {
        0 => SS_DISABLE,
        _ if in_use(stack, sp) => SS_ONSTACK,
        _ => 0,
    };
    AltStack { flags: stack.flags & SS_AUTODISARM | state, ..*stack }
}

/// `stack_t`.
fn from_bytes(bytes: &[u8; 24]) -> AltStack {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    AltStack { sp: word(0), flags: word(8) as u32, size: word(16) }
}

fn bytes(stack: &AltStack) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&stack.sp.to_le_bytes());
    bytes[8..12].copy_from_slice(&stack.flags.to_le_bytes());
    bytes[16..].copy_from_slice(&stack.size.to_le_bytes());
    bytes
}
