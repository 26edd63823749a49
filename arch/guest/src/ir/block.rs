//! A block: ops, instruction boundaries, and how it ends.

use super::{Op, Val};
use crate::state::Slot;
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

impl Terminator {
    /// The value that it uses.
    #[must_use]
    pub const fn value(&self) -> Option<Val> {
        match *self {
            Self::Branch { cond: v, .. } | Self::Indirect { target: v, .. } => Some(v),
            _ => None,
        }
    }
}

/// A guest instruction's place in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InsnMark {
    /// Index of its first op. The ops go up to the next mark's.
    pub first_op: u32,
    pub pc: GuestAddr,
    /// Length in bytes.
    pub len: u8,
    /// State that it reads, even where no op of its does, because the value was at hand.
    pub reads: Reads,
    /// Whether all of its writes to the state are there: not if later instructions overwrite them unseen.
    pub writes: Writes,
}

impl InsnMark {
    /// A mark of an instruction of which nothing else is known.
    #[must_use]
    pub const fn new(first_op: u32, pc: GuestAddr, len: u8) -> Self {
        Self { first_op, pc, len, reads: Reads::ALL, writes: Writes::Some }
    }
}

/// Which of an instruction's writes to the state are among the ops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writes {
    All,
    Some,
}

/// State that may be read, as far as 16 bits can tell it: one is for the flags, and each slot has one of the others
/// in common with other slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reads(u16);

impl Reads {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(u16::MAX);
    pub const FLAGS: Self = Self(1);

    /// Of these bytes.
    #[must_use]
    pub fn of(slot: Slot, bytes: u16) -> Self {
        let words = slot.0 / 8..=(slot.0 + bytes.max(1) - 1) / 8;
        Self(words.fold(0, |bits, word| bits | 2 << (word % 15)))
    }

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it may be that both read something.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

/// What a float op gives where an operand is a NaN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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

    /// Where the last instruction starts.
    #[must_use]
    pub fn last_pc(&self) -> GuestAddr {
        self.insns.last().map_or(self.pc, |last| last.pc)
    }

    /// Bytes of guest code from the first instruction's start to the last one's end.
    #[must_use]
    pub fn code_len(&self) -> u64 {
        self.insns.last().map_or(0, |last| last.pc.offset(i64::from(last.len)).0.wrapping_sub(self.pc.0))
    }
}
