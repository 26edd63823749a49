//! System calls, traps and what else the kernel ABI of x86-64 has of its own.

use super::{exception, numbers, signal_frame, vdso};
use crate::cpu::{self, feature};
use crate::state::{
    FS_BASE, GS_BASE, LAST_EXCEPTION, LAST_FAULT, ORIG_RAX, R8, R9, R10, R11, RAX, RCX, RDI, RDX, RSI,
    read_eflags, selector,
};
use guest::linux::{
    GuestLinux, KernelLayout, OpenFlags, RestoredFrame, SignalDelivery, StatLayout, SyscallRequest,
    TrapSignal, VdsoDescription,
};
use guest::state::{GuestState, Slot};
use guest::{Fault, GuestAddr, GuestMemory, Trap};

/// The kernel ABI of x86-64.
pub(crate) struct Linux;

pub(crate) static LINUX: Linux = Linux;

const RESTART_SYSCALL: u64 = 219;
/// Length of the `syscall` instruction.
const SYSCALL_LEN: u64 = 2;
/// Bytes that the kernel demands of an alternate stack (AT_MINSIGSTKSZ) without extended state.
const MIN_SIGNAL_STACK: u64 = 2048;

mod errno {
    pub const EPERM: i64 = 1;
    pub const EFAULT: i64 = 14;
    pub const EINVAL: i64 = 22;
}

mod signal {
    pub const SIGILL: u32 = 4;
    pub const SIGTRAP: u32 = 5;
    pub const SIGBUS: u32 = 7;
    pub const SIGFPE: u32 = 8;
    pub const SIGSEGV: u32 = 11;
    pub const SI_KERNEL: i32 = 0x80;
    pub const ILL_ILLOPN: i32 = 2;
    pub const FPE_INTDIV: i32 = 1;
    pub const TRAP_BRKPT: i32 = 1;
    pub const TRAP_TRACE: i32 = 2;
    pub const BUS_ADRALN: i32 = 1;
}

