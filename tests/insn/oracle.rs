//! The host CPU as the reference: what goes straight on runs into a breakpoint, anything else is single-stepped,
//! which takes three times as long. The state is loaded through a signal frame.
//!
//! A child process does it, because a wrong guess may cost it its memory. A first signal's handler puts
//! the case's registers into its frame, with the trap flag; the signal that follows, the trap or what
//! the instruction raised, hands the registers back and restores the frame of the first.
#![allow(unsafe_code)] // signal frames, fork, fixed mappings: the test's own oracle

use crate::case::{AC, CODE, Case, DATA, DATA_LEN, Filled, Outcome, Registers};
use std::sync::atomic::{AtomicPtr, Ordering};

const TRAP_FLAG: i64 = 0x100;
/// The XSAVE header's bit map of components, and the upper halves of the YMM registers, in the frame.
const COMPONENTS_AT: usize = 512;
const YMM_AT: usize = 576;
pub const STATE_LEN: usize = YMM_AT + 256;
const ARCH_SET_GS: i32 = 0x1001;
/// `struct sigcontext`'s general registers by encoding number.
const GREGS: [usize; 16] = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];
const RIP: usize = 16;
const EFL: usize = 17;

static CASE: AtomicPtr<Case> = AtomicPtr::new(std::ptr::null_mut());
static OUTCOME: AtomicPtr<Outcome> = AtomicPtr::new(std::ptr::null_mut());
static SAVED: AtomicPtr<Saved> = AtomicPtr::new(std::ptr::null_mut());

/// The interrupted frame, to go back to.
struct Saved {
    gregs: [i64; 23],
    fx: [u8; STATE_LEN],
}

/// Maps code and data pages where the cases expect them. Once per process.
pub fn map_pages() {
    for (at, len) in [(CODE, 4096), (DATA, DATA_LEN)] {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: a fresh mapping at an address that nothing uses (NOREPLACE).
        let got = unsafe { libc::mmap(at as *mut _, len, protection, flags, -1, 0) };
        assert_eq!(got as u64, at, "cannot map the test pages");
    }
}

/// Fills the data pages.
pub fn put_data(data: &[u8; DATA_LEN]) {
    // SAFETY: `map_pages` has mapped it; no reference to it exists elsewhere.
    unsafe { std::slice::from_raw_parts_mut(DATA as *mut u8, DATA_LEN) }.copy_from_slice(data);
}

/// Puts the instructions into the code page; what is not stepped has a breakpoint behind it.
pub fn put_code(case: &Case) {
    const BREAKPOINT: u8 = 0xcc;
    let mut code = case.code;
    if !case.is_stepped() {
        code[case.len] = BREAKPOINT;
    }
    // SAFETY: the code page is mapped writable and holds 4096 bytes.
    unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), CODE as *mut u8, code.len()) };
}

/// Copies the data pages.
pub fn get_data(out: &mut [u8; DATA_LEN]) {
    // SAFETY: as above.
    out.copy_from_slice(unsafe { std::slice::from_raw_parts(DATA as *const u8, DATA_LEN) });
}

/// Runs every case on the host CPU.
pub fn run_all(cases: &[Case]) -> Outcomes {
    run(cases, None)
}

/// Runs one case with the data pages given.
pub fn run_one(case: &Case, data: &[u8; DATA_LEN]) -> Outcome {
    run(std::slice::from_ref(case), Some(data))[0]
}

/// Outcomes that the child has written into memory shared with it.
pub struct Outcomes {
    at: *mut Outcome,
    count: usize,
    bytes: usize,
}

impl std::ops::Deref for Outcomes {
    type Target = [Outcome];

    fn deref(&self) -> &[Outcome] {
        // SAFETY: zeroed memory that the child, now gone, has filled; every bit pattern is an `Outcome`.
        unsafe { std::slice::from_raw_parts(self.at, self.count) }
    }
}

impl std::ops::DerefMut for Outcomes {
    fn deref_mut(&mut self) -> &mut [Outcome] {
        // SAFETY: as above, and nobody else knows the mapping.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.count) }
    }
}

