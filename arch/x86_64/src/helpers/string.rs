//! Repeated string instructions, in bulk.
//!
//! The machine runs them as a whole ([`HelperContext::repeat_string`]). Here is what the guest's registers add: 32-bit
//! addresses that wrap around, the source's segment, and an end now and then, so that signals are never held up.

use crate::state::{DF, EFLAGS_REST, RAX, RCX, RDI, RSI, eflags};
use guest::GuestAddr;
use guest::helper::{Direction, HelperContext, HelperExit, StringOp, StringRun};
use guest::ir::flags::FlagRecord;
use guest::ir::{Width, flag};
use guest::state::vector_slot;

type Outcome = Result<u64, HelperExit>;

/// Elements that one call does before it returns to let signals in: some 100 us of work.
const PER_CALL: u64 = 1 << 18;

/// What the instruction asks for, as the lifter passes it.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub size: Width,
    pub address32: bool,
    /// `REPE` rather than `REPNE`.
    pub while_equal: bool,
}

impl How {
    pub(crate) fn encode(self) -> u64 {
        u64::from(self.size.bytes()) | u64::from(self.address32) << 8 | u64::from(self.while_equal) << 9
    }

    fn decode(code: u64) -> Self {
        Self {
            size: Width::from_bytes((code & 0xff) as usize).unwrap_or(Width::W8),
            address32: code & 0x100 != 0,
            while_equal: code & 0x200 != 0,
        }
    }

    fn mask(self) -> u64 {
        if self.address32 { Width::W32.mask() } else { u64::MAX }
    }

    /// Elements that a pointer at `at` can pass before it wraps around: all, where it is as wide as addresses are.
    fn before_wrap(self, at: u64, direction: Direction) -> u64 {
        let size = u64::from(self.size.bytes());
        match (self.address32, direction) {
            (false, _) => u64::MAX,
            (true, Direction::Up) => (self.mask() - at) / size + 1,
            (true, Direction::Down) => at / size + 1,
        }
    }
}

/// Which of the pointers an operation moves.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moves {
    source: bool,
    dest: bool,
}

/// `REP MOVS`
pub(super) fn rep_movs(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    repeat(cx, How::decode(how), base, StringOp::Movs)
}

/// `REP STOS`
pub(super) fn rep_stos(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    repeat(cx, How::decode(how), base, StringOp::Stos)
}

/// `REP LODS`: only the last element stays, but every one is read.
pub(super) fn rep_lods(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    repeat(cx, How::decode(how), base, StringOp::Lods)
}

/// `REPE CMPS`, `REPNE CMPS`
pub(super) fn rep_cmps(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    let how = How::decode(how);
    let op = if how.while_equal { StringOp::CmpsWhileEqual } else { StringOp::CmpsUntilEqual };
    repeat(cx, how, base, op)
}

/// `REPE SCAS`, `REPNE SCAS`
pub(super) fn rep_scas(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    let how = How::decode(how);
    let op = if how.while_equal { StringOp::ScasWhileEqual } else { StringOp::ScasUntilEqual };
    repeat(cx, how, base, op)
}

/// Runs until the count is 0, a comparison ends it, or enough is done: one element, if each is to be trapped (SDM
/// vol. 3B, 17.3.1.4). Gives 1 where the instruction is complete. At a fault the registers say how far it has come, and
/// the flags are those from before the instruction (SDM vol. 2B, `REP`).
fn repeat(cx: &mut dyn HelperContext, how: How, base: u64, op: StringOp) -> Outcome {
    let state = cx.state();
    let [rsi, rdi, rcx] = [RSI, RDI, RCX].map(|slot| state.u64(slot) & how.mask());
    if rcx == 0 {
        return Ok(1);
    }
    let direction = if state.u64(DF) == 0 { Direction::Up } else { Direction::Down };
    let moves = moves(op);
    let stepped = state.u64(EFLAGS_REST) & eflags::TF != 0;
    let mut count = if stepped { 1 } else { rcx.min(PER_CALL) };
    if moves.source {
        count = count.min(how.before_wrap(rsi, direction));
    }
    if moves.dest {
        count = count.min(how.before_wrap(rdi, direction));
    }
    let accumulator = state.u64(RAX);
    let mut run = StringRun { source: base.wrapping_add(rsi), dest: rdi, count, accumulator, flags: 0 };
    let outcome = cx.repeat_string(op, how.size, direction, &mut run);
    let state = cx.state();
    let left = rcx - (count - run.count);
    if left != rcx {
        state.set_u64(RCX, left);
        state.set_u64(RAX, run.accumulator);
        if moves.source {
            state.set_u64(RSI, run.source.wrapping_sub(base) & how.mask());
        }
        if moves.dest {
            state.set_u64(RDI, run.dest & how.mask());
        }
    }
    outcome?;
    let complete = left == 0 || is_last(op, run.flags);
    if op.compares() && (complete || stepped) {
        FlagRecord::packed(run.flags & flag::ALL).store(cx.state());
    }
    Ok(complete.into())
}

fn moves(op: StringOp) -> Moves {
    match op {
        StringOp::Movs | StringOp::CmpsWhileEqual | StringOp::CmpsUntilEqual => {
            Moves { source: true, dest: true }
        }
        StringOp::Lods => Moves { source: true, dest: false },
        StringOp::Stos | StringOp::ScasWhileEqual | StringOp::ScasUntilEqual => {
            Moves { source: false, dest: true }
        }
    }
}

/// Whether the comparison with these flags ends the operation.
fn is_last(op: StringOp, flags: u64) -> bool {
    let equal = flags & flag::Z != 0;
    match op {
        StringOp::CmpsWhileEqual | StringOp::ScasWhileEqual => !equal,
        StringOp::CmpsUntilEqual | StringOp::ScasUntilEqual => equal,
        StringOp::Movs | StringOp::Stos | StringOp::Lods => false,
    }
}

/// `MASKMOVDQU`: bytes of vector register `register` whose bit is set in `mask`.
pub(super) fn masked_store(cx: &mut dyn HelperContext, addr: u64, mask: u64, register: u64) -> Outcome {
    let bytes = cx.state().u128(vector_slot(register as u16)).to_le_bytes();
    store_masked(cx, addr, mask, &bytes)
}

/// `MASKMOVQ`: the same for the bytes of `value`.
pub(super) fn masked_store64(cx: &mut dyn HelperContext, addr: u64, mask: u64, value: u64) -> Outcome {
    store_masked(cx, addr, mask, &value.to_le_bytes())
}

fn store_masked(cx: &mut dyn HelperContext, addr: u64, mask: u64, bytes: &[u8]) -> Outcome {
    for (i, byte) in bytes.iter().enumerate().filter(|(i, _)| mask >> i & 1 != 0) {
        cx.memory().write(GuestAddr(addr.wrapping_add(i as u64)), &[*byte])?;
    }
    Ok(0)
}
