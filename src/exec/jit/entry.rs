//! Into compiled code and out of it again.
//!
//! Compiled code finds everything through one pinned register, which points into the guest state ([`at`]): words of the
//! state that no architecture uses hold the addresses of the thread's [`Context`] and poll flag, the last commit point,
//! and the stack pointer of the way in. Nothing of the host's is written into the code itself.
//!
//! Code is left for other code for good: a region calls the next one, which starts by putting the stack pointer back
//! to where the way in had it. Only the trampoline saves registers.
//!
//! A guest access that faults leaves compiled code from the signal handler: the thread is sent to an exit
//! that restores the stack pointer of the way in and returns, with the host pc left in the context.
#![allow(unsafe_code)] // runs compiled code; pointers that travel through it

use super::helper_call::HelperCall;
use super::jumps::{FAR_FACTOR, FAR_SHIFT, Far, JUMP_ENTRIES, Jumps, Returns};
use super::owed::{Owed, Source};
use super::slow::slow_op_at;
use super::{code_memory, is_access, way_out};
use crate::exec::Env;
use crate::exec::interp::{Stop, call_state, run_op};
use crate::host::fault_table::HostFault;
use crate::host::signals::{self, Port};
use crate::host::{crypto, heap, rounding};
use guest::GuestAddr;
use guest::helper::HelperFn;
use guest::ir::flags::FlagRecord;
use guest::ir::{Crypto, MAX_CELLS};
use guest::state::{GuestState, JUMPED_FROM, PC, Slot};
use std::alloc::{Layout, handle_alloc_error};
use std::arch::global_asm;
use std::cell::UnsafeCell;
use std::mem::{MaybeUninit, offset_of};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The state's word that points to the [`Context`].
pub const CONTEXT_SLOT: Slot = Slot(80);
/// The state's word that points to the poll flag.
pub const POLL_SLOT: Slot = Slot(88);
/// The last commit point that stores its number (see [`super::commit`]).
pub const POINT_SLOT: Slot = Slot(96);

/// The stack pointer that code starts with.
pub const STACK_SLOT: Slot = Slot(112);
/// The address of what a block from templates calls, right before its entry, to be left there.
pub const LEAVE_SLOT: Slot = Slot(120);
/// How far behind its entry the instruction ends that counts; before its last byte stands where the counter is from there.
pub const COUNTED_AT: usize = 16;

/// How far behind the start of the state the pinned register points: so far that most of what code uses is within the
/// reach of a distance of one byte.
const AHEAD: i32 = 128;

/// Where a slot is from there, in bytes.
pub fn at(slot: Slot) -> i32 {
    from_pinned(slot.0)
}

const fn from_pinned(offset: u16) -> i32 {
    offset as i32 - AHEAD
}

/// What stands before a region: `mov rsp, [r15 - 16]`. So a region may be entered by a call that never returns,
/// and owes nobody its registers.
pub const PREFIX: [u8; 4] = [0x49, 0x8b, 0x67, from_pinned(STACK_SLOT.0) as u8];

/// Places for results that nobody wants: many, because of two stores to one place Cranelift drops the first.
pub const SCRATCH_ENTRIES: usize = 64;

/// What compiled code returns.
pub mod exit {
    /// Goes on at the state's pc.
    pub const NEXT: u64 = 0;
    pub const RESYNC: u64 = 1;
    pub const SYSCALL: u64 = 2;
    /// The context's `stop` says why; the state's pc is the instruction.
    pub const STOP: u64 = 3;
    /// A guest access faulted; the context's `fault` says where.
    pub const FAULT: u64 = 4;
    /// The same as [`NEXT`], and the context's `missed` says which region has not expected it.
    pub const MISSED: u64 = 5;
    /// Plus a trap's number; the state's pc is the instruction.
    pub const TRAP: u64 = 0x100;
    /// From here on: the address of the slot it left through.
    pub const SLOT: u64 = 0x1000;
    /// Added to the address of a block's own slot: it goes on at its start, because it was asked to leave or
    /// its counter, which is there, has run out.
    pub const OWN_SLOT: i32 = 1;
}

/// Room for a helper's operand: the longest vector.
type Place = [u64; PLACE_BYTES / 8];
pub const PLACE_BYTES: usize = 64;

/// A computed jump in a region that has led elsewhere than expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Missed {
    /// The block that ends with it.
    pub block: GuestAddr,
    /// The region's head.
    pub head: GuestAddr,
}

/// One of so many jumps that lead elsewhere than expected is told of.
const UNEXPECTED: u64 = 50_000;