impl Drop for Outcomes {
    fn drop(&mut self) {
        // SAFETY: the mapping that `run` has made; what was borrowed from it is gone.
        unsafe { libc::munmap(self.at.cast(), self.bytes) };
    }
}

fn run(cases: &[Case], data: Option<&[u8; DATA_LEN]>) -> Outcomes {
    let bytes = size_of::<Outcome>() * cases.len().max(1);
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh shared mapping, large enough for all outcomes.
    let shared =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(shared, libc::MAP_FAILED);
    let outcomes = shared.cast::<Outcome>();
    // SAFETY: the child calls only async-signal-safe functions and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        run_child(cases, data, outcomes);
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0, "the oracle died: wait status {status:#x}");
    Outcomes { at: outcomes, count: cases.len(), bytes }
}

fn run_child(cases: &[Case], data: Option<&[u8; DATA_LEN]>, outcomes: *mut Outcome) -> ! {
    install_handlers();
    let mut saved = Saved { gregs: [0; 23], fx: [0; STATE_LEN] };
    SAVED.store(&raw mut saved, Ordering::Relaxed);
    let mut filled = Filled::default();
    for (index, case) in cases.iter().enumerate() {
        put_data(data.unwrap_or_else(|| filled.get(case.seed)));
        put_code(case);
        // SAFETY: the shared mapping has room for every case's outcome.
        let outcome = unsafe { &mut *outcomes.add(index) };
        CASE.store(std::ptr::from_ref(case).cast_mut(), Ordering::Relaxed);
        OUTCOME.store(outcome, Ordering::Relaxed);
        // SAFETY: `on_start` is installed; control comes back here through `on_end`.
        unsafe { libc::raise(libc::SIGUSR1) };
        get_data(&mut outcome.data);
    }
    // SAFETY: ends the child without running anything of the parent's.
    unsafe { libc::_exit(0) }
}

fn install_handlers() {
    const STACK: usize = 1 << 16;
    let stack = Box::leak(vec![0u8; STACK].into_boxed_slice());
    let alternate = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the stack is leaked, so it outlives every signal; Rust does not use the gs base.
    unsafe {
        libc::sigaltstack(&raw const alternate, std::ptr::null_mut());
        libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, DATA);
    }
    let ends = [libc::SIGTRAP, libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS];
    install(libc::SIGUSR1, on_start as *const () as usize);
    for signal in ends {
        install(signal, on_any_end as *const () as usize);
    }
}

fn install(signal: i32, handler: usize) {
    // SAFETY: all-zero is a valid `sigaction`; the handlers have the SA_SIGINFO signature.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
    }
}

extern "C" fn on_start(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel's frame, the case and the buffer that `run_child` has set.
    let (context, case, saved) = unsafe {
        (&mut (*context).uc_mcontext, &*CASE.load(Ordering::Relaxed), &mut *SAVED.load(Ordering::Relaxed))
    };
    saved.gregs = context.gregs;
    let fx = fx_image(context);
    saved.fx.copy_from_slice(fx);
    let before = &case.before;
    for (n, &at) in GREGS.iter().enumerate() {
        context.gregs[at] = before.gpr[n] as i64;
    }
    context.gregs[RIP] = CODE as i64;
    context.gregs[EFL] = before.eflags as i64 | if case.is_stepped() { TRAP_FLAG } else { 0 };
    put_fx(fx, before);
}

/// The kernel leaves EFLAGS.AC set; nothing else may run under it.
#[unsafe(naked)]
extern "C" fn on_any_end() {
    std::arch::naked_asm!("pushfq", "and dword ptr [rsp], {}", "popfq", "jmp {}", const !(AC as i32), sym on_end)
}

