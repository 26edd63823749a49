//! The contract between the engine and the guest architectures.
//!
//! An architecture crate turns guest bytes into [`ir`] blocks, describes its registers in one table
//! ([`regs`]) and says what differs in its kernel ABI ([`linux`]). The engine runs IR and knows no
//! architecture. The contract is a crate of its own so that the compiler guards the direction of
//! dependencies: engine -> architectures -> guest.
#![forbid(unsafe_code)]

pub mod arch;
pub mod arm_float;
pub mod helper;
pub mod ir;
pub mod linux;
pub mod regs;
pub mod state;

use std::fmt;

/// An address in the guest's address space. Never dereferenced here: the engine alone can touch guest
/// memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GuestAddr(pub u64);

impl GuestAddr {
    /// The address `offset` bytes further on, modulo 2^64 as the hardware adds.
    #[must_use]
    pub const fn offset(self, offset: i64) -> Self {
        Self(self.0.wrapping_add_signed(offset))
    }

    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The start of the 4 KiB page this address lies in.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !0xfff)
    }
}

impl From<u64> for GuestAddr {
    fn from(raw: u64) -> Self {
        Self(raw)
    }
}

impl fmt::Debug for GuestAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for GuestAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// What a guest memory access was trying to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    Fetch,
}

/// Why a guest memory access failed, in the kernel's terms (`sigaction(2)`, `si_code`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Nothing is mapped there: SIGSEGV / `SEGV_MAPERR`.
    Unmapped,
    /// Mapped, but this access is not allowed: SIGSEGV / `SEGV_ACCERR`.
    Protected,
    /// An address that the hardware cannot form: SIGSEGV / `SI_KERNEL`, no address reported.
    NonCanonical,
    /// Beyond the end of a mapped file: SIGBUS / `BUS_ADRERR`.
    BeyondEnd,
    /// Not aligned as the instruction demands: SIGBUS / `BUS_ADRALN`.
    Misaligned,
    /// Nothing is wrong with it: a signal has come while it waited for its page, and the instruction is to be executed
    /// again after the handler.
    Interrupted,
}

/// A guest memory access that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The first byte that could not be accessed, as the hardware would report it.
    pub addr: GuestAddr,
    pub access: Access,
    pub kind: FaultKind,
}

/// Something an instruction raised by itself. The kernel ABI of each architecture says which signal
/// it becomes ([`linux::GuestLinux::trap_signal`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Trap {
    /// Not an instruction, or one that we lack: SIGILL.
    Illegal = 0,
    /// Division by zero or quotient overflow (x86 #DE): SIGFPE / `FPE_INTDIV`.
    DivideError,
    /// A breakpoint instruction: SIGTRAP.
    Breakpoint,
    /// One instruction has run with the trap flag set: SIGTRAP / `TRAP_TRACE`.
    SingleStep,
    /// A privileged instruction, or what else x86 answers with #GP: SIGSEGV / `SI_KERNEL`.
    GeneralProtection,
    /// An operand that must be aligned is not (AArch64): SIGBUS / `BUS_ADRALN`.
    Alignment,
    /// An unmasked floating-point exception (SSE): SIGFPE.
    FloatingPoint,
    /// An unmasked x87 exception: SIGFPE.
    X87,
    /// A branch target that is not aligned (AArch64 pc): SIGBUS / `BUS_ADRALN`.
    PcAlignment,
    /// `int 0x80` and other gates that we do not have: SIGSEGV, with a log line.
    BadGate,
    /// Branch target identification failed (AArch64): SIGILL.
    BranchTarget,
    /// A pointer's authentication failed (AArch64): SIGILL / `ILL_ILLOPN`.
    Authentication,
    /// A software interrupt (x86 `INT n`, `INT1`): the state says which exception it is.
    Interrupt,
}

impl Trap {
    pub const ALL: [Self; 13] = [
        Self::Illegal,
        Self::DivideError,
        Self::Breakpoint,
        Self::SingleStep,
        Self::GeneralProtection,
        Self::Alignment,
        Self::FloatingPoint,
        Self::X87,
        Self::PcAlignment,
        Self::BadGate,
        Self::BranchTarget,
        Self::Authentication,
        Self::Interrupt,
    ];

    /// The trap with this number (`trap as u8`), as compiled code reports it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Guest memory, as helpers and kernel-ABI code see it. Every access may fault; none panics.
pub trait GuestMemory {
    /// Fills `out` from `addr`, or faults; on a fault the contents of `out` are unspecified.
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault>;
    /// Writes all of `data` at `addr`, or faults; bytes before the fault may have been written.
    fn write(&self, addr: GuestAddr, data: &[u8]) -> Result<(), Fault>;
    /// Whether the hardware would find the page in its tables: not, where the program may do nothing there, and where
    /// nobody has touched it yet.
    fn is_present(&self, addr: GuestAddr) -> bool;

    fn read_u32(&self, addr: GuestAddr) -> Result<u32, Fault> {
        let mut bytes = [0; 4];
        self.read(addr, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn read_u64(&self, addr: GuestAddr) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.read(addr, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write_u32(&self, addr: GuestAddr, value: u32) -> Result<(), Fault> {
        self.write(addr, &value.to_le_bytes())
    }

    fn write_u64(&self, addr: GuestAddr, value: u64) -> Result<(), Fault> {
        self.write(addr, &value.to_le_bytes())
    }
}