/// One thread's side of compiled code, which reads and writes the first fields. Most of it are zeros at first, in whole pages
/// that a thread need not touch.
#[repr(C, align(4096))]
pub struct Context {
    stack: u64,
    slow_op: extern "C" fn(*mut GuestState, u64) -> u64,
    pack_flags: extern "C" fn(u64, u64, u64, u64) -> u64,
    /// `slow_op` behind code that keeps all registers.
    slow_op_aside: unsafe extern "C" fn(),
    /// `pack_flags`, in the same way.
    pack_flags_aside: unsafe extern "C" fn(),
    call_helper: extern "C" fn(*mut GuestState, u64) -> u64,
    call_helper_aside: unsafe extern "C" fn(),
    /// What they gave.
    aside_result: u64,
    /// Operands and result of a helper.
    helper_places: [Place; 4],
    /// Goes on at the guest address in rdi, for the jump at the one in rsi.
    find_jump: unsafe extern "C" fn(),
    /// The address and mask of [`Far`]; 0 while that is empty.
    far_at: u64,
    far_mask: u64,
    /// Guest instructions run in regions and in blocks from templates, where code that counts was made.
    pub in_regions: u64,
    pub in_templates: u64,
    /// Where the code is that was left at its entry last, what had led there: a slot's address, or anything.
    pub arrived: u64,
    /// How many more computed jumps in regions may lead elsewhere than expected until one of them is told of.
    misses: u64,
    /// That one.
    missed: Missed,
    /// Always 0; compiled code adds it to make a value opaque.
    zero: [u64; 2],
    /// Results that nobody wants.
    scratch: [[u64; 2]; SCRATCH_ENTRIES],
    returns: Returns,
    jumps: Jumps,
    cells: [u64; MAX_CELLS],
    far: Far,
    env: &'static Env,
    pub stop: Option<Stop>,
    pub fault: HostFault,
    pub fault_pc: usize,
    /// The general registers there, by the host's numbers.
    fault_registers: [u64; 16],
    /// The steps of ciphers and hashes, by `Crypto`.
    crypto: [crypto::Step; Crypto::ALL.len()],
    /// Rounding to integral, by `rounding::index`.
    rounding: rounding::Steps,
}

pub const SLOW_OP: i32 = offset_of!(Context, slow_op) as i32;
pub const SLOW_OP_ASIDE: i32 = offset_of!(Context, slow_op_aside) as i32;
pub const PACK_FLAGS_ASIDE: i32 = offset_of!(Context, pack_flags_aside) as i32;
pub const CALL_HELPER: i32 = offset_of!(Context, call_helper) as i32;
pub const CALL_HELPER_ASIDE: i32 = offset_of!(Context, call_helper_aside) as i32;
pub const HELPER_PLACES: i32 = offset_of!(Context, helper_places) as i32;
pub const ASIDE_RESULT: i32 = offset_of!(Context, aside_result) as i32;
pub const PACK_FLAGS: i32 = offset_of!(Context, pack_flags) as i32;
pub const MISSES: i32 = offset_of!(Context, misses) as i32;
pub const MISSED_BLOCK: i32 = (offset_of!(Context, missed) + offset_of!(Missed, block)) as i32;
pub const MISSED_HEAD: i32 = (offset_of!(Context, missed) + offset_of!(Missed, head)) as i32;
pub const IN_REGIONS: i32 = offset_of!(Context, in_regions) as i32;
pub const IN_TEMPLATES: i32 = offset_of!(Context, in_templates) as i32;
pub const ZERO: i32 = offset_of!(Context, zero) as i32;
pub const SCRATCH: i32 = offset_of!(Context, scratch) as i32;
pub const JUMPS: i32 = offset_of!(Context, jumps) as i32;
pub const RETURNS: i32 = offset_of!(Context, returns) as i32;
pub const FIND_JUMP: i32 = offset_of!(Context, find_jump) as i32;
pub const CRYPTO: i32 = offset_of!(Context, crypto) as i32;
pub const ROUNDING: i32 = offset_of!(Context, rounding) as i32;
pub const CELLS: i32 = offset_of!(Context, cells) as i32;