extern "C" fn on_end(signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: as in `on_start`.
    let (context, outcome, saved) = unsafe {
        (&mut (*context).uc_mcontext, &mut *OUTCOME.load(Ordering::Relaxed), &*SAVED.load(Ordering::Relaxed))
    };
    if signal == libc::SIGTRAP && context.gregs[RIP] as u64 == CODE && is_repeated() {
        return;
    }
    outcome.signal = if signal == libc::SIGTRAP { 0 } else { signal };
    for (n, &at) in GREGS.iter().enumerate() {
        outcome.after.gpr[n] = context.gregs[at] as u64;
    }
    outcome.after.rip = context.gregs[RIP] as u64;
    if signal == libc::SIGTRAP && !is_stepped() {
        // The breakpoint behind it has run.
        outcome.after.rip -= 1;
    }
    outcome.after.eflags = context.gregs[EFL] as u64;
    let fx = fx_image(context);
    get_fx(fx, &mut outcome.after);
    fx.copy_from_slice(&saved.fx);
    context.gregs = saved.gregs;
}

fn is_stepped() -> bool {
    // SAFETY: set by `run_child`.
    unsafe { (*CASE.load(Ordering::Relaxed)).is_stepped() }
}

fn is_repeated() -> bool {
    // SAFETY: set by `run_child`.
    unsafe { (*CASE.load(Ordering::Relaxed)).repeated }
}

/// The frame's FXSAVE image, the XSAVE header and the YMM halves behind it.
fn fx_image<'a>(context: &libc::mcontext_t) -> &'a mut [u8] {
    // SAFETY: on every host with AVX the kernel puts the header and the YMM halves behind the image.
    unsafe { std::slice::from_raw_parts_mut(context.fpregs.cast::<u8>(), STATE_LEN) }
}

pub fn put_fx(fx: &mut [u8], from: &Registers) {
    fx[..2].copy_from_slice(&from.fcw.to_le_bytes());
    fx[2..4].copy_from_slice(&from.settled_fsw().to_le_bytes());
    fx[4] = from.ftw;
    // The last x87 instruction and its operand: none.
    fx[6..24].fill(0);
    fx[24..28].copy_from_slice(&from.mxcsr.to_le_bytes());
    for n in 0..8 {
        fx[32 + 16 * n..][..16].copy_from_slice(&from.st[n].to_le_bytes());
    }
    for n in 0..16 {
        fx[160 + 16 * n..][..16].copy_from_slice(&from.xmm[n].to_le_bytes());
    }
    for n in 0..16 {
        fx[YMM_AT + 16 * n..][..16].copy_from_slice(&from.ymm_high[n].to_le_bytes());
    }
    // x87, SSE and AVX are not in their initial state.
    fx[COMPONENTS_AT] |= 7;
}

pub fn get_fx(fx: &[u8], to: &mut Registers) {
    to.fcw = u16::from_le_bytes([fx[0], fx[1]]);
    to.fsw = u16::from_le_bytes([fx[2], fx[3]]);
    to.ftw = fx[4];
    to.mxcsr = u32::from_le_bytes([fx[24], fx[25], fx[26], fx[27]]);
    for n in 0..8 {
        to.st[n] = u128_at(fx, 32 + 16 * n) & ((1 << 80) - 1);
    }
    for n in 0..16 {
        to.xmm[n] = u128_at(fx, 160 + 16 * n);
        // A component in its initial state is not written.
        to.ymm_high[n] = if fx[COMPONENTS_AT] & 4 != 0 { u128_at(fx, YMM_AT + 16 * n) } else { 0 };
    }
}

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    let mut value = [0; 16];
    value.copy_from_slice(&bytes[at..at + 16]);
    u128::from_le_bytes(value)
}

/// Counters that child processes share.
pub fn shared_counters(count: usize) -> &'static [std::sync::atomic::AtomicU64] {
    let bytes = 8 * count;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a fresh shared mapping, zeroed, never unmapped.
    let shared =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(shared, libc::MAP_FAILED);
    // SAFETY: as many words as were mapped, of a type that any bits are valid for.
    unsafe { std::slice::from_raw_parts(shared.cast(), count) }
}

/// Runs `f` in a child process; its wait status.
pub fn in_child(f: impl FnOnce()) -> i32 {
    // SAFETY: only this thread goes on in the child, and it leaves by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        f();
        // SAFETY: ends the child without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status
}
