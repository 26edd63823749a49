//! What differs per architecture in the kernel ABI.
//!
//! The engine's system calls are written once, for 64-bit Linux; an architecture says which number means
//! which call, where arguments and results live, how a signal frame looks, and the few structures and
//! flags that are laid out differently.

use crate::state::{GuestState, Slot};
use crate::{Fault, FaultKind, GuestAddr, GuestMemory, Trap};

/// A system call as the guest made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SyscallRequest {
    pub number: u64,
    pub args: [u64; 6],
}

/// `struct stat` layouts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatLayout {
    /// arch/x86/include/uapi/asm/stat.h
    X86_64,
    /// include/uapi/asm-generic/stat.h
    Generic,
}

/// `open(2)` flags whose values differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFlags {
    pub direct: u32,
    pub largefile: u32,
    pub directory: u32,
    pub nofollow: u32,
}

/// Structures and flags that differ between 64-bit architectures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelLayout {
    pub stat: StatLayout,
    pub open_flags: OpenFlags,
    /// Bytes of `struct epoll_event`: 12 (packed) or 16.
    pub epoll_event_size: usize,
    /// Offset of its 64-bit data.
    pub epoll_data_offset: usize,
}

/// The alternate signal stack (`stack_t`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AltStack {
    pub sp: u64,
    /// As they were given, which is how a frame shows them.
    pub flags: u32,
    /// 0 where there is none.
    pub size: u64,
}

impl AltStack {
    /// Whether a stack pointer lies on it.
    #[must_use]
    pub const fn holds(&self, sp: u64) -> bool {
        sp > self.sp && sp - self.sp <= self.size
    }
}

/// A signal about to be delivered to a handler.
#[derive(Clone, Copy, Debug)]
pub struct SignalDelivery {
    pub signal: u32,
    /// The whole `siginfo_t`.
    pub info: [u8; 128],
    pub handler: GuestAddr,
    /// `sa_restorer`, where `SA_RESTORER` is set.
    pub restorer: Option<GuestAddr>,
    /// The return trampoline in the vDSO, if the architecture has one.
    pub trampoline: GuestAddr,
    pub sa_flags: u64,
    /// The mask to restore when the handler returns.
    pub mask: u64,
    pub alt_stack: AltStack,
    /// The frame goes below this address (the top of the alternate stack, or the current sp).
    pub stack_top: GuestAddr,
    /// The frame belongs on the alternate stack.
    pub on_alt_stack: bool,
    /// The fault behind a synchronous signal.
    pub fault: Option<Fault>,
    /// The trap behind a synchronous signal.
    pub trap: Option<Trap>,
}

/// What `rt_sigreturn` found in the frame besides the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestoredFrame {
    pub mask: u64,
    pub alt_stack: AltStack,
    /// The stack pointer that says whether the alternate stack is in use, and so not to be changed.
    pub changed_at: GuestAddr,
    /// What follows where the rest of the frame is none that a kernel would have written.
    pub raises: Option<TrapSignal>,
}

/// A synchronous signal: number, `si_code`, `si_addr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapSignal {
    pub signal: u32,
    pub code: i32,
    pub addr: GuestAddr,
}

/// A function of the vDSO: position-independent code that makes the real system call, so that rules see
/// it.
#[derive(Clone, Copy, Debug)]
pub struct VdsoFunction {
    pub name: &'static str,
    pub code: &'static [u8],
}

/// The vDSO of an architecture.
#[derive(Clone, Copy, Debug)]
pub struct VdsoDescription {
    pub soname: &'static str,
    /// The symbol version its functions carry.
    pub version: &'static str,
    pub functions: &'static [VdsoFunction],
    /// The one that signal handlers return to, if the kernel has it in the vDSO.
    pub sigreturn: Option<&'static str>,
}

/// The signal of a fault by its kind alone (asm-generic/siginfo.h).
#[must_use]
pub fn fault_signal(fault: Fault) -> TrapSignal {
    const SIGBUS: u32 = 7;
    const SIGSEGV: u32 = 11;
    const SI_KERNEL: i32 = 0x80;
    let (signal, code) = match fault.kind {
        FaultKind::Unmapped => (SIGSEGV, 1),
        FaultKind::Protected => (SIGSEGV, 2),
        FaultKind::NonCanonical => (SIGSEGV, SI_KERNEL),
        FaultKind::BeyondEnd => (SIGBUS, 2),
        FaultKind::Misaligned => (SIGBUS, 1),
        FaultKind::Interrupted => unreachable!("the instruction is executed again"),
    };
    TrapSignal { signal, code, addr: fault.addr }
}

