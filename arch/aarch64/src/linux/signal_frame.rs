//! The signal frame: `struct rt_sigframe` of arch/arm64/kernel/signal.c.
//!
//! From the stack pointer up: siginfo, ucontext with its 4 KiB of context records (floating point, and
//! for faults the syndrome), and above them a frame record of x29 and x30, so that unwinding by frame
//! pointers walks through the handler into the interrupted code.

use super::abi::stack_bytes;
use super::faults;
use crate::regs::{cpsr, set_cpsr};
use crate::state::{FAULT_ADDRESS as LAST_ADDRESS, FAULT_SYNDROME, FPCR, SP, x};
use crate::{fpenv, guarded};
use guest::linux::{AltStack, RestoredFrame, SignalDelivery, TrapSignal};
use guest::state::{GuestState, MONITOR_SIZE, vector_slot};
use guest::{Fault, GuestAddr, GuestMemory, Trap};

const SA_SIGINFO: u64 = 4;

const INFO: usize = 0;
const UCONTEXT: usize = 128;
const UC_STACK: usize = UCONTEXT + 16;
const UC_SIGMASK: usize = UCONTEXT + 40;
const MCONTEXT: usize = UCONTEXT + 176;
const FAULT_ADDRESS: usize = MCONTEXT;
const REGS: usize = MCONTEXT + 8;
const REGS_SP: usize = REGS + 31 * 8;
const REGS_PC: usize = REGS_SP + 8;
const PSTATE: usize = REGS_PC + 8;
const RESERVED: usize = MCONTEXT + 288;
const RESERVED_SIZE: usize = 4096;
const FRAME_SIZE: usize = RESERVED + RESERVED_SIZE;
/// x29 and x30, above the frame.
const RECORD_SIZE: usize = 16;

/// AT_MINSIGSTKSZ: frame, record, and what aligning to 16 may cost.
pub const MIN_STACK: u64 = (FRAME_SIZE + RECORD_SIZE + 16) as u64;

const FPSIMD_MAGIC: u32 = 0x4650_8001;
const FPSIMD_SIZE: usize = 528;
const ESR_MAGIC: u32 = 0x4553_5201;
const ESR_SIZE: usize = 16;
const EXTRA_MAGIC: u32 = 0x4558_5401;
const EXTRA_SIZE: usize = 32;
const TERMINATOR_SIZE: usize = 16;
/// No frame is larger (`SIGFRAME_MAXSZ`).
const MOST_BYTES: usize = 256 << 10;

const _: () = assert!(FRAME_SIZE == 4688);

/// The frame as bytes, written to guest memory at once.
struct Frame(Vec<u8>);

impl Frame {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }
    fn put_u64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }
    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }
    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.0[at..at + N]);
        out
    }
}

pub fn push(
    state: &mut GuestState,
    memory: &dyn GuestMemory,
    delivery: &SignalDelivery,
) -> Result<(), Fault> {
    let record = (delivery.stack_top.raw().wrapping_sub(RECORD_SIZE as u64)) & !15;
    let sp = record.wrapping_sub(FRAME_SIZE as u64);
    // Behind the records and their terminator the kernel leaves the frame as the stack was.
    let mut frame = Frame(vec![0; RESERVED + FPSIMD_SIZE + ESR_SIZE + TERMINATOR_SIZE]);
    note_exception(state, memory, delivery);
    fill(&mut frame, state, delivery);
    let [link, back] = [29, 30].map(|n| u128::from(state.u64(x(n))));
    memory.write(GuestAddr(record), &(link | back << 64).to_le_bytes())?;
    memory.write(GuestAddr(sp), &frame.0)?;
    enter_handler(state, delivery, sp, record);
    Ok(())
}

/// Keeps what is behind a signal of the thread's own (`fault_address` and `fault_code` of the kernel's `thread_struct`).
fn note_exception(state: &mut GuestState, memory: &dyn GuestMemory, delivery: &SignalDelivery) {
    let (address, syndrome) = match (&delivery.fault, delivery.trap) {
        (Some(fault), _) => (faults::untagged(fault.addr.raw()), faults::syndrome(fault, state, memory)),
        // Debug exceptions leave it as it is (arch/arm64/kernel/debug-monitors.c).
        (None, None | Some(Trap::Breakpoint | Trap::SingleStep)) => return,
        (None, Some(trap)) => (0, faults::trap_syndrome(trap, state, memory).unwrap_or(0)),
    };
    state.set_u64(LAST_ADDRESS, address);
    state.set_u64(FAULT_SYNDROME, syndrome);
}

