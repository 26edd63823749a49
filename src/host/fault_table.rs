//! Recovering from faults at known instructions.
//!
//! `guarded!` is the text of one instruction that may fault, with an entry (instruction, error exit) in the
//! section `guest_faults`. The host's fault handler looks the faulting pc up there.
#![allow(unsafe_code)] // reads the linker-made table

use guest::{Access, Fault, FaultKind, GuestAddr};
use std::cell::Cell;

/// The text of one faultable instruction: `ecx` is 0 after it, or 1 where it faulted.
macro_rules! guarded {
    ($insn:literal) => {
        concat!(
            "xor ecx, ecx\n2: ",
            $insn,
            "\n3:\n",
            ".pushsection .text.guest_fixup,\"ax\",@progbits\n4: mov ecx, 1\njmp 3b\n.popsection\n",
            ".pushsection guest_faults,\"aR\",@progbits\n.long 2b - ., 4b - .\n.popsection"
        )
    };
}
pub(super) use guarded;

/// A table row: both fields are relative to their own addresses.
#[repr(C)]
struct Entry {
    insn: i32,
    fixup: i32,
}

unsafe extern "C" {
    static __start_guest_faults: Entry;
    static __stop_guest_faults: Entry;
}

/// What the fault handler saw: signal, `si_code`, `si_addr`, and whether the access was a write.
#[derive(Clone, Copy, Default, Debug)]
pub struct HostFault {
    pub signal: i32,
    pub code: i32,
    pub addr: u64,
    pub write: bool,
}

impl HostFault {
    /// No fault: a signal has come at the access, which may be waiting for its page.
    pub const INTERRUPTION: Self = Self { signal: 0, code: 0, addr: 0, write: false };

    /// Whether this is [`Self::INTERRUPTION`].
    #[must_use]
    pub const fn is_interruption(&self) -> bool {
        self.signal == 0
    }
}

thread_local! {
    static LAST: Cell<HostFault> = const { Cell::new(HostFault::INTERRUPTION) };
}

/// The error exit for a fault at host address `pc`, if that is a guarded access. Async-signal-safe.
pub fn fixup_for(pc: usize) -> Option<usize> {
    let (mut entry, end) = (&raw const __start_guest_faults, &raw const __stop_guest_faults);
    while entry < end {
        // SAFETY: the linker's bounds enclose an array of entries, read-only for the program's life.
        let (insn, fixup) = unsafe { (&raw const (*entry).insn, &raw const (*entry).fixup) };
        // SAFETY: as above.
        let (insn_rel, fixup_rel) = unsafe { (insn.read(), fixup.read()) };
        if (insn as usize).wrapping_add_signed(insn_rel as isize) == pc {
            return Some((fixup as usize).wrapping_add_signed(fixup_rel as isize));
        }
        entry = entry.wrapping_add(1);
    }
    None
}

/// Leaves what happened for [`take_fault`]. Async-signal-safe.
pub fn record(fault: HostFault) {
    LAST.set(fault);
}

/// The fault of the guarded access that has just failed on this thread.
pub fn take_fault(access: Access) -> Fault {
    classify(LAST.get(), access)
}

/// The same for an instruction that reads and writes: the host knows which it was.
pub fn take_own_fault() -> Fault {
    let last = LAST.get();
    classify(last, if last.write { Access::Write } else { Access::Read })
}

/// A host fault in the guest's terms.
pub fn classify(host: HostFault, access: Access) -> Fault {
    const SEGV_ACCERR: i32 = 2;
    let kind = match (host.signal, host.code) {
        _ if host.is_interruption() => FaultKind::Interrupted,
        (libc::SIGBUS, libc::BUS_ADRALN) => FaultKind::Misaligned,
        // #GP, or #SS where the host's instruction has rbp or rsp as its base: that is a SIGBUS.
        (_, libc::SI_KERNEL) => FaultKind::NonCanonical,
        (libc::SIGBUS, _) => FaultKind::BeyondEnd,
        (_, SEGV_ACCERR) => FaultKind::Protected,
        _ => FaultKind::Unmapped,
    };
    let addr = if kind == FaultKind::NonCanonical { 0 } else { host.addr };
    Fault { addr: GuestAddr(addr), access, kind }
}
