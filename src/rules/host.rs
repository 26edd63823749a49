//! What the rule engine needs of the thread whose system call it handles.
//!
//! The rule engine never sees the run loop, guest memory or the dispatcher: it sees this trait, so it
//! can be tested against a fake thread.

use guest::{GuestAddr, regs::RegisterTable, state::GuestState};

/// How a system call made from a rule ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallEnd {
    /// It returned this to its caller (a value, or `-errno`).
    Returned(i64),
    /// It does not return to its caller: the thread is exiting, its program was replaced, or its whole
    /// register state was (`rt_sigreturn`). The rule must be unwound and has no result.
    Diverged,
}

/// The guest thread a rule runs for.
pub trait RuleHost {
    /// Copies guest memory at `addr` into `out`; the number of bytes before the first unreadable one.
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> usize;
    /// Copies `data` to guest memory at `addr`; the number of bytes before the first unwritable one.
    fn write(&mut self, addr: GuestAddr, data: &[u8]) -> usize;
    /// Makes the system call `number` of the guest's own table, without consulting any rule.
    fn syscall(&mut self, number: u64, args: [u64; 8]) -> CallEnd;
    fn register_table(&self) -> RegisterTable;
    fn state(&mut self) -> &mut GuestState;
    /// The host address that backs a guest address.
    fn guest_to_host(&self, addr: GuestAddr) -> usize;
    /// The guest address that a host address backs, if it is guest memory's.
    fn host_to_guest(&self, addr: usize) -> Option<GuestAddr>;
}