impl Context {
    /// Makes one of zeroed memory.
    ///
    /// # Safety
    /// `place` is zeroed, large enough, aligned, and nobody else's.
    unsafe fn make(place: *mut Self, env: &'static Env) {
        // SAFETY: the caller's promise. What is not written here is valid as zeros.
        unsafe {
            (&raw mut (*place).slow_op).write(slow_op);
            (&raw mut (*place).pack_flags).write(pack_flags);
            (&raw mut (*place).slow_op_aside).write(qemu_lua_slow_op_aside);
            (&raw mut (*place).pack_flags_aside).write(qemu_lua_pack_flags_aside);
            (&raw mut (*place).call_helper).write(call_helper);
            (&raw mut (*place).call_helper_aside).write(qemu_lua_call_helper_aside);
            (&raw mut (*place).find_jump).write(qemu_lua_find_jump);
            (&raw mut (*place).far).write(Far::default());
            (&raw mut (*place).env).write(env);
            (&raw mut (*place).stop).write(None);
            (&raw mut (*place).misses).write(UNEXPECTED);
            (&raw mut (*place).fault).write(HostFault::default());
            (&raw mut (*place).crypto).write(*crypto::steps());
            (&raw mut (*place).rounding).write(rounding::STEPS);
        }
    }

    /// Makes the writes that code owed where it has faulted.
    pub fn write_owed(&self, owed: &[Owed], state: &mut GuestState) {
        for &Owed { slot, from } in owed {
            let value = match from {
                Source::Register(number) => self.fault_registers[usize::from(number)],
                Source::Cell(v) => self.cells[usize::from(v.0)],
                Source::Constant(value) => i64::from(value) as u64,
            };
            state.set_u64(slot, value);
        }
    }

    /// The jump that has been told of.
    pub fn take_missed(&mut self) -> Missed {
        self.misses = UNEXPECTED;
        self.missed
    }

    /// Forgets where jumps lead.
    pub fn forget_jumps(&mut self) {
        self.jumps.forget();
        self.returns.forget(super::nowhere());
        self.far = Far::default();
        (self.far_at, self.far_mask) = self.far.place();
    }

    /// Makes computed jumps to `pc` go to `host`.
    pub fn learn_jump(&mut self, pc: u64, host: u64) {
        if let Some(before) = self.jumps.learn(pc, host) {
            self.far.add(before);
            (self.far_at, self.far_mask) = self.far.place();
        }
    }
}

/// A thread's own context.
pub struct OwnContext(NonNull<Context>);

// SAFETY: whoever has it has the context for himself.
unsafe impl Send for OwnContext {}

/// Room for the first thread's: pages of the image that are there anyway.
struct FirstRoom(UnsafeCell<MaybeUninit<Context>>);

// SAFETY: used by who has set `FIRST_TAKEN`.
unsafe impl Sync for FirstRoom {}

static FIRST_ROOM: FirstRoom = FirstRoom(UnsafeCell::new(MaybeUninit::zeroed()));
static FIRST_TAKEN: AtomicBool = AtomicBool::new(false);

/// Contexts of threads that have ended, for new ones.
static UNUSED: Mutex<Vec<OwnContext>> = Mutex::new(Vec::new());

fn unused() -> MutexGuard<'static, Vec<OwnContext>> {
    UNUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps them still while `f` runs: for fork. Nothing else is locked under this.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _unused = unused();
    f()
}

impl OwnContext {
    pub fn new(env: &'static Env) -> Self {
        signals::set_code_fault_hook(on_code_fault);
        let from_before = unused().pop();
        let mut own = from_before.unwrap_or_else(|| Self::made(env));
        own.forget_jumps();
        own
    }

    fn made(env: &'static Env) -> Self {
        let size = size_of::<Context>();
        let place = match FIRST_TAKEN.swap(true, Ordering::Relaxed) {
            // A program's start touches most of them: they come together.
            false => heap::populated(FIRST_ROOM.0.get() as u64, size as u64) as *mut Context,
            true => heap::map(size as u64).unwrap_or(0) as *mut Context,
        };
        let Some(place) = NonNull::new(place) else { handle_alloc_error(Layout::new::<Context>()) };
        // SAFETY: the room that nobody has had, or pages just mapped.
        unsafe { Context::make(place.as_ptr(), env) };
        Self(place)
    }
}

impl Deref for OwnContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        // SAFETY: made in `made`, and this thread's own until it is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for OwnContext {
    fn deref_mut(&mut self) -> &mut Context {
        // SAFETY: as above.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for OwnContext {
    fn drop(&mut self) {
        (self.in_regions, self.in_templates) = (0, 0);
        self.stop = None;
        unused().push(Self(self.0));
    }
}