fn fill(frame: &mut Frame, state: &GuestState, delivery: &SignalDelivery) {
    if delivery.sa_flags & SA_SIGINFO != 0 {
        frame.put(INFO, &delivery.info);
    }
    frame.put(UC_STACK, &stack_bytes(&delivery.alt_stack));
    frame.put_u64(UC_SIGMASK, delivery.mask);
    frame.put_u64(FAULT_ADDRESS, state.u64(LAST_ADDRESS));
    for n in 0..31 {
        frame.put_u64(REGS + 8 * usize::from(n), state.u64(x(n)));
    }
    frame.put_u64(REGS_SP, state.u64(SP));
    frame.put_u64(REGS_PC, guarded::pc(state));
    frame.put_u64(PSTATE, cpsr(state));
    let mut at = RESERVED;
    put_record_head(frame, at, FPSIMD_MAGIC, FPSIMD_SIZE);
    frame.put_u32(at + 8, fpenv::fpsr(state) as u32);
    frame.put_u32(at + 12, state.u32(FPCR));
    for n in 0..32 {
        frame.put(at + 16 + 16 * usize::from(n), state.bytes_at(vector_slot(n), 16));
    }
    at += FPSIMD_SIZE;
    let syndrome = state.u64(FAULT_SYNDROME);
    if syndrome != 0 {
        put_record_head(frame, at, ESR_MAGIC, ESR_SIZE);
        frame.put_u64(at + 8, syndrome);
    }
}

fn put_record_head(frame: &mut Frame, at: usize, magic: u32, size: usize) {
    frame.put_u32(at, magic);
    frame.put_u32(at + 4, size as u32);
}

fn enter_handler(state: &mut GuestState, delivery: &SignalDelivery, sp: u64, record: u64) {
    state.set_u64(x(0), u64::from(delivery.signal));
    if delivery.sa_flags & SA_SIGINFO != 0 {
        state.set_u64(x(1), sp + INFO as u64);
        state.set_u64(x(2), sp + UCONTEXT as u64);
    }
    state.set_u64(SP, sp);
    state.set_u64(x(29), record);
    state.set_u64(x(30), delivery.restorer.unwrap_or(delivery.trampoline).raw());
    guarded::call(state, delivery.handler.raw());
    state.set_u64(MONITOR_SIZE, 0);
}

pub fn pop(state: &mut GuestState, memory: &dyn GuestMemory) -> Result<RestoredFrame, TrapSignal> {
    let sp = GuestAddr(state.u64(SP));
    let mut frame = Frame(vec![0; FRAME_SIZE]);
    if sp.raw() & 15 != 0 || memory.read(sp, &mut frame.0).is_err() {
        return Err(bad_frame(state));
    }
    let fits = restore_general(state, &frame);
    let floats = if fits { find_floats(&mut frame, sp, memory) } else { None };
    if let Some(at) = floats {
        restore_floats(state, &frame, at);
    }
    state.set_u64(MONITOR_SIZE, 0);
    Ok(RestoredFrame {
        mask: frame.u64(UC_SIGMASK),
        alt_stack: AltStack {
            sp: frame.u64(UC_STACK),
            flags: frame.u32(UC_STACK + 8),
            size: frame.u64(UC_STACK + 16),
        },
        changed_at: GuestAddr(state.u64(SP)),
        raises: floats.is_none().then(|| bad_frame(state)),
    })
}

/// `arm64_notify_segfault`
fn bad_frame(state: &mut GuestState) -> TrapSignal {
    const SIGSEGV: u32 = 11;
    const SEGV_ACCERR: i32 = 2;
    state.set_u64(LAST_ADDRESS, 0);
    state.set_u64(FAULT_SYNDROME, 0);
    TrapSignal { signal: SIGSEGV, code: SEGV_ACCERR, addr: GuestAddr(state.u64(SP)) }
}

/// Takes the general registers; whether PSTATE is one of EL0's (`valid_native_regs`).
fn restore_general(state: &mut GuestState, frame: &Frame) -> bool {
    /// The mode and the masks of interrupts.
    const PRIVILEGED: u64 = 0x3df;
    const CONDITIONS: u64 = 0xf << 28;
    for n in 0..31 {
        state.set_u64(x(n), frame.u64(REGS + 8 * usize::from(n)));
    }
    state.set_u64(SP, frame.u64(REGS_SP));
    let pstate = frame.u64(PSTATE);
    let fits = pstate & PRIVILEGED == 0;
    let pstate = if fits { pstate } else { pstate & CONDITIONS };
    guarded::enter(state, frame.u64(REGS_PC), pstate);
    set_cpsr(state, pstate);
    fits
}

/// Where the floating-point record is. The guest may have moved the records, also into more room behind the frame, but they must
/// be ones that the kernel takes (`parse_user_sigframe`).
fn find_floats(frame: &mut Frame, sp: GuestAddr, memory: &dyn GuestMemory) -> Option<usize> {
    const HEAD: usize = 8;
    let (mut at, mut end, mut found) = (RESERVED, FRAME_SIZE, None);
    loop {
        if end - at < HEAD || !at.is_multiple_of(16) {
            return None;
        }
        let (magic, size) = (frame.u32(at), frame.u32(at + 4) as usize);
        match magic {
            0 => return found.filter(|_| size == 0),
            _ if size < HEAD || size > end - at => return None,
            FPSIMD_MAGIC if found.is_none() && size == FPSIMD_SIZE => found = Some(at),
            ESR_MAGIC => {}
            EXTRA_MAGIC if end == FRAME_SIZE => {
                end += read_extra(frame, at, size, sp, memory)?;
                at = FRAME_SIZE;
                continue;
            }
            _ => return None,
        }
        at += size;
    }
}

