//! The signal frame (arch/x86/kernel/signal_64.c, arch/x86/include/uapi/asm/sigcontext.h).
//!
//! From the handler's stack pointer up: the return address, `struct ucontext`, `siginfo_t`, and, aligned
//! to 64, the XSAVE area (or just the FXSAVE image) that the context points to. Unwinders and debuggers know
//! this layout.

use super::exception::Exception;

use crate::helpers::{
    AREA_SIZE, Area, HEADER_AT, area_size, header_is_plain, load_area, mxcsr_of, save_area,
};
use crate::state::{
    DF, EFLAGS_REST, LAST_EXCEPTION, LAST_FAULT, MXCSR, MXCSR_DEFAULT, MXCSR_MASK, ORIG_RAX, RAX, RDI, RDX,
    RSI, RSP, XCR0, component, eflags, gpr, read_eflags, write_eflags,
};
use guest::linux::{AltStack, RestoredFrame, SignalDelivery, TrapSignal};
use guest::state::{GuestState, Slot};
use guest::{Access, Fault, FaultKind, GuestAddr, GuestMemory};

/// Bytes below the stack pointer that leaf functions use.
const RED_ZONE: u64 = 128;
/// Frame without the FXSAVE image: pretcode, ucontext, siginfo.
const FRAME_SIZE: usize = INFO_AT + 128;
const FX_SIZE: usize = 512;
/// In the image's spare bytes: what the kernel says of the area (`struct _fpx_sw_bytes`).
const SOFTWARE_AT: usize = 464;
const MAGIC1: u32 = 0x4650_5853;
/// Behind the area.
const MAGIC2: u32 = 0x4650_5845;

/// `SA_ONSTACK` aside, what `uc_flags` says: SS is in the context and must be restored as it is.
const UC_FLAGS: u64 = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
/// The context points to an XSAVE area.
const UC_FP_XSTATE: u64 = 1;
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;

// Offsets in the frame.
const UC_AT: usize = 8;
const STACK_AT: usize = UC_AT + 16;
const CONTEXT_AT: usize = UC_AT + 40;
const MASK_AT: usize = CONTEXT_AT + 256;
const INFO_AT: usize = MASK_AT + 8;

// Offsets in `struct sigcontext`.
const RIP_AT: usize = CONTEXT_AT + 128;
const EFLAGS_AT: usize = CONTEXT_AT + 136;
const SELECTORS_AT: usize = CONTEXT_AT + 144;
const ERR_AT: usize = CONTEXT_AT + 152;
const TRAPNO_AT: usize = CONTEXT_AT + 160;
const OLDMASK_AT: usize = CONTEXT_AT + 168;
const CR2_AT: usize = CONTEXT_AT + 176;
const FPSTATE_AT: usize = CONTEXT_AT + 184;

/// General registers in the order of `struct sigcontext`, by encoding number.
const ORDER: [u16; 16] = [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1, 4];
/// cs, gs, fs, ss.
const SELECTORS: [u16; 4] = [0x33, 0, 0, 0x2b];

/// `signal_fault`
const BAD_FRAME: TrapSignal = TrapSignal { signal: SIGSEGV, code: SI_KERNEL, addr: GuestAddr(0) };
const SIGSEGV: u32 = 11;
const SI_KERNEL: i32 = 0x80;

/// A frame being written or read, by offset.
struct Frame([u8; FRAME_SIZE]);

impl Frame {
    fn set(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn get(&self, at: usize) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|i| self.0[at + i]))
    }
}

/// Where the frame and its floating-point state, so many bytes, go. The frame is 8 below a multiple of 16, as after a call.
fn place(state: &GuestState, delivery: &SignalDelivery, floats: usize) -> (u64, u64) {
    let top = delivery.stack_top.0;
    let on_stack = top == state.u64(RSP);
    let below = if on_stack { top.wrapping_sub(RED_ZONE) } else { top };
    let fx = below.wrapping_sub(floats as u64) & !63;
    let frame = (fx.wrapping_sub(FRAME_SIZE as u64) & !15).wrapping_sub(8);
    (frame, fx)
}

/// Writes the frame and points the state at the handler.
pub(super) fn push(
    state: &mut GuestState,
    memory: &dyn GuestMemory,
    delivery: &SignalDelivery,
) -> Result<(), Fault> {
    let mut area = [0; FLOATS_SIZE];
    let floats = float_bytes(state, &mut area);
    let (at, fx_at) = place(state, delivery, floats.len());
    if delivery.on_alt_stack && !delivery.alt_stack.holds(at) {
        return Err(Fault { addr: GuestAddr(at), access: Access::Write, kind: FaultKind::Unmapped });
    }
    let resumes = note_exception(state, memory, delivery);
    memory.write(GuestAddr(fx_at), floats)?;
    memory.write(GuestAddr(at), &compose(state, delivery, fx_at, resumes).0)?;
    enter_handler(state, delivery, at);
    Ok(())
}

