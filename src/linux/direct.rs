//! System calls that are made without leaving the loop over translations.
//!
//! Most calls are the host kernel's alone: nobody else has a say in them, and nothing of ours is touched. For those the
//! way out to the thread and back costs more than the call itself. Whatever asks for more goes that way, as if it had not been
//! tried here.

use super::dispatch::{self, Blocking, Direct, Dispatch, Entry};
use super::table::Done;
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
    let entry = Dispatch::running().and_then(|table| table.entry(request.number));
    match entry.and_then(|entry| entry.directly(&request.args, port)) {
        Some(Done::Value(result)) => linux.set_syscall_result(state, result as u64),
        Some(_) => linux.rewind_syscall(state, &request),
        None => return false,
    }
    true
}

impl Entry {
    /// Makes the call, if only the host kernel has a say in it. It returns, or a signal comes first.
    #[inline]
    pub fn directly(&self, args: &[u64; 6], port: &Port) -> Option<Done> {
        let call = self.direct.filter(|call| call.is_plain(args))?;
        let done = Done::raw(match call.blocking {
            Blocking::No => sys::syscall(call.host, *args),
            Blocking::Yes => sys::interruptible(call.host, *args, &port.poll),
        });
        dispatch::after(self, args, done);
        Some(done)
    }
}

impl Direct {
    /// Whether these arguments are the kernel's as they are.
    #[inline]
    fn is_plain(self, args: &[u64; 6]) -> bool {
        if process_memory::is_opened() || self.writes && space().has_protected_code() {
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
