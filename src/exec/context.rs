//! The machine, as helpers see it.

use super::Env;
use crate::host::{guest_strings, tsc, x87};
use crate::mem::{access, is_present, space, untagged};
use guest::helper::{Direction, F80, HelperContext, StringOp, StringRun, X87Op, X87Result};
use guest::ir::Width;
use guest::state::GuestState;
use guest::{Fault, GuestAddr, GuestMemory};

/// One helper call's view of its thread.
pub struct Context<'a> {
    state: &'a mut GuestState,
    env: &'a Env,
}

impl<'a> Context<'a> {
    pub fn new(state: &'a mut GuestState, env: &'a Env) -> Self {
        Self { state, env }
    }
}

impl HelperContext for Context<'_> {
    fn state(&mut self) -> &mut GuestState {
        self.state
    }
    fn memory(&self) -> &dyn GuestMemory {
        &AsInstructions
    }
    fn probe_write(&self, addr: GuestAddr, len: u64) -> Result<(), Fault> {
        access::probe_write(addr, len)
    }
    fn repeat_string(
        &mut self,
        op: StringOp,
        w: Width,
        direction: Direction,
        run: &mut StringRun,
    ) -> Result<(), Fault> {
        guest_strings::repeat(op, w, direction, run)
    }
    fn timestamp(&mut self) -> u64 {
        tsc::timestamp()
    }
    fn nanoseconds(&mut self) -> u64 {
        tsc::nanoseconds()
    }
    fn cpu_number(&mut self) -> u32 {
        tsc::cpu_number()
    }
    fn random(&mut self) -> u64 {
        crate::host::random::word()
    }
    fn drop_code(&mut self, addr: GuestAddr) {
        let addr = untagged(addr).unwrap_or(addr).raw();
        space().invalidate_code(addr..addr.saturating_add(1));
    }
    fn features(&self) -> u64 {
        self.env.features
    }
    fn x87(&mut self, op: X87Op, control: u16, a: F80, b: F80) -> X87Result {
        x87::execute(op, control, a, b)
    }
}

/// Guest memory as instructions access it: a write into a page with translations is a fault, and so is a signal at an
/// access that waits; the run loop answers them.
struct AsInstructions;

impl GuestMemory for AsInstructions {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault> {
        access::read_by_instruction(addr, out)
    }
    fn write(&self, addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
        access::write_by_instruction(addr, data)
    }
    fn is_present(&self, addr: GuestAddr) -> bool {
        is_present(addr)
    }
}
