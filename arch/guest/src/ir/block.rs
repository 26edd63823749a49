//! A block: ops, instruction boundaries, and how it ends.

use super::{Op, Val};
use crate::{GuestAddr, Trap};

/// What a jump is for, as far as return prediction cares, and whether anything else must look first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    None,
    /// A call; this is where it returns to.
    Call(GuestAddr),
    Return,
    /// Goes on through the translator, as [`Terminator::Resync`] does. For indirect jumps.
    Resync,
}

/// How a block ends.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Terminator {
    /// Goes on at a constant address.
    Jump { target: GuestAddr, hint: Hint },
    /// `cond != 0 ? taken : other`
    Branch { cond: Val, taken: GuestAddr, other: GuestAddr },
    /// Goes on at a computed address.
    Indirect { target: Val, hint: Hint },
    /// A system call; execution goes on at `next`.
    Syscall { next: GuestAddr },
    /// Raises a trap with the guest pc at `pc`.
    Trap { trap: Trap, pc: GuestAddr },
    /// The instruction at `pc` could not be fetched: byte `fault` is not executable memory.
    FetchFault { pc: GuestAddr, fault: GuestAddr },
    /// Goes on at `next`, but through the translator: code or control state may have changed.
    Resync { next: GuestAddr },
}

/// A guest instruction's place in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsnMark {
    /// Index of its first op. The ops go up to the next mark's.
    pub first_op: u32,
    pub pc: GuestAddr,
    /// Length in bytes.
    pub len: u8,
}

/// What a float op gives where an operand is a NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NanRule {
    /// The first NaN operand, quieted; a made-up NaN is negative (SSE).
    X86,
    /// The first signalling, else the first quiet NaN operand, quieted; a made-up NaN is positive.
    Arm,
    /// Always the positive default NaN (AArch64 with FPCR.DN).
    ArmDefault,
    /// AArch64 with other bits of [`crate::arm_float::control`]: everything by the manual's pseudocode.
    ArmControl(u8),
}

impl NanRule {
    /// AArch64's rule for these bits of [`crate::arm_float::control`].
    #[must_use]
    pub const fn arm(control: u8) -> Self {
        match control {
            0 => Self::Arm,
            crate::arm_float::control::DEFAULT_NAN => Self::ArmDefault,
            other => Self::ArmControl(other),
        }
    }

    /// The bits that [`Self::arm`] takes.
    #[must_use]
    pub const fn control(self) -> u8 {
        match self {
            Self::X86 | Self::Arm => 0,
            Self::ArmDefault => crate::arm_float::control::DEFAULT_NAN,
            Self::ArmControl(control) => control,
        }
    }

    /// Whether no host instruction does what the rule says.
    #[must_use]
    pub const fn is_soft(self) -> bool {
        matches!(self, Self::ArmControl(_))
    }
}

/// A lifted block.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    /// The guest pc of the first instruction.
    pub pc: GuestAddr,
    pub ops: Vec<Op>,
    pub insns: Vec<InsnMark>,
    /// Vector constants, one 16-byte unit each.
    pub pool: Vec<u128>,
    pub terminator: Terminator,
    pub nan_rule: NanRule,
    /// Cells that its values take.
    pub cells: u16,
}

impl Block {
    /// The instruction that op `index` belongs to.
    #[must_use]
    pub fn insn_at(&self, index: usize) -> Option<&InsnMark> {
        let after = self.insns.partition_point(|mark| mark.first_op as usize <= index);
        self.insns[..after].last()
    }

    /// Bytes of guest code from the first instruction's start to the last one's end.
    #[must_use]
    pub fn code_len(&self) -> u64 {
        self.insns.last().map_or(0, |last| last.pc.offset(i64::from(last.len)).0.wrapping_sub(self.pc.0))
    }
}