/// Keeps what is behind a signal of the thread's own (`trap_nr`, `error_code` and `cr2` of the kernel's `thread_struct`);
/// whether the instruction may run again.
fn note_exception(state: &mut GuestState, memory: &dyn GuestMemory, delivery: &SignalDelivery) -> bool {
    let Some(exception) = Exception::of(delivery, state, memory) else { return false };
    state.set_u64(LAST_EXCEPTION, exception.error << 8 | exception.vector);
    if let Some(address) = exception.address {
        state.set_u64(LAST_FAULT, address);
    }
    exception.resumes
}

fn compose(state: &GuestState, delivery: &SignalDelivery, fx_at: u64, resumes: bool) -> Frame {
    let mut frame = Frame([0; FRAME_SIZE]);
    let exception = state.u64(LAST_EXCEPTION);
    frame.set(0, delivery.restorer.unwrap_or(delivery.trampoline).0);
    frame.set(UC_AT, UC_FLAGS | if state.u64(XCR0) == 0 { 0 } else { UC_FP_XSTATE });
    frame.set(STACK_AT, delivery.alt_stack.sp);
    frame.set(STACK_AT + 8, delivery.alt_stack.flags.into());
    frame.set(STACK_AT + 16, delivery.alt_stack.size);
    for (index, &n) in ORDER.iter().enumerate() {
        frame.set(CONTEXT_AT + 8 * index, state.u64(gpr(n)));
    }
    frame.set(RIP_AT, state.pc());
    frame.set(EFLAGS_AT, read_eflags(state) | if resumes { eflags::RF } else { 0 });
    frame.set(SELECTORS_AT, SELECTORS.iter().rev().fold(0, |all, &s| all << 16 | u64::from(s)));
    frame.set(ERR_AT, exception >> 8);
    frame.set(TRAPNO_AT, exception & 0xff);
    frame.set(OLDMASK_AT, delivery.mask);
    frame.set(CR2_AT, state.u64(LAST_FAULT));
    frame.set(FPSTATE_AT, fx_at);
    frame.set(MASK_AT, delivery.mask);
    frame.0[INFO_AT..].copy_from_slice(&delivery.info);
    frame
}

/// The handler starts with clear direction and trap flags; its floating-point state is the
/// interrupted code's.
fn enter_handler(state: &mut GuestState, delivery: &SignalDelivery, at: u64) {
    state.set_u64(RDI, delivery.signal.into());
    state.set_u64(RSI, at + INFO_AT as u64);
    state.set_u64(RDX, at + UC_AT as u64);
    state.set_u64(RAX, 0);
    state.set_u64(RSP, at);
    state.set_u64(DF, 0);
    let rest = state.u64(EFLAGS_REST) & !eflags::TF;
    state.set_u64(EFLAGS_REST, rest);
    state.set_pc(delivery.handler.0);
}

/// `rt_sigreturn`: the return address has been popped, so the frame lies 8 below the stack pointer.
pub(super) fn pop(state: &mut GuestState, memory: &dyn GuestMemory) -> Result<RestoredFrame, TrapSignal> {
    let mut frame = Frame([0; FRAME_SIZE]);
    let changed_at = GuestAddr(state.u64(RSP));
    memory.read(changed_at.offset(-8), &mut frame.0).map_err(|_| BAD_FRAME)?;
    restore(state, &frame);
    let fx_at = frame.get(FPSTATE_AT);
    let floats = if fx_at == 0 { Ok(None) } else { read_floats(state, memory, fx_at).map(Some) };
    match &floats {
        Ok(Some((area, components))) => load_area(state, area, *components),
        _ => reset_floats(state),
    }
    let alt_stack = AltStack {
        sp: frame.get(STACK_AT),
        flags: frame.get(STACK_AT + 8) as u32,
        size: frame.get(STACK_AT + 16),
    };
    Ok(RestoredFrame { mask: frame.get(MASK_AT), alt_stack, changed_at, raises: floats.err() })
}

fn restore(state: &mut GuestState, frame: &Frame) {
    for (index, &n) in ORDER.iter().enumerate() {
        let slot: Slot = gpr(n);
        state.set_u64(slot, frame.get(CONTEXT_AT + 8 * index));
    }
    state.set_pc(frame.get(RIP_AT));
    write_eflags(state, frame.get(EFLAGS_AT));
    state.set_u64(ORIG_RAX, u64::MAX);
}

/// A context without floating-point state means the initial one.
fn reset_floats(state: &mut GuestState) {
    load_area(state, &[0; AREA_SIZE], 0);
    state.set_u32(MXCSR, MXCSR_DEFAULT);
}

/// The most that a frame has of it: the area, and [`MAGIC2`].
const FLOATS_SIZE: usize = AREA_SIZE + 4;

/// The floating-point state as it stands in a frame, put into `place`, which is zeros.
fn float_bytes<'a>(state: &GuestState, place: &'a mut [u8; FLOATS_SIZE]) -> &'a [u8] {
    let components = state.u64(XCR0);
    let Some(area) = place.first_chunk_mut::<AREA_SIZE>() else { unreachable!("the place is larger") };
    save_area(state, area);
    if components == 0 {
        return &place[..FX_SIZE];
    }
    let size = area_size(components);
    let software = u64::from(MAGIC1) | (size as u64 + 4) << 32;
    for (index, word) in [software, components, size as u64].into_iter().enumerate() {
        place[SOFTWARE_AT + 8 * index..][..8].copy_from_slice(&word.to_le_bytes());
    }
    place[size..size + 4].copy_from_slice(&MAGIC2.to_le_bytes());
    &place[..size + 4]
}

