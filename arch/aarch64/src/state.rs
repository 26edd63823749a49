//! Where the AArch64 registers live in the guest state.

use guest::state::{ARCH_BASE, Slot};

/// x0; the others follow, 8 bytes each, up to x30.
pub const X0: Slot = ARCH_BASE;
/// The stack pointer, in the place that register number 31 has.
pub const SP: Slot = x(31);
pub const TPIDR: Slot = Slot(SP.0 + 8);
pub const FPCR: Slot = Slot(SP.0 + 16);
/// The sticky exception bits of FPSR as of the last time guest code stopped running; while it runs they
/// are in the floating-point environment.
pub const FPSR: Slot = Slot(SP.0 + 24);
/// 16 bytes that are nonzero where FPSR.QC is set: saturating instructions merge the difference between
/// their exact and their saturated result into it.
pub const QC: Slot = Slot(416);
/// x0 as the last system call found it.
pub const ORIG_X0: Slot = Slot(432);
/// The CPU model's feature bits.
pub const FEATURES: Slot = Slot(440);

/// PSTATE's bits that EL0 can set and that change no result: SSBS, DIT.
pub const PSTATE: Slot = Slot(448);
/// The five pointer authentication keys, 16 bytes each: IA, IB, DA, DB, GA.
pub const KEYS: Slot = Slot(464);
pub const KEY_COUNT: u16 = 5;

/// Whether system calls take tagged pointers: as `PR_SET_TAGGED_ADDR_CTRL` has set it.
pub const TAGGED_POINTERS: Slot = KEYS.plus(16 * KEY_COUNT);
/// What the thread's last signals of its own said: the address of a fault, ...
pub const FAULT_ADDRESS: Slot = TAGGED_POINTERS.plus(8);
/// ... and the syndrome; 0 is none.
pub const FAULT_SYNDROME: Slot = TAGGED_POINTERS.plus(16);

/// The slot of register number `n`; 31 is the stack pointer.
pub const fn x(n: u16) -> Slot {
    Slot(X0.0 + 8 * n)
}

const _: () = assert!(FPSR.0 + 8 <= QC.0 && QC.0.is_multiple_of(16));
