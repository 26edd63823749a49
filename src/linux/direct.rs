//! System calls that are made without leaving the loop over translations.
//!
//! Most calls are the host kernel's alone: nobody else has a say in them, and nothing of ours is touched. For those the
//! way out to the thread and back costs more than the call itself. Whatever asks for more goes that way, as if it had not been
//! tried here.

use super::dispatch::{Blocking, Direct, Dispatch};
use super::{process_memory, seccomp};
use crate::exec::Env;
use crate::host::signals::Port;
use crate::host::{kept, layout, sys};
use crate::mem::{self, space};
use guest::GuestAddr;
use guest::state::GuestState;

/// Makes the call that the state is behind, if it may be made here. Whether it was: the thread goes on at the state's pc.
pub fn call(env: &Env, state: &mut GuestState, port: &Port) -> bool {
    if seccomp::is_active() {
        return false;
    }
    let linux = env.arch.linux();
    let request = linux.enter_syscall(state);
    let Some(call) = Dispatch::running().and_then(|table| table.entry(request.number)?.direct) else {
        return false;
    };
    let Some(result) = call.make(&request.args, port) else { return false };
    if result == sys::INTERRUPTED {
        linux.rewind_syscall(state, &request);
    } else {
        linux.set_syscall_result(state, result as u64);
    }
    true
}

impl Direct {
    /// Makes the call, if it may be made here; what the kernel gave, or [`sys::INTERRUPTED`].
    #[inline]
    pub fn make(self, args: &[u64; 6], port: &Port) -> Option<i64> {
        if !self.is_plain(args) {
            return None;
        }
        let result = match self.blocking {
            Blocking::No => sys::syscall(self.host, *args),
            Blocking::Yes => sys::interruptible(self.host, *args, &port.poll),
        };
        kept::keep_away_from(result);
        Some(result)
    }

    /// Whether these arguments are the kernel's as they are.
    #[inline]
    fn is_plain(self, args: &[u64; 6]) -> bool {
        let code_may_change = space().has_shared_code() || self.writes && space().has_protected_code();
        if code_may_change || process_memory::is_opened() {
            return false;
        }
        let tags = mem::ignores_top_byte();
        let special = |arg: u64| layout::is_ours(arg) || tags && mem::untagged(GuestAddr(arg)).is_some();
        let ours = |index: usize| self.descriptors >> index & 1 != 0 && kept::is_ours(args[index] as i32);
        let refused =
            args.iter().any(|&arg| special(arg)) || self.descriptors != 0 && (0..args.len()).any(ours);
        !refused
    }
}