/// Appends the records behind the frame that the one at `at` speaks of; their size.
fn read_extra(
    frame: &mut Frame,
    at: usize,
    size: usize,
    sp: GuestAddr,
    memory: &dyn GuestMemory,
) -> Option<usize> {
    let behind = sp.offset(FRAME_SIZE as i64);
    let last = at + size;
    if size < EXTRA_SIZE || FRAME_SIZE - last < TERMINATOR_SIZE || frame.u64(last) != 0 {
        return None;
    }
    let (place, len) = (frame.u64(at + 8), frame.u32(at + 16) as usize);
    if place != behind.raw() || !len.is_multiple_of(16) || len > MOST_BYTES - FRAME_SIZE {
        return None;
    }
    frame.0.resize(FRAME_SIZE + len, 0);
    memory.read(behind, &mut frame.0[FRAME_SIZE..]).ok()?;
    Some(len)
}

fn restore_floats(state: &mut GuestState, frame: &Frame, at: usize) {
    fpenv::set_fpsr(state, u64::from(frame.u32(at + 8)));
    fpenv::set_fpcr(state, u64::from(frame.u32(at + 12)));
    for n in 0..32 {
        let value: [u8; 16] = frame.array(at + 16 + 16 * usize::from(n));
        state.set_u128(vector_slot(n), u128::from_le_bytes(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest::{Access, FaultKind};
    use std::cell::RefCell;

    /// Guest memory of one buffer at address 0x10000.
    struct Memory(RefCell<Vec<u8>>);

    const BASE: u64 = 0x10000;

    impl GuestMemory for Memory {
        fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault> {
            let Some(start) = addr.raw().checked_sub(BASE).map(|at| at as usize) else {
                return Err(Fault { addr, access: Access::Read, kind: FaultKind::Unmapped });
            };
            out.copy_from_slice(&self.0.borrow()[start..start + out.len()]);
            Ok(())
        }
        fn write(&self, addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
            let start = (addr.raw() - BASE) as usize;
            self.0.borrow_mut()[start..start + data.len()].copy_from_slice(data);
            Ok(())
        }
        fn is_present(&self, _: GuestAddr) -> bool {
            true
        }
    }

    fn delivery(top: u64) -> SignalDelivery {
        SignalDelivery {
            signal: 11,
            info: [7; 128],
            handler: GuestAddr(0x4000),
            restorer: None,
            trampoline: GuestAddr(0x7000),
            sa_flags: SA_SIGINFO,
            mask: 0x55,
            alt_stack: AltStack { sp: 1, flags: 2, size: 3 },
            stack_top: GuestAddr(top),
            on_alt_stack: false,
            fault: Some(Fault { addr: GuestAddr(8), access: Access::Write, kind: FaultKind::Unmapped }),
            trap: None,
        }
    }

    #[test]
    fn a_frame_comes_back_as_it_was_pushed() {
        let memory = Memory(RefCell::new(vec![0xaa; 0x4000]));
        let mut state = GuestState::default();
        for n in 0..31 {
            state.set_u64(x(n), u64::from(n) * 3);
            state.set_u128(vector_slot(n), u128::from(n) << 90);
        }
        state.set_pc(0x1234);
        set_cpsr(&mut state, 0x9000_0000);
        fpenv::set_fpsr(&mut state, 0x0800_0011);
        let top = BASE + 0x3fe8;
        state.set_u64(SP, top);
        let before = state.clone();
        push(&mut state, &memory, &delivery(top)).unwrap();
        let sp = state.u64(SP);
        assert_eq!((state.pc(), sp & 15, state.u64(x(30))), (0x4000, 0, 0x7000));
        assert_eq!(memory.read_u64(GuestAddr(state.u64(x(29)))).unwrap(), 29 * 3);
        assert_eq!(memory.read_u64(GuestAddr(sp + 128 + 168 + 8)).unwrap(), 8);
        assert_eq!(memory.read_u64(GuestAddr(sp + RESERVED as u64 + 528 + 8)).unwrap(), 0x9200_0047);
        let restored = pop(&mut state, &memory).unwrap();
        let alt_stack = AltStack { sp: 1, flags: 2, size: 3 };
        assert_eq!(
            restored,
            RestoredFrame { mask: 0x55, alt_stack, changed_at: GuestAddr(top), raises: None }
        );
        assert_eq!(state.bytes_at(x(0), 256), before.bytes_at(x(0), 256));
        assert_eq!(state.u128(vector_slot(5)), before.u128(vector_slot(5)));
        assert_eq!((state.pc(), cpsr(&state), fpenv::fpsr(&state)), (0x1234, 0x9000_0000, 0x0800_0011));
    }
}
