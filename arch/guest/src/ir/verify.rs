//! The IR verifier: run on every block in checked builds.
//!
//! Besides types and definitions it enforces the rule that precise faults rest on: within a guest
//! instruction no state is written before the last op that may leave the block, so that the state at
//! a fault is that of the instruction's start.

use super::{Block, Effect, Kind, MAX_CELLS, Op, Terminator, Val, VecLen};
use crate::state::STATE_SIZE;

/// A block that breaks the rules: a lifter's or a pass's bug.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("op {index} ({op}): v{value} is used before it is defined")]
    Undefined { index: usize, op: String, value: u16 },
    #[error("op {index} ({op}): v{value} has the wrong kind")]
    WrongKind { index: usize, op: String, value: u16 },
    #[error("op {index} ({op}): v{value} is defined twice or lies outside the value file")]
    BadDefinition { index: usize, op: String, value: u16 },
    #[error("op {index} ({op}): state slot out of range")]
    BadSlot { index: usize, op: String },
    #[error("op {index} ({op}): may leave the block after its instruction has written state")]
    LateExit { index: usize, op: String },
    #[error("op {index} ({op}): bad immediate")]
    BadImmediate { index: usize, op: String },
    #[error("instruction marks are not in order")]
    BadMarks,
    #[error("the terminator uses undefined value v{value}")]
    BadTerminator { value: u16 },
}

/// Checks `block`.
pub fn verify(block: &Block) -> Result<(), VerifyError> {
    let mut kinds: Vec<Option<Kind>> = vec![None; MAX_CELLS];
    check_marks(block)?;
    for (index, &op) in block.ops.iter().enumerate() {
        check_uses(index, op, &kinds)?;
        check_fields(index, op, block)?;
        define(index, op, &mut kinds)?;
    }
    check_exits(block)?;
    let used = match block.terminator {
        Terminator::Branch { cond, .. } => Some(cond),
        Terminator::Indirect { target, .. } => Some(target),
        _ => None,
    };
    match used {
        Some(v) if kinds.get(usize::from(v.0)).copied().flatten() != Some(Kind::Int) => {
            Err(VerifyError::BadTerminator { value: v.0 })
        }
        _ => Ok(()),
    }
}

fn check_marks(block: &Block) -> Result<(), VerifyError> {
    let ordered = block.insns.windows(2).all(|w| w[0].first_op <= w[1].first_op);
    let inside = block.insns.last().is_none_or(|m| m.first_op as usize <= block.ops.len());
    let covered = block.ops.is_empty() || block.insns.first().is_some_and(|m| m.first_op == 0);
    if ordered && inside && covered { Ok(()) } else { Err(VerifyError::BadMarks) }
}

fn check_uses(index: usize, op: Op, kinds: &[Option<Kind>]) -> Result<(), VerifyError> {
    let mut result = Ok(());
    let mut position = 0;
    op.for_each_use(|v| {
        let found = kinds.get(usize::from(v.0)).copied().flatten();
        let fits = match found {
            None => {
                result = Err(VerifyError::Undefined { index, op: op.to_string(), value: v.0 });
                return;
            }
            Some(kind) => operand_fits(op, position, kind),
        };
        if !fits && result.is_ok() {
            result = Err(VerifyError::WrongKind { index, op: op.to_string(), value: v.0 });
        }
        position += 1;
    });
    result
}