global_asm!(
    ".pushsection .text.qemu_lua_enter,\"ax\",@progbits",
    // rdi: state, rsi: code, rdx: where the stack pointer is kept
    ".globl qemu_lua_enter",
    "qemu_lua_enter:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "lea r15, [rdi + {ahead}]",
    "mov [rdx], rsp",
    // As the call leaves it.
    "lea rax, [rsp - 8]",
    "mov [r15 + {start}], rax",
    "xor edi, edi",
    "call rsi",
    "2:",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    // Where a fault in compiled code goes on. r15 is the state still.
    ".globl qemu_lua_fault_exit",
    "qemu_lua_fault_exit:",
    "mov rax, [r15 + {context}]",
    "mov rsp, [rax + {stack}]",
    "mov eax, {fault}",
    "cld",
    "jmp 2b",
    // Where a block is left at its entry, to which the return address points; rdi is the slot that has led there, if one has.
    ".globl qemu_lua_leave",
    "qemu_lua_leave:",
    "mov rax, [r15 + {context}]",
    "mov [rax + {arrived}], rdi",
    "pop rax",
    "movsxd rcx, dword ptr [rax + {counted} - 5]",
    "lea rax, [rax + rcx + {counted} + {own}]",
    "mov rsp, [r15 + {start}]",
    "ret",
    // Where computed jumps go on that their own code does not know: rdi is the guest address, rsi the jump's.
    ".globl qemu_lua_find_jump",
    "qemu_lua_find_jump:",
    "mov rcx, [r15 + {context}]",
    "mov rax, rdi",
    "shr rax, 12",
    "xor rax, rdi",
    "and eax, {jumps_mask}",
    "shl eax, 4",
    "lea rdx, [rcx + rax + {jumps}]",
    "cmp [rdx], rdi",
    "je 4f",
    "mov rdx, [rcx + {far}]",
    "test rdx, rdx",
    "jz 5f",
    "mov eax, edi",
    "imul rax, rax, {factor}",
    "shr rax, {shift}",
    "and rax, [rcx + {far_mask}]",
    "add rdx, rax",
    "cmp [rdx], rdi",
    "jne 5f",
    "4:",
    "xor edi, edi",
    "jmp qword ptr [rdx + 8]",
    "5:",
    "mov [r15 + {pc}], rdi",
    "mov [r15 + {from}], rsi",
    "xor eax, eax",
    "mov rsp, [r15 + {start}]",
    "ret",
    // Calls where they are not the usual way, so that the usual one need not keep anything in memory for them:
    // all registers stay as they are (of the vectors 16 bytes, which is what compiled code uses).
    ".macro qemu_lua_aside name, callee",
    ".globl \\name",
    "\\name:",
    ".irp reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11",
    "push \\reg",
    ".endr",
    "sub rsp, 256",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "movaps [rsp + 16 * \\n], xmm\\n",
    ".endr",
    "call \\callee",
    "mov rcx, [r15 + {context}]",
    "mov [rcx + {result}], rax",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "movaps xmm\\n, [rsp + 16 * \\n]",
    ".endr",
    "add rsp, 256",
    ".irp reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax",
    "pop \\reg",
    ".endr",
    "ret",
    ".endm",
    "qemu_lua_aside qemu_lua_slow_op_aside, {slow_op}",
    "qemu_lua_aside qemu_lua_call_helper_aside, {call_helper}",
    "qemu_lua_aside qemu_lua_pack_flags_aside, {pack_flags}",
    ".popsection",
    slow_op = sym slow_op,
    call_helper = sym call_helper,
    pack_flags = sym pack_flags,
    result = const offset_of!(Context, aside_result),
    ahead = const AHEAD,
    start = const from_pinned(STACK_SLOT.0),
    context = const from_pinned(CONTEXT_SLOT.0),
    stack = const offset_of!(Context, stack),
    fault = const exit::FAULT,
    counted = const COUNTED_AT,
    arrived = const offset_of!(Context, arrived),
    own = const exit::OWN_SLOT,
    pc = const from_pinned(PC.0),
    from = const from_pinned(JUMPED_FROM.0),
    jumps = const JUMPS,
    jumps_mask = const JUMP_ENTRIES - 1,
    far = const offset_of!(Context, far_at),
    far_mask = const offset_of!(Context, far_mask),
    factor = const FAR_FACTOR as i32,
    shift = const FAR_SHIFT,
);

unsafe extern "C" {
    fn qemu_lua_enter(state: *mut GuestState, code: u64, stack: *mut u64) -> u64;
    fn qemu_lua_fault_exit();
    fn qemu_lua_find_jump();
    fn qemu_lua_leave();
    fn qemu_lua_slow_op_aside();
    fn qemu_lua_call_helper_aside();
    fn qemu_lua_pack_flags_aside();
}

