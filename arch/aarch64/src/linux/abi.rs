//! System call conventions, structure layouts, signals of traps, AT_HWCAP, /proc/cpuinfo.

use super::{faults, numbers, signal_frame, vdso};
use crate::state::{FAULT_ADDRESS, FAULT_SYNDROME, ORIG_X0, TAGGED_POINTERS, TPIDR, X0, x};
use crate::{features, guarded};
use guest::linux::{
    AltStack, GuestLinux, KernelLayout, OpenFlags, RestoredFrame, SignalDelivery, StatLayout, SyscallRequest,
    TrapSignal, VdsoDescription,
};
use guest::state::{GuestState, Slot};
use guest::{Fault, GuestAddr, GuestMemory, Trap};
use std::fmt::Write as _;

/// The arm64 kernel ABI.
pub struct Linux;

pub static LINUX: Linux = Linux;

const RESTART_SYSCALL: u64 = 128;

const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;
const SIGSEGV: u32 = 11;

impl GuestLinux for Linux {
    fn syscall_table(&self) -> &'static [(u32, &'static str)] {
        numbers::SYSCALLS
    }

    fn audit_arch(&self) -> u32 {
        0xc000_00b7
    }
    fn machine(&self) -> &'static str {
        "aarch64"
    }

    fn layout(&self) -> KernelLayout {
        KernelLayout {
            stat: StatLayout::Generic,
            open_flags: OpenFlags {
                direct: 0o200_000,
                largefile: 0o400_000,
                directory: 0o40_000,
                nofollow: 0o100_000,
            },
            epoll_event_size: 16,
            epoll_data_offset: 8,
        }
    }

    fn enter_syscall(&self, state: &mut GuestState) -> SyscallRequest {
        state.set_u64(ORIG_X0, state.u64(X0));
        SyscallRequest {
            number: u64::from(state.u32(x(8))),
            args: [x(0), x(1), x(2), x(3), x(4), x(5)].map(|slot| state.u64(slot)),
        }
    }

    fn set_syscall_result(&self, state: &mut GuestState, result: u64) {
        state.set_u64(X0, result);
    }

    fn syscall_result(&self, state: &GuestState) -> u64 {
        state.u64(X0)
    }

    fn rewind_syscall(&self, state: &mut GuestState, request: &SyscallRequest) {
        state.set_pc(state.pc().wrapping_sub(4));
        state.set_u64(X0, request.args[0]);
        state.set_u64(x(8), request.number);
    }

    fn rewind_to_restart_syscall(&self, state: &mut GuestState, request: &SyscallRequest) {
        self.rewind_syscall(state, request);
        state.set_u64(x(8), RESTART_SYSCALL);
    }

    fn own_syscall(
        &self,
        name: &str,
        state: &mut GuestState,
        _memory: &dyn GuestMemory,
        args: &[u64; 6],
    ) -> Option<i64> {
        if name == "prctl" { tagged_address_control(state, args) } else { None }
    }

    fn set_thread_pointer(&self, state: &mut GuestState, tls: u64) {
        state.set_u64(TPIDR, tls);
    }

    fn clone_tls_and_child_tid(&self, args: &[u64; 6]) -> (u64, u64) {
        (args[3], args[4])
    }

    fn last_exception(&self) -> [Slot; 2] {
        [FAULT_ADDRESS, FAULT_SYNDROME]
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
        let (signal, code) = match trap {
            Trap::Illegal | Trap::BranchTarget => (SIGILL, 1),
            Trap::Authentication => (SIGILL, 2),
            Trap::Breakpoint => (SIGTRAP, 1),
            Trap::SingleStep => (SIGTRAP, 2),
            Trap::Alignment | Trap::PcAlignment => (SIGBUS, 1),
            Trap::DivideError | Trap::FloatingPoint | Trap::X87 => (SIGFPE, 1),
            Trap::GeneralProtection | Trap::BadGate | Trap::Interrupt => (SIGSEGV, 0x80),
        };
        TrapSignal { signal, code, addr: GuestAddr(guarded::pc(state)) }
    }

    fn trapped_access(&self, trap: Trap, state: &GuestState, memory: &dyn GuestMemory) -> Option<Fault> {
        if trap == Trap::Alignment { faults::misaligned(state, memory) } else { None }
    }

    fn takes_tagged_pointers(&self, state: &GuestState) -> bool {
        state.u64(TAGGED_POINTERS) != 0
    }

    fn guard_protection(&self, features: u64) -> i32 {
        if features & features::BTI != 0 { guarded::PROT_BTI } else { 0 }
    }

    fn note_guarded_page(&self) -> bool {
        guarded::note_page()
    }

    fn wants_guard(&self, properties: &[u8]) -> bool {
        guarded::in_properties(properties)
    }

    fn platform(&self) -> &'static str {
        "aarch64"
    }

    fn hwcaps(&self, features: u64) -> (u64, u64) {
        features::hwcaps(features)
    }

    fn min_signal_stack(&self) -> u64 {
        signal_frame::MIN_STACK
    }

    fn vdso(&self) -> VdsoDescription {
        vdso::VDSO
    }

    fn cpuinfo(&self, features: u64, processor: usize) -> String {
        let names: Vec<&str> = features::hwcap_names(features).collect();
        let midr = features::midr(features);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "processor\t: {processor}\nBogoMIPS\t: 2000.00\nFeatures\t: {}\nCPU implementer\t: {:#04x}\n\
             CPU architecture: 8\nCPU variant\t: {:#x}\nCPU part\t: {:#05x}\nCPU revision\t: {}\n\n",
            names.join(" "),
            midr >> 24 & 0xff,
            midr >> 20 & 0xf,
            midr >> 4 & 0xfff,
            midr & 0xf,
        );
        text
    }
}