/// Whether operand number `position` of `op` may be of this kind.
fn operand_fits(op: Op, position: usize, kind: Kind) -> bool {
    let vector = |n| kind == Kind::Vector(n);
    let int = kind == Kind::Int;
    match op {
        Op::Vpair { .. }
        | Op::Vsplat { .. }
        | Op::Vload { .. }
        | Op::Load128 { .. }
        | Op::LoadEx128 { .. } => int,
        Op::Vinsert { n, .. } | Op::Vshl { n, .. } | Op::Vshr { n, .. } | Op::Vsar { n, .. } => {
            if position == 0 { vector(n) } else { int }
        }
        Op::Cas128 { .. } | Op::StoreEx128 { .. } => {
            if position == 0 {
                int
            } else {
                vector(VecLen::X1)
            }
        }
        Op::Vstore { n, .. } => {
            if position == 0 {
                int
            } else {
                vector(n)
            }
        }
        Op::Vjoin { n, .. } => n.half().is_some_and(vector),
        Op::Vpart { n, from, .. } => match kind {
            Kind::Vector(whole) => usize::from(from) + n.units() <= whole.units(),
            Kind::Int => false,
        },
        Op::Vput { n, .. } | Op::Vextract { n, .. } | Op::Vmovmask { n, .. } | Op::Vreduce { n, .. } => {
            vector(n)
        }
        other => match other.result() {
            Some((_, Kind::Vector(n))) => vector(n),
            _ => int,
        },
    }
}

fn check_fields(index: usize, op: Op, block: &Block) -> Result<(), VerifyError> {
    let end = |slot: crate::state::Slot, bytes: usize| usize::from(slot.0) + bytes <= STATE_SIZE;
    let slots_fit = match op {
        Op::Get { w, slot, .. } | Op::Put { w, slot, .. } => end(slot, w.bytes() as usize),
        Op::Vget { n, slot, .. } | Op::Vput { n, slot, .. } => end(slot, 16 * n.units()),
        _ => true,
    };
    if !slots_fit {
        return Err(VerifyError::BadSlot { index, op: op.to_string() });
    }
    let bits_fit = |lsb: u8, len: u8| len >= 1 && u32::from(lsb) + u32::from(len) <= 64;
    let immediates_fit = match op {
        Op::Extract { lsb, len, .. } | Op::Sextract { lsb, len, .. } | Op::Deposit { lsb, len, .. } => {
            bits_fit(lsb, len)
        }
        Op::Vextract { n, lane, index, .. } | Op::Vinsert { n, lane, index, .. } => {
            usize::from(index) < 16 * n.units() / lane.bytes()
        }
        Op::Vconst { index, .. } => usize::from(index) < block.pool.len(),
        Op::TrapIf { trap, .. } => crate::Trap::from_number(trap).is_some(),
        Op::Vmull { lane, .. } | Op::Vwiden { lane, .. } => lane.wider().is_some(),
        Op::Vnarrow { lane, .. } => lane.narrower().is_some(),
        _ => true,
    };
    if immediates_fit { Ok(()) } else { Err(VerifyError::BadImmediate { index, op: op.to_string() }) }
}

fn define(index: usize, op: Op, kinds: &mut [Option<Kind>]) -> Result<(), VerifyError> {
    let Some((Val(value), kind)) = op.result() else { return Ok(()) };
    let cells = match kind {
        Kind::Int => 1,
        Kind::Vector(n) => 2 * n.units(),
    };
    let first = usize::from(value);
    let free = first + cells <= kinds.len() && kinds[first..first + cells].iter().all(Option::is_none);
    if !free {
        return Err(VerifyError::BadDefinition { index, op: op.to_string(), value });
    }
    kinds[first] = Some(kind);
    Ok(())
}

fn check_exits(block: &Block) -> Result<(), VerifyError> {
    let mut written = false;
    let mut marks = block.insns.iter().peekable();
    for (index, &op) in block.ops.iter().enumerate() {
        while marks.peek().is_some_and(|m| m.first_op as usize <= index) {
            marks.next();
            written = false;
        }
        if written && op.effect().may_exit() && !harmless(op) && !matches!(op, Op::SideExit { .. }) {
            return Err(VerifyError::LateExit { index, op: op.to_string() });
        }
        written |= op.effect() == Effect::WritesState;
    }
    Ok(())
}

/// Ops that count as commits but never leave the block.
fn harmless(op: Op) -> bool {
    matches!(op, Op::FpenvGet { .. } | Op::FpenvSet { .. } | Op::Fence { .. } | Op::ClearEx {})
}
