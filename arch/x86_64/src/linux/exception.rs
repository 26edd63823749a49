//! What the processor says of a fault or trap: the exception's vector, its error code, the address (cr2).
//!
//! The engine knows what an access was for and why it failed. What more the hardware knows is the instruction's: an
//! address that goes through the stack segment is #SS rather than #GP, and what reads and then writes a place faults
//! as a write. So the instruction is decoded once more, here, where it costs nothing.

use crate::state::{EXCEPTION, FS_BASE, GS_BASE, MXCSR, RSP, X87_CONTROL, X87_STATUS, gpr};
use guest::linux::SignalDelivery;
use guest::state::{GuestState, JUMPED_FROM};
use guest::{Access, Fault, FaultKind, GuestAddr, GuestMemory, Trap};
use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
    UsedMemory,
};

pub(super) const DIVIDE: u64 = 0;
pub(super) const DEBUG: u64 = 1;
pub(super) const BREAKPOINT: u64 = 3;
const OVERFLOW: u64 = 4;
const INVALID_OPCODE: u64 = 6;
pub(super) const STACK: u64 = 12;
pub(super) const PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;
const X87: u64 = 16;
const ALIGNMENT: u64 = 17;
const SIMD: u64 = 19;

// A page fault's error code (SDM vol. 3A, 4.7).
const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const USER: u64 = 4;
const FETCH: u64 = 16;

/// Addresses from here on are the kernel's: faults there are shown as if there were a page, to tell nothing
/// (arch/x86/mm/fault.c).
const TASK_SIZE: u64 = 0x7fff_ffff_f000;

/// The gate of 32-bit system calls, refused.
const SYSCALL_GATE: u64 = 0x80;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Exception {
    pub vector: u64,
    pub error: u64,
    /// cr2, where it is a page fault.
    pub address: Option<u64>,
    /// Whether it is a fault, after which the instruction may run again: EFLAGS.RF is set in the image (SDM vol. 3B,
    /// 17.3.1.1).
    pub resumes: bool,
}

impl Exception {
    const fn fault(vector: u64, error: u64) -> Self {
        Self { vector, error, address: None, resumes: true }
    }

    const fn trap(vector: u64) -> Self {
        Self { vector, error: 0, address: None, resumes: false }
    }

    /// What is behind a signal; nothing, where it came from elsewhere.
    pub(super) fn of(
        delivery: &SignalDelivery,
        state: &GuestState,
        memory: &dyn GuestMemory,
    ) -> Option<Self> {
        Some(match (delivery.fault, delivery.trap) {
            (Some(fault), _) => of_fault(fault, state, memory),
            (None, Some(Trap::SingleStep)) => {
                Self { resumes: is_within_repeat(state, memory), ..of_trap(Trap::SingleStep, state) }
            }
            (None, Some(Trap::GeneralProtection)) => {
                Exception::fault(PROTECTION, selector_error(state, memory).unwrap_or(0))
            }
            (None, Some(trap)) => of_trap(trap, state),
            (None, None) => return None,
        })
    }
}

fn of_trap(trap: Trap, state: &GuestState) -> Exception {
    match trap {
        Trap::DivideError => Exception::fault(DIVIDE, 0),
        Trap::SingleStep => Exception::trap(DEBUG),
        Trap::Breakpoint => Exception::trap(BREAKPOINT),
        Trap::Illegal | Trap::BranchTarget | Trap::Authentication => Exception::fault(INVALID_OPCODE, 0),
        Trap::GeneralProtection => Exception::fault(PROTECTION, 0),
        Trap::BadGate => Exception::fault(PROTECTION, SYSCALL_GATE << 3 | 2),
        Trap::Interrupt => of_interrupt(state),
        Trap::X87 => Exception::fault(X87, 0),
        Trap::Alignment | Trap::PcAlignment => Exception::fault(ALIGNMENT, 0),
        Trap::FloatingPoint => Exception::fault(SIMD, 0),
    }
}