/// `PR_SET_TAGGED_ADDR_CTRL` and `PR_GET_TAGGED_ADDR_CTRL` without memory tagging
/// (Documentation/arch/arm64/tagged-address-abi.rst).
fn tagged_address_control(state: &mut GuestState, args: &[u64; 6]) -> Option<i64> {
    const SET: u64 = 55;
    const GET: u64 = 56;
    const ENABLE: u64 = 1;
    const EINVAL: i64 = 22;
    match args[0] {
        SET if args[1] & !ENABLE != 0 || args[2..5] != [0; 3] => Some(-EINVAL),
        SET => {
            state.set_u64(TAGGED_POINTERS, args[1]);
            Some(0)
        }
        GET if args[1..5] != [0; 4] => Some(-EINVAL),
        GET => Some(state.u64(TAGGED_POINTERS) as i64),
        _ => None,
    }
}

/// `stack_t` as the kernel writes it.
pub fn stack_bytes(stack: &AltStack) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&stack.sp.to_le_bytes());
    bytes[8..12].copy_from_slice(&stack.flags.to_le_bytes());
    bytes[16..].copy_from_slice(&stack.size.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_the_calls_that_differ() {
        assert!(numbers::SYSCALLS.windows(2).all(|w| w[0].0 < w[1].0));
        for known in [(38, "renameat"), (79, "newfstatat"), (222, "mmap"), (435, "clone3")] {
            assert!(numbers::SYSCALLS.contains(&known));
        }
    }

    #[test]
    fn hwcaps_and_cpuinfo_agree() {
        let all = features::MODELS[0].features;
        assert_eq!(LINUX.hwcaps(0).0, 0x803);
        assert_eq!(LINUX.hwcaps(all).0 & 0x1f8, 0x1f8);
        assert!(LINUX.cpuinfo(all, 0).contains("crc32 atomics"));
    }

    #[test]
    fn a_rewound_call_is_made_again() {
        let mut state = GuestState::default();
        state.set_pc(0x1004);
        state.set_u64(x(8), 64);
        state.set_u64(X0, 7);
        let request = LINUX.enter_syscall(&mut state);
        LINUX.set_syscall_result(&mut state, 99);
        LINUX.rewind_syscall(&mut state, &request);
        assert_eq!((state.pc(), state.u64(X0), state.u64(x(8))), (0x1000, 7, 64));
    }
}