/// The kernel ABI of one architecture.
pub trait GuestLinux: Sync {
    /// Every system call number and its kernel name, in order of number.
    fn syscall_table(&self) -> &'static [(u32, &'static str)];
    /// The architecture as audit and seccomp name it (`AUDIT_ARCH_*`, include/uapi/linux/audit.h).
    fn audit_arch(&self) -> u32;
    /// `uname -m`.
    fn machine(&self) -> &'static str;
    fn layout(&self) -> KernelLayout;

    /// The call that the thread has just made (pc is after the instruction). Does the instruction's own
    /// register effects (x86: rcx, r11).
    fn enter_syscall(&self, state: &mut GuestState) -> SyscallRequest;
    /// Stores the result.
    fn set_syscall_result(&self, state: &mut GuestState, result: u64);
    /// What is where results are stored.
    fn syscall_result(&self, state: &GuestState) -> u64;
    /// Undoes the call so that the thread makes it again: pc back on the instruction, number and first
    /// argument as they were.
    fn rewind_syscall(&self, state: &mut GuestState, request: &SyscallRequest);
    /// As `rewind_syscall`, but it is `restart_syscall` that will be made.
    fn rewind_to_restart_syscall(&self, state: &mut GuestState, request: &SyscallRequest);
    /// Calls that only this architecture has (`arch_prctl`); `None` where the name is not one.
    fn own_syscall(
        &self,
        name: &str,
        state: &mut GuestState,
        memory: &dyn GuestMemory,
        args: &[u64; 6],
    ) -> Option<i64>;

    /// The thread pointer, as clone's `tls` sets it.
    fn set_thread_pointer(&self, state: &mut GuestState, tls: u64);
    /// The order of clone's last two arguments: x86-64 has (.., child_tid, tls), the generic ABI (.., tls,
    /// child_tid). Gives (tls, child_tid).
    fn clone_tls_and_child_tid(&self, args: &[u64; 6]) -> (u64, u64);

    /// What the kernel keeps of a thread's last exceptions, for the frames of signals from elsewhere. Threads, children and
    /// programs that are executed begin with it.
    fn last_exception(&self) -> [Slot; 2];
    /// Writes the signal frame and points the state at the handler. On a fault nothing but guest stack
    /// memory has changed.
    fn push_signal_frame(
        &self,
        state: &mut GuestState,
        memory: &dyn GuestMemory,
        delivery: &SignalDelivery,
    ) -> Result<(), Fault>;
    /// `rt_sigreturn`: takes the registers back from the frame at sp.
    fn pop_signal_frame(
        &self,
        state: &mut GuestState,
        memory: &dyn GuestMemory,
    ) -> Result<RestoredFrame, TrapSignal>;
    /// Which signal a trap at the state's pc becomes.
    fn trap_signal(&self, trap: Trap, state: &GuestState) -> TrapSignal;
    /// Which signal a fault of the instruction at the state's pc becomes.
    fn fault_signal(&self, fault: Fault, _state: &GuestState, _memory: &dyn GuestMemory) -> TrapSignal {
        fault_signal(fault)
    }
    /// The access that the trap is about, where there is one: then the signal is that of a fault.
    fn trapped_access(&self, _trap: Trap, _state: &GuestState, _memory: &dyn GuestMemory) -> Option<Fault> {
        None
    }

    /// Whether pointers with a tag in the top byte may be given to system calls (AArch64's
    /// `PR_SET_TAGGED_ADDR_CTRL`).
    fn takes_tagged_pointers(&self, _state: &GuestState) -> bool {
        false
    }

    /// Protection bits that `mmap` and `mprotect` know besides read, write and execute (PROT_BTI).
    fn guard_protection(&self, _features: u64) -> i32 {
        0
    }
    /// The process has a page with such a bit from now on; whether it is the first. Control keys have changed then.
    fn note_guarded_page(&self) -> bool {
        false
    }
    /// Whether the properties of an ELF file (`PT_GNU_PROPERTY`) ask for the bit on its executable segments.
    fn wants_guard(&self, _properties: &[u8]) -> bool {
        false
    }

    /// AT_PLATFORM.
    fn platform(&self) -> &'static str;
    /// AT_HWCAP and AT_HWCAP2 for these features.
    fn hwcaps(&self, features: u64) -> (u64, u64);
    /// AT_MINSIGSTKSZ.
    fn min_signal_stack(&self) -> u64;
    fn vdso(&self) -> VdsoDescription;
    /// The text of /proc/cpuinfo for one processor.
    fn cpuinfo(&self, features: u64, processor: usize) -> String;
}