impl GuestLinux for Linux {
    fn syscall_table(&self) -> &'static [(u32, &'static str)] {
        numbers::SYSCALLS
    }

    fn audit_arch(&self) -> u32 {
        0xc000_003e
    }
    fn machine(&self) -> &'static str {
        "x86_64"
    }

    fn layout(&self) -> KernelLayout {
        KernelLayout {
            stat: StatLayout::X86_64,
            open_flags: OpenFlags {
                direct: 0o40000,
                largefile: 0o100_000,
                directory: 0o200_000,
                nofollow: 0o400_000,
            },
            epoll_event_size: 12,
            epoll_data_offset: 4,
        }
    }

    fn enter_syscall(&self, state: &mut GuestState) -> SyscallRequest {
        let number = state.u64(RAX);
        state.set_u64(ORIG_RAX, number);
        state.set_u64(RCX, state.pc());
        state.set_u64(R11, read_eflags(state));
        SyscallRequest { number, args: [RDI, RSI, RDX, R10, R8, R9].map(|slot| state.u64(slot)) }
    }

    fn set_syscall_result(&self, state: &mut GuestState, result: u64) {
        state.set_u64(RAX, result);
    }

    fn syscall_result(&self, state: &GuestState) -> u64 {
        state.u64(RAX)
    }

    fn rewind_syscall(&self, state: &mut GuestState, request: &SyscallRequest) {
        state.set_pc(state.pc().wrapping_sub(SYSCALL_LEN));
        state.set_u64(RAX, request.number);
        state.set_u64(RDI, request.args[0]);
    }

    fn rewind_to_restart_syscall(&self, state: &mut GuestState, request: &SyscallRequest) {
        self.rewind_syscall(state, request);
        state.set_u64(RAX, RESTART_SYSCALL);
    }

    fn own_syscall(
        &self,
        name: &str,
        state: &mut GuestState,
        memory: &dyn GuestMemory,
        args: &[u64; 6],
    ) -> Option<i64> {
        (name == "arch_prctl").then(|| arch_prctl(state, memory, args[0], args[1]))
    }

    fn set_thread_pointer(&self, state: &mut GuestState, tls: u64) {
        set_base(state, FS_BASE, FS, tls);
    }

    fn clone_tls_and_child_tid(&self, args: &[u64; 6]) -> (u64, u64) {
        (args[4], args[3])
    }

    fn last_exception(&self) -> [Slot; 2] {
        [LAST_EXCEPTION, LAST_FAULT]
    }

    fn push_signal_frame(
        &self,
        state: &mut GuestState,
        memory: &dyn GuestMemory,
        delivery: &SignalDelivery,
    ) -> Result<(), Fault> {
        signal_frame::push(state, memory, delivery)
    }

    fn pop_signal_frame(
        &self,
        state: &mut GuestState,
        memory: &dyn GuestMemory,
    ) -> Result<RestoredFrame, TrapSignal> {
        signal_frame::pop(state, memory)
    }

    fn trap_signal(&self, trap: Trap, state: &GuestState) -> TrapSignal {
        use signal::{SI_KERNEL, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
        let at = |signal, code| TrapSignal { signal, code, addr: GuestAddr(state.pc()) };
        let nowhere = |signal, code| TrapSignal { signal, code, addr: GuestAddr(0) };
        match trap {
            Trap::Illegal | Trap::BranchTarget | Trap::Authentication => at(SIGILL, signal::ILL_ILLOPN),
            Trap::DivideError => at(SIGFPE, signal::FPE_INTDIV),
            Trap::FloatingPoint | Trap::X87 => at(SIGFPE, exception::float_code(trap, state)),
            Trap::Interrupt => match exception::of_interrupt(state).vector {
                exception::DEBUG => at(SIGTRAP, signal::TRAP_BRKPT),
                exception::BREAKPOINT => nowhere(SIGTRAP, SI_KERNEL),
                _ => nowhere(SIGSEGV, SI_KERNEL),
            },
            Trap::SingleStep => at(SIGTRAP, signal::TRAP_TRACE),
            Trap::Breakpoint => nowhere(SIGTRAP, SI_KERNEL),
            Trap::GeneralProtection | Trap::BadGate => nowhere(SIGSEGV, SI_KERNEL),
            Trap::Alignment | Trap::PcAlignment => nowhere(SIGBUS, signal::BUS_ADRALN),
        }
    }

    fn fault_signal(&self, fault: Fault, state: &GuestState, memory: &dyn GuestMemory) -> TrapSignal {
        let nowhere = |signal| TrapSignal { signal, code: signal::SI_KERNEL, addr: GuestAddr(0) };
        match exception::of_fault(fault, state, memory).vector {
            exception::STACK => nowhere(signal::SIGBUS),
            exception::PROTECTION => nowhere(signal::SIGSEGV),
            _ => guest::linux::fault_signal(fault),
        }
    }

    fn platform(&self) -> &'static str {
        "x86_64"
    }

    fn hwcaps(&self, features: u64) -> (u64, u64) {
        let fsgsbase = features & feature::FSGSBASE != 0;
        (cpu::leaf1_edx(features).into(), u64::from(fsgsbase) << 1)
    }

    fn min_signal_stack(&self) -> u64 {
        MIN_SIGNAL_STACK
    }

    fn vdso(&self) -> VdsoDescription {
        vdso::description()
    }

    fn cpuinfo(&self, features: u64, processor: usize) -> String {
        let flags = cpu::kernel_flags(features);
        format!(
            "processor\t: {processor}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 15\n\
             model name\t: qemu-lua virtual CPU\nstepping\t: 11\ncpu MHz\t\t: 2000.000\n\
             cache size\t: 1024 KB\nphysical id\t: {processor}\nsiblings\t: 1\ncore id\t\t: 0\n\
             cpu cores\t: 1\napicid\t\t: {processor}\ninitial apicid\t: {processor}\nfpu\t\t: yes\n\
             fpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\nflags\t\t: {flags}\nbugs\t\t:\n\
             bogomips\t: 4000.00\nclflush size\t: 64\ncache_alignment\t: 64\n\
             address sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n"
        )
    }
}

/// Segment registers by encoding number.
const FS: u16 = 4;
const GS: u16 = 5;

/// The end of user addresses: bases beyond it are refused.
const TASK_SIZE: u64 = 0x7fff_ffff_f000;

/// `arch_prctl(2)`
fn arch_prctl(state: &mut GuestState, memory: &dyn GuestMemory, code: u64, addr: u64) -> i64 {
    const SET_GS: u64 = 0x1001;
    const SET_FS: u64 = 0x1002;
    const GET_FS: u64 = 0x1003;
    const GET_GS: u64 = 0x1004;
    match code {
        SET_FS | SET_GS if addr >= TASK_SIZE => -errno::EPERM,
        SET_FS => set_base(state, FS_BASE, FS, addr),
        SET_GS => set_base(state, GS_BASE, GS, addr),
        GET_FS => give_base(memory, addr, state.u64(FS_BASE)),
        GET_GS => give_base(memory, addr, state.u64(GS_BASE)),
        _ => -errno::EINVAL,
    }
}

/// The segment has no selector then.
fn set_base(state: &mut GuestState, slot: guest::state::Slot, segment: u16, base: u64) -> i64 {
    state.set_u64(slot, base);
    state.set_u64(selector(segment), 0);
    0
}

fn give_base(memory: &dyn GuestMemory, to: u64, base: u64) -> i64 {
    match memory.write_u64(GuestAddr(to), base) {
        Ok(()) => 0,
        Err(_) => -errno::EFAULT,
    }
}