/// The floating-point state of a frame, and which components of it count: without the kernel's marks there is
/// only the image. It must be one that XRSTOR or FXRSTOR take.
fn read_floats(state: &GuestState, memory: &dyn GuestMemory, at: u64) -> Result<(Area, u64), TrapSignal> {
    let enabled = state.u64(XCR0);
    let size = if enabled == 0 { FX_SIZE } else { area_size(enabled) };
    let mut area: Area = [0; AREA_SIZE];
    let read = |area: &mut Area, size| memory.read(GuestAddr(at), &mut area[..size]).map_err(|_| BAD_FRAME);
    read(&mut area, FX_SIZE)?;
    let marked = enabled != 0
        && word(&area, SOFTWARE_AT) as u32 == MAGIC1
        && word(&area, SOFTWARE_AT + 16) as usize & 0xffff_ffff == size
        && memory.read_u32(GuestAddr(at).offset(size as i64)).map_err(|_| BAD_FRAME)? == MAGIC2;
    if marked {
        read(&mut area, size)?;
    }
    let aligned = at.is_multiple_of(if marked { 64 } else { 16 });
    if !aligned || mxcsr_of(&area) & !MXCSR_MASK != 0 || marked && !header_is_plain(&area, enabled) {
        return Err(BAD_FRAME);
    }
    let wanted = word(&area, SOFTWARE_AT + 8) & enabled;
    Ok((area, if marked { word(&area, HEADER_AT) & wanted } else { component::X87 | component::SSE }))
}

fn word(area: &Area, at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| area[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const BASE: u64 = 0x10_0000;

    /// A page of memory at `BASE`.
    struct Page(RefCell<Vec<u8>>);

    impl GuestMemory for Page {
        fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault> {
            out.copy_from_slice(&self.0.borrow()[(addr.0 - BASE) as usize..][..out.len()]);
            Ok(())
        }
        fn write(&self, addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
            self.0.borrow_mut()[(addr.0 - BASE) as usize..][..data.len()].copy_from_slice(data);
            Ok(())
        }
        fn is_present(&self, _: GuestAddr) -> bool {
            true
        }
    }

    fn delivery(state: &GuestState) -> SignalDelivery {
        SignalDelivery {
            signal: 11,
            info: [7; 128],
            handler: GuestAddr(0x4000),
            restorer: Some(GuestAddr(0x5000)),
            trampoline: GuestAddr(0),
            sa_flags: 0,
            mask: 0x55,
            alt_stack: AltStack { sp: 1, flags: 2, size: 3 },
            stack_top: GuestAddr(state.u64(RSP)),
            on_alt_stack: false,
            fault: None,
            trap: None,
        }
    }

    #[test]
    fn what_is_pushed_is_popped() {
        let memory = Page(RefCell::new(vec![0; 4096]));
        let mut state = GuestState::default();
        for n in 0..16 {
            state.set_u64(gpr(n), 0x1111 * u64::from(n));
            state.set_u128(guest::state::vector_slot(n), u128::from(n) << 90 | 5);
            state.set_u128(guest::state::vector_slot(n).plus(16), u128::from(n) << 70 | 9);
        }
        state.set_u64(XCR0, component::ALL);
        state.set_u64(RSP, BASE + 4000);
        state.set_pc(0x1234);
        write_eflags(&mut state, eflags::DF | 1);
        let (before, delivery) = (state.clone(), delivery(&state));
        push(&mut state, &memory, &delivery).unwrap();
        let sp = state.u64(RSP);
        assert_eq!((sp % 16, state.pc(), state.u64(RDI), state.u64(DF)), (8, 0x4000, 11, 0));
        assert_eq!(memory.read_u64(GuestAddr(sp)).unwrap(), 0x5000);
        assert!((sp as usize + FRAME_SIZE + AREA_SIZE) as u64 <= BASE + 4000 - RED_ZONE);

        state = GuestState::default();
        state.set_u64(XCR0, component::ALL);
        state.set_u64(RSP, sp + 8);
        let restored = pop(&mut state, &memory).unwrap();
        let alt_stack = AltStack { sp: 1, flags: 2, size: 3 };
        assert_eq!(
            restored,
            RestoredFrame { mask: 0x55, alt_stack, changed_at: GuestAddr(sp + 8), raises: None }
        );
        assert_eq!((state.pc(), read_eflags(&state)), (before.pc(), read_eflags(&before)));
        for n in 0..16 {
            assert_eq!(state.u64(gpr(n)), before.u64(gpr(n)));
            let slot = guest::state::vector_slot(n);
            assert_eq!(state.u128(slot), before.u128(slot));
            assert_eq!(state.u128(slot.plus(16)), before.u128(slot.plus(16)));
        }
    }
}
