//! Jumps to addresses that do not exist: the jump faults, with #GP, and has changed nothing.
//!
//! To look at every jump's target would cost calls and returns some 10 %. So they are made, there is nothing to fetch,
//! and then they are taken back: what a jump has done to the stack pointer follows from the instruction.

use crate::linux::exception::{decode, is_canonical, register};
use crate::state::RSP;
use guest::state::{GuestState, JUMPED_FROM};
use guest::{GuestAddr, GuestMemory, Trap};
use iced_x86::{FlowControl, Instruction, OpKind};

/// Puts the state back to before the jump to its pc, where that is no address.
pub(crate) fn take_back(state: &mut GuestState, memory: &dyn GuestMemory) -> Option<Trap> {
    if is_canonical(state.pc(), 1) {
        return None;
    }
    let from = state.u64(JUMPED_FROM);
    let insn = decode(from, memory)?;
    let moved = i64::from(insn.stack_pointer_increment());
    let rsp = state.u64(RSP);
    state.set_u64(RSP, rsp.wrapping_sub_signed(moved));
    // The pc may have come from elsewhere: a signal handler, a system call.
    if target(&insn, state, memory) != Some(state.pc()) {
        state.set_u64(RSP, rsp);
        return None;
    }
    state.set_pc(from);
    Some(Trap::GeneralProtection)
}

/// Where the indirect jump leads from this state.
fn target(insn: &Instruction, state: &GuestState, memory: &dyn GuestMemory) -> Option<u64> {
    let from = match insn.flow_control() {
        FlowControl::Return => state.u64(RSP),
        FlowControl::IndirectBranch | FlowControl::IndirectCall => match insn.op0_kind() {
            OpKind::Register => return register(insn.op0_register(), state),
            _ => insn.virtual_address(0, 0, |reg, _, _| register(reg, state))?,
        },
        _ => return None,
    };
    memory.read_u64(GuestAddr(from)).ok()
}