/// Runs compiled code; what it returned (see [`exit`]).
pub fn run(code: u64, state: &mut GuestState, port: &Port, context: &mut Context) -> u64 {
    assert!(code_memory::contains(code as usize), "an entry lies in code memory");
    let context = std::ptr::from_mut(context);
    state.set_u64(CONTEXT_SLOT, context as u64);
    state.set_u64(POLL_SLOT, (&raw const port.poll) as u64);
    state.set_u64(LEAVE_SLOT, qemu_lua_leave as *const () as u64);
    // SAFETY: `code` was installed by the compiler (checked) and keeps to the calling convention that the
    // trampoline expects. State, port and context outlive the call, and nothing else uses them meanwhile
    // but the callbacks below, on this thread.
    unsafe { qemu_lua_enter(state, code, &raw mut (*context).stack) }
}

/// Called by compiled code: runs op `index` of the slow-op table on the context's cells. 0, or an exit.
extern "C" fn slow_op(pinned: *mut GuestState, index: u64) -> u64 {
    let state = pinned.wrapping_byte_sub(AHEAD as usize);
    // SAFETY: compiled code passes its pinned register, which points into the state that `run` was given exclusively.
    let state = unsafe { &mut *state };
    let context = state.u64(CONTEXT_SLOT) as *mut Context;
    // SAFETY: `run` put the address of its exclusive context there.
    let context = unsafe { &mut *context };
    let env = context.env;
    let &(op, nan_rule) = slow_op_at(index as usize);
    match run_op(op, nan_rule, state, env, &mut context.cells) {
        Ok(()) => exit::NEXT,
        Err(stop) => {
            context.stop = Some(stop);
            exit::STOP
        }
    }
}

/// Called by compiled code: the helper that `number` says, on the context's places. 0, or an exit.
extern "C" fn call_helper(pinned: *mut GuestState, number: u64) -> u64 {
    let state = pinned.wrapping_byte_sub(AHEAD as usize);
    // SAFETY: as in `slow_op`.
    let state = unsafe { &mut *state };
    let context = state.u64(CONTEXT_SLOT) as *mut Context;
    // SAFETY: as in `slow_op`.
    let context = unsafe { &mut *context };
    let HelperCall { f, n, imm } = HelperCall::numbered(number);
    let [a, b, c, result] = &mut context.helper_places;
    match context.env.helper(f).f {
        HelperFn::Int(f) => result[0] = f(a[0], b[0], c[0]),
        HelperFn::Vector(f) => {
            for unit in 0..n.units() {
                let [x, y, z] = [&*a, b, c].map(|place| unit_of(place, unit));
                let value = f(x, y, z, imm);
                (result[2 * unit], result[2 * unit + 1]) = (value as u64, (value >> 64) as u64);
            }
        }
        HelperFn::State(f) => match call_state(f, state, context.env, [a[0], b[0], c[0]]) {
            Ok(value) => result[0] = value,
            Err(stop) => {
                context.stop = Some(stop);
                return exit::STOP;
            }
        },
    }
    exit::NEXT
}

fn unit_of(place: &Place, unit: usize) -> u128 {
    u128::from(place[2 * unit]) | u128::from(place[2 * unit + 1]) << 64
}

/// Called by compiled code: the flags of a record, packed.
extern "C" fn pack_flags(code: u64, a: u64, b: u64, r: u64) -> u64 {
    FlagRecord::of_words(code, a, b, r).pack()
}

/// Indices into `mcontext_t.gregs`.
const REG_R15: usize = 7;
const REG_RIP: usize = 16;
/// Those of the general registers, by the host's numbers.
const GENERAL: [usize; 16] = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];

/// In the signal handler: sends a thread that faulted in compiled code to the exit, or the access's own, and one that was
/// interrupted at a guest access. (A thread in compiled code holds no lock, so the handler may take them.)
fn on_code_fault(pc: usize, fault: HostFault, registers: &mut [i64; 23]) -> bool {
    if !code_memory::contains(pc) || (fault.is_interruption() && !is_access(pc)) {
        return false;
    }
    let state = (registers[REG_R15] as *const GuestState).wrapping_byte_sub(AHEAD as usize);
    // SAFETY: in compiled code r15 points into the state that `run` was given.
    let context = unsafe { (*state).u64(CONTEXT_SLOT) } as *mut Context;
    // SAFETY: `run` put its context there; the thread it belongs to is interrupted right here.
    unsafe { (*context).fault = fault };
    // SAFETY: as above.
    unsafe { (*context).fault_pc = pc };
    // SAFETY: as above.
    unsafe { (*context).fault_registers = GENERAL.map(|index| registers[index] as u64) };
    let exit = way_out(pc).unwrap_or(qemu_lua_fault_exit as *const () as usize);
    registers[REG_RIP] = exit as i64;
    true
}