/// The exception that a software interrupt has left in the state.
pub(super) fn of_interrupt(state: &GuestState) -> Exception {
    let word = state.u64(EXCEPTION);
    let (vector, error) = (word & 0xff, word >> 8);
    match vector {
        DEBUG | BREAKPOINT | OVERFLOW => Exception::trap(vector),
        _ => Exception::fault(vector, error),
    }
}

/// The exception of a failed access by the instruction at the state's pc.
pub(super) fn of_fault(fault: Fault, state: &GuestState, memory: &dyn GuestMemory) -> Exception {
    let insn = || decode(state.pc(), memory);
    if fault.access == Access::Fetch && !is_canonical(fault.addr.0, 1) {
        return Exception::fault(PROTECTION, 0);
    }
    if fault.kind == FaultKind::NonCanonical {
        let through_stack = insn().is_some_and(|insn| goes_through_stack(&insn, state));
        return Exception::fault(if through_stack { STACK } else { PROTECTION }, 0);
    }
    let present = match fault.kind {
        FaultKind::Protected => memory.is_present(fault.addr),
        _ => fault.addr.0 >= TASK_SIZE,
    };
    let access = match fault.access {
        Access::Read if insn().is_some_and(|insn| modifies(&insn)) => WRITE,
        Access::Read => 0,
        Access::Write => WRITE,
        Access::Fetch => FETCH,
    };
    let error = USER | access | if present { PRESENT } else { 0 };
    Exception { address: Some(fault.addr.0), ..Exception::fault(PAGE_FAULT, error) }
}

/// The instruction at `pc`, if it can be read.
pub(crate) fn decode(pc: u64, memory: &dyn GuestMemory) -> Option<Instruction> {
    const LONGEST: usize = 15;
    let mut bytes = [0; LONGEST];
    let in_page = (0x1000 - pc as usize % 0x1000).min(LONGEST);
    if memory.read(GuestAddr(pc), &mut bytes).is_err() {
        memory.read(GuestAddr(pc), &mut bytes[..in_page]).ok()?;
    }
    let insn = Decoder::with_ip(64, &bytes, pc, DecoderOptions::NONE).decode();
    (!insn.is_invalid()).then_some(insn)
}

/// The error code of #GP that a selector has caused: the selector without its privilege level (SDM vol. 3A, 6.13).
fn selector_error(state: &GuestState, memory: &dyn GuestMemory) -> Option<u64> {
    const CODE: u64 = 0x33;
    const DATA: u64 = 0x2b;
    let insn = decode(state.pc(), memory)?;
    let word_at = |address: u64| {
        let mut bytes = [0; 2];
        memory.read(GuestAddr(address), &mut bytes).ok()?;
        Some(u64::from(u16::from_le_bytes(bytes)))
    };
    let operand = |op| insn.virtual_address(op, 0, |reg, _, _| register(reg, state));
    let pointer = |op| word_at(operand(op)?.wrapping_add(insn.memory_size().size() as u64 - 2));
    let popped = u64::from(insn.stack_pointer_increment().unsigned_abs());
    let on_stack = |offset: u64| word_at(state.u64(RSP).wrapping_add(offset));
    let is_not = |wanted: u64| move |selector: &u64| *selector != wanted;
    // A jump may ask for any privilege level.
    let no_code = |selector: &u64| selector | 3 != CODE;
    let selector = match insn.mnemonic() {
        Mnemonic::Mov if !insn.op0_register().is_segment_register() => None,
        Mnemonic::Mov if insn.op1_kind() == OpKind::Memory => word_at(operand(1)?),
        Mnemonic::Mov => register(insn.op1_register(), state),
        Mnemonic::Pop => on_stack(0),
        Mnemonic::Lss | Mnemonic::Lfs | Mnemonic::Lgs => pointer(1),
        Mnemonic::Jmp if insn.is_jmp_far_indirect() => pointer(0).filter(no_code),
        Mnemonic::Call if insn.is_call_far_indirect() => pointer(0).filter(no_code),
        Mnemonic::Retf => {
            let extra = if insn.op_count() == 1 { insn.immediate(0) } else { 0 };
            on_stack((popped - extra) / 2).filter(is_not(CODE))
        }
        Mnemonic::Iret | Mnemonic::Iretd | Mnemonic::Iretq => {
            let stack = || on_stack(popped / 5 * 4).filter(is_not(DATA));
            on_stack(popped / 5).filter(is_not(CODE)).or_else(stack)
        }
        _ => None,
    };
    selector.map(|selector| selector & 0xfffc)
}

