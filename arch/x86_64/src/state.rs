//! Where the registers lie in the guest state.
//!
//! General registers are in encoding order, so that a decoded register number is an index. The x87
//! stack is kept rotated: st(0) is always the first entry, because that is how debuggers, FXSAVE images
//! and signal frames show it, and x87 code is rare enough to pay for the copy on push and pop.

use guest::ir::flag;
use guest::ir::flags::FlagRecord;
use guest::state::{ARCH_BASE, GuestState, Slot};

/// The general registers, in encoding order.
pub const GPR: Slot = ARCH_BASE;
pub const RAX: Slot = gpr(0);
pub const RCX: Slot = gpr(1);
pub const RDX: Slot = gpr(2);
pub const RBX: Slot = gpr(3);
pub const RSP: Slot = gpr(4);
pub const RBP: Slot = gpr(5);
pub const RSI: Slot = gpr(6);
pub const RDI: Slot = gpr(7);
pub const R8: Slot = gpr(8);
pub const R9: Slot = gpr(9);
pub const R10: Slot = gpr(10);
pub const R11: Slot = gpr(11);

pub const FS_BASE: Slot = Slot(256);
pub const GS_BASE: Slot = Slot(264);
/// The direction flag: 0 or 1.
pub const DF: Slot = Slot(272);
/// TF, AC and ID, where EFLAGS has them.
pub const EFLAGS_REST: Slot = Slot(280);
pub const MXCSR: Slot = Slot(288);
pub const ORIG_RAX: Slot = Slot(296);
pub const X87_CONTROL: Slot = Slot(304);
/// The status word, TOP included.
pub const X87_STATUS: Slot = Slot(312);
/// The abridged tag byte, by physical register: 1 where it is not empty.
pub const X87_TAGS: Slot = Slot(320);
/// Address of the last x87 instruction, ...
pub const X87_FIP: Slot = Slot(328);
/// ... of its memory operand, ...
pub const X87_FDP: Slot = Slot(336);
/// ... and its opcode.
pub const X87_FOP: Slot = Slot(344);
/// The extended-state components that the model has (the XSAVE feature set); 0 without XSAVE.
pub const XCR0: Slot = Slot(352);
/// The exception of a software interrupt that is being raised: its vector, and above 8 bits its error code.
pub const EXCEPTION: Slot = Slot(360);
/// The thread's last exception that was a signal, in the same form, ...
pub const LAST_EXCEPTION: Slot = Slot(368);
/// ... and the address of its last page fault that was one (cr2).
pub const LAST_FAULT: Slot = Slot(376);
/// st(0) to st(7), 16 bytes apart.
pub const X87_STACK: Slot = Slot(384);

/// The selector in segment register `n`, by encoding number; those of CS and SS never change.
#[must_use]
pub const fn selector(n: u16) -> Slot {
    Slot(512 + 8 * n)
}

/// The slot of general register `n`.
#[must_use]
pub const fn gpr(n: u16) -> Slot {
    Slot(GPR.0 + 8 * n)
}

/// The slot of st(`n`).
#[must_use]
pub const fn st(n: u16) -> Slot {
    Slot(X87_STACK.0 + 16 * n)
}

/// EFLAGS bits outside the lazy record.
pub mod eflags {
    pub const TF: u64 = 1 << 8;
    pub const IF: u64 = 1 << 9;
    pub const DF: u64 = 1 << 10;
    /// Set in the image that a fault leaves.
    pub const RF: u64 = 1 << 16;
    pub const AC: u64 = 1 << 18;
    pub const ID: u64 = 1 << 21;
    /// Bit 1, which always reads as 1.
    pub const FIXED: u64 = 1 << 1;
    /// What is kept in [`super::EFLAGS_REST`].
    pub const REST: u64 = TF | AC | ID;
}

/// Extended-state components, as XCR0 has them.
pub mod component {
    pub const X87: u64 = 1;
    pub const SSE: u64 = 2;
    /// The upper halves of the YMM registers.
    pub const AVX: u64 = 4;
    pub const ALL: u64 = X87 | SSE | AVX;
}

/// MXCSR at reset: all exceptions masked.
pub const MXCSR_DEFAULT: u32 = 0x1f80;
/// MXCSR's exception masks.
pub const MXCSR_MASKS: u64 = 0x1f80;
/// Bits of MXCSR that exist (DAZ included); others raise #GP.
pub const MXCSR_MASK: u32 = 0xffff;
/// The x87 control word after FNINIT.
pub const X87_CONTROL_DEFAULT: u16 = 0x37f;

/// EFLAGS, composed.
#[must_use]
pub fn read_eflags(state: &GuestState) -> u64 {
    let rest = state.u64(EFLAGS_REST) & eflags::REST;
    let df = if state.u64(DF) == 0 { 0 } else { eflags::DF };
    FlagRecord::load(state).pack() | df | rest | eflags::FIXED | eflags::IF
}

/// Sets what user code may set in EFLAGS.
pub fn write_eflags(state: &mut GuestState, value: u64) {
    FlagRecord::packed(value & flag::ALL).store(state);
    state.set_u64(DF, u64::from(value & eflags::DF != 0));
    state.set_u64(EFLAGS_REST, value & eflags::REST);
}