/// Whether a single step has ended within a repeated string instruction.
fn is_within_repeat(state: &GuestState, memory: &dyn GuestMemory) -> bool {
    state.u64(JUMPED_FROM) == state.pc()
        && decode(state.pc(), memory).is_some_and(|insn| {
            insn.is_string_instruction() && (insn.has_rep_prefix() || insn.has_repne_prefix())
        })
}

/// Whether it reads and writes one place in memory.
fn modifies(insn: &Instruction) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let both = |m: &UsedMemory| matches!(m.access(), OpAccess::ReadWrite | OpAccess::ReadCondWrite);
    factory.info(insn).used_memory().iter().any(both)
}

/// Whether the first of its addresses that does not exist is one of the stack segment.
fn goes_through_stack(insn: &Instruction, state: &GuestState) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let outside =
        |m: &&UsedMemory| address(m, state).is_none_or(|at| !is_canonical(at, m.memory_size().size()));
    if matches!(insn.mnemonic(), Mnemonic::Enter | Mnemonic::Leave) {
        return true;
    }
    let first = factory.info(insn).used_memory().iter().find(outside).copied();
    // Bit offsets in a register count too, but are not among those addresses.
    first.map_or(insn.memory_segment() == Register::SS, |m| m.segment() == Register::SS)
}

pub(crate) fn is_canonical(at: u64, size: usize) -> bool {
    let whole = |at: u64| (at << 16) as i64 >> 16 == at as i64;
    whole(at) && whole(at.wrapping_add(size.max(1) as u64 - 1))
}

fn address(memory: &UsedMemory, state: &GuestState) -> Option<u64> {
    memory.virtual_address(0, |reg, _, _| register(reg, state))
}

/// The value of a general register, or a segment's base.
pub(crate) fn register(reg: Register, state: &GuestState) -> Option<u64> {
    match reg {
        Register::FS => Some(state.u64(FS_BASE)),
        Register::GS => Some(state.u64(GS_BASE)),
        reg if reg.is_segment_register() => Some(0),
        reg if reg.is_gpr() => Some(state.u64(gpr(reg.full_register().number() as u16))),
        _ => None,
    }
}

/// `si_code` of SIGFPE (`fpu__exception_code` in arch/x86/kernel/fpu/core.c): the first exception that is flagged and
/// not masked.
pub(super) fn float_code(trap: Trap, state: &GuestState) -> i32 {
    const INVALID: u32 = 1;
    const ZERO_DIVIDE: u32 = 4;
    const TOO_LARGE: u32 = 8;
    const DENORMAL_OR_TOO_SMALL: u32 = 0x12;
    const CODES: [(u32, i32); 4] =
        [(INVALID, 7), (ZERO_DIVIDE, 3), (TOO_LARGE, 4), (DENORMAL_OR_TOO_SMALL, 5)];
    const INEXACT_CODE: i32 = 6;
    let (flags, masks) = match trap {
        Trap::X87 => (state.u16(X87_STATUS).into(), state.u16(X87_CONTROL).into()),
        _ => (state.u32(MXCSR), state.u32(MXCSR) >> 7),
    };
    let open = flags & !masks;
    CODES.iter().find(|(which, _)| open & which != 0).map_or(INEXACT_CODE, |&(_, code)| code)
}
