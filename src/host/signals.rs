//! Host signals: faults of our own accesses, and the guest's signals on their way in.
//!
//! A host signal can land anywhere, also while this thread holds a lock, and running the guest's handler
//! may need that lock. So the host handler only queues: it leaves the signal in the thread's [`Port`], raises the poll flag, and
//! returns with the mask that the guest's handler is to have, or, behind another signal that waits, with all blocked, so that
//! the kernel keeps the rest in order. The run loop delivers at its next poll, and sets the guest's mask where it is
//! another one.
//!
//! An access that waits for its page (userfaultfd) reaches no poll, so a signal ends the wait: such an access is left as
//! if it had failed, and its instruction is executed again after the guest's handler. Nobody knows which access
//! waits. Each that a signal finds is left, which is right for all: where the pc is, nothing of it is done. A signal that comes
//! shortly before an access has the thread go on by single steps, up to the access or the next poll.
//!
//! SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP stay open always, because our own accesses raise them.
#![allow(unsafe_code)] // signal handlers and the kernel's sigaction

use crate::host::fault_table::{self, HostFault};
use crate::host::sys;
use crate::host::{fp, rule_stop};
use std::arch::global_asm;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Arc, OnceLock};

/// Bits of a thread's poll flag.
pub mod poll {
    /// A signal waits in the port.
    pub const SIGNAL: u32 = 1;
    /// Translations were dropped: look up again.
    pub const INVALIDATED: u32 = 2;
    /// Signals of our own queue may have become deliverable.
    pub const RECHECK: u32 = 4;
}

/// Signals that stay unblocked on the host.
pub const OPEN_SIGNALS: u64 =
    bit(libc::SIGSEGV) | bit(libc::SIGBUS) | bit(libc::SIGFPE) | bit(libc::SIGILL) | bit(libc::SIGTRAP);

/// The mask bit of a signal.
#[must_use]
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

const WORDS: usize = 16;
/// Slot 0 is for signals that can be blocked, the next one for a signal that comes behind it, and the last for one that asks a
/// program to end while both are taken (it must end a rule that never returns); each open signal has its own.
const SLOTS: usize = 8;
const NEXT_SLOT: usize = 1;
const ENDING_SLOT: usize = 7;

/// What the guest's handlers block, by signal; no guest's mask where there is no handler. Host handlers read it.
#[derive(Debug)]
pub struct HandlerMasks([AtomicU64; 64]);

/// No mask of a guest's: what is open cannot be blocked.
const NO_MASK: u64 = u64::MAX;

impl Default for HandlerMasks {
    fn default() -> Self {
        Self([const { AtomicU64::new(NO_MASK) }; 64])
    }
}

impl HandlerMasks {
    /// Sets what the handler of a signal blocks, if it has one.
    pub fn set(&self, signal: i32, mask: Option<u64>) {
        let mask = mask.map_or(NO_MASK, |mask| mask & !OPEN_SIGNALS);
        self.0[signal as usize - 1].store(mask, Ordering::Relaxed);
    }

    fn of(&self, signal: i32) -> Option<u64> {
        let mask = self.0.get((signal as usize).checked_sub(1)?)?.load(Ordering::Relaxed);
        (mask != NO_MASK).then_some(mask)
    }
}

/// A queued signal: its `siginfo_t` (128 bytes); the number is the first word's low half.
#[derive(Default, Debug)]
struct PortSlot {
    full: AtomicU32,
    info: [AtomicU64; WORDS],
}

/// Where a thread's signals arrive.
#[derive(Default, Debug)]
pub struct Port {
    /// Nonzero asks the thread to look: checked at polls and on entry to blocking calls.
    pub poll: AtomicU32,
    /// The thread runs guest instructions: the next access may come before the next poll.
    executing: AtomicBool,
    /// Since which [epoch](crate::exec::recycle) the thread may have addresses of translated code; 0 while it runs none.
    inside: AtomicU64,
    slots: [PortSlot; SLOTS],
    /// What the handlers of the thread's process block.
    handler_masks: OnceLock<Arc<HandlerMasks>>,
    /// The mask that the host handler has left the thread with, plus 1; 0 where it has blocked everything, and where no
    /// signal has come since that was asked last.
    left_mask: AtomicU64,
}

/// A signal taken from the port.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    pub signal: i32,
    pub info: [u8; 128],
}

impl Port {
    /// Asks the thread to look at its next poll.
    pub fn request(&self, why: u32) {
        self.poll.fetch_or(why, Ordering::Release);
    }

    /// Notes that the thread is about to run translated code, in this epoch. It looks at its poll flag then.
    #[inline]
    pub fn enter_code(&self, epoch: u64) {
        self.inside.store(epoch, Ordering::Relaxed);
        // Whoever reads it has put a barrier here, if there was none.
        compiler_fence(Ordering::SeqCst);
    }

    /// Notes that the thread runs no translated code any more.
    #[inline]
    pub fn leave_code(&self) {
        self.inside.store(0, Ordering::Release);
    }

    /// Whether the thread runs no code of before this epoch.
    pub fn has_left_code(&self, epoch: u64) -> bool {
        let inside = self.inside.load(Ordering::Acquire);
        inside == 0 || inside >= epoch
    }

    /// Runs guest instructions, unless a signal waits. (Other requests can wait: one instruction may have to be run before
    /// they are heard, so that code on the page that it writes to gets on.)
    #[inline]
    pub fn execute<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        // Only this thread's signal handler looks at it, so the order in which the compiler has it is enough.
        self.executing.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let done = (self.poll.load(Ordering::Acquire) & poll::SIGNAL == 0).then(run);
        compiler_fence(Ordering::SeqCst);
        self.executing.store(false, Ordering::Relaxed);
        done
    }

    /// Takes one queued signal.
    pub fn take(&self) -> Option<Arrived> {
        let slot = self.slots.iter().find(|slot| slot.full.load(Ordering::Acquire) != 0)?;
        let mut info = [0; 128];
        for (chunk, word) in info.chunks_exact_mut(8).zip(&slot.info) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        let signal = slot.full.load(Ordering::Relaxed) as i32;
        slot.full.store(0, Ordering::Release);
        Some(Arrived { signal, info })
    }

    /// Says what the guest's handlers block. Once, before a signal comes.
    pub fn set_handler_masks(&self, masks: &Arc<HandlerMasks>) {
        let _ = self.handler_masks.set(Arc::clone(masks));
    }

    /// The mask that the thread has since the last signal, if the host handler has chosen it. Asked once for each.
    pub fn take_left_mask(&self) -> Option<u64> {
        self.left_mask.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// Called by the handler: the mask that the guest's handler is to have where the thread has had `before`. `None` where others
    /// wait, and so all is blocked.
    fn mask_in_handler(&self, signal: i32, before: u64) -> Option<u64> {
        let waits = |slot: &PortSlot| slot.full.load(Ordering::Relaxed) != 0;
        let first = !self.slots.iter().any(waits);
        let blocked = self.handler_masks.get()?.of(signal)?;
        (first && OPEN_SIGNALS & bit(signal) == 0).then_some(before & !OPEN_SIGNALS | blocked)
    }

    /// Called by the handler, with `info` the kernel's siginfo as words.
    fn put(&self, signal: i32, info: &[u64; WORDS]) {
        let is_full = |index: usize| self.slots[index].full.load(Ordering::Acquire) != 0;
        let index = match signal {
            libc::SIGSEGV => 2,
            libc::SIGBUS => 3,
            libc::SIGFPE => 4,
            libc::SIGILL => 5,
            libc::SIGTRAP => 6,
            _ if is_full(0) && is_full(NEXT_SLOT) => ENDING_SLOT,
            _ if is_full(0) => NEXT_SLOT,
            _ => 0,
        };
        let slot = &self.slots[index];
        if slot.full.load(Ordering::Acquire) == 0 {
            for (to, &from) in slot.info.iter().zip(info) {
                to.store(from, Ordering::Relaxed);
            }
            slot.full.store(signal as u32, Ordering::Release);
        }
        self.request(poll::SIGNAL);
    }
}

thread_local! {
    static PORT: Cell<*const Port> = const { Cell::new(std::ptr::null()) };
    /// The thread goes by single steps.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// Makes `port` the one this thread's signals arrive at. It must stay alive as long as the thread can be
/// signalled: ports are leaked or owned by the thread's outermost frame.
pub fn attach(port: &Port) {
    PORT.set(std::ptr::from_ref(port));
}

/// This thread's port as attached before (for a nested run loop to put back).
pub fn attached() -> *const Port {
    PORT.get()
}

/// Puts back what [`attached`] gave.
pub fn reattach(port: *const Port) {
    PORT.set(port);
}

/// What a fault (or an interruption) in compiled code does: given the host pc, the fault, and the address of the
/// `mcontext_t` registers, whether it has redirected the thread.
type CodeFaultHook = fn(usize, HostFault, &mut [i64; 23]) -> bool;

static CODE_FAULT: AtomicUsize = AtomicUsize::new(0);

/// Registers the compiled-code fault hook. It runs in the signal handler.
pub fn set_code_fault_hook(hook: CodeFaultHook) {
    CODE_FAULT.store(hook as usize, Ordering::Release);
}

static PAGES_ARE_WAITED_FOR: AtomicBool = AtomicBool::new(false);

/// From now on, accesses may wait for their pages (here and in children that have a copy of this memory).
pub fn expect_waits_for_pages() {
    PAGES_ARE_WAITED_FOR.store(true, Ordering::Relaxed);
}

/// Whether accesses may wait for their pages.
#[must_use]
pub fn pages_are_waited_for() -> bool {
    PAGES_ARE_WAITED_FOR.load(Ordering::Relaxed)
}

/// The kernel's `struct sigaction` of x86-64.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct KernelAction {
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: u64,
}

const SA_RESTORER: u64 = 0x0400_0000;

global_asm!(
    ".pushsection .text.qemu_lua_sigreturn,\"ax\",@progbits",
    ".globl qemu_lua_sigreturn",
    "qemu_lua_sigreturn:",
    "mov rax, 15",
    "syscall",
    ".popsection",
);

unsafe extern "C" {
    fn qemu_lua_sigreturn();
}

/// What the host does with a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostAction {
    Default,
    Ignore,
    /// Queue it for the guest; with the guest's `SA_RESTART`, `SA_NOCLDSTOP`, `SA_NOCLDWAIT`.
    Queue {
        flags: u64,
    },
}

/// Sets the host's action for a signal.
pub fn set_action(signal: i32, action: HostAction) -> Result<(), i32> {
    let kernel = match action {
        HostAction::Default => KernelAction::default(),
        HostAction::Ignore => KernelAction { handler: libc::SIG_IGN as u64, ..KernelAction::default() },
        HostAction::Queue { flags } => KernelAction {
            handler: on_signal as *const () as u64,
            flags: flags | libc::SA_SIGINFO as u64 | SA_RESTORER | libc::SA_ONSTACK as u64,
            restorer: qemu_lua_sigreturn as *const () as u64,
            mask: !OPEN_SIGNALS,
        },
    };
    restore_action(signal, &kernel)
}

/// Sets the host's action to what [`current_action`] once said.
pub fn restore_action(signal: i32, action: &KernelAction) -> Result<(), i32> {
    let args = [signal as u64, &raw const *action as u64, 0, 8, 0, 0];
    sys::check(sys::syscall(libc::SYS_rt_sigaction, args)).map(drop)
}

/// The host's present action for a signal.
pub fn current_action(signal: i32) -> Result<KernelAction, i32> {
    let mut kernel = KernelAction::default();
    let args = [signal as u64, 0, &raw mut kernel as u64, 8, 0, 0];
    sys::check(sys::syscall(libc::SYS_rt_sigaction, args))?;
    Ok(kernel)
}

/// Installs the handler for the signals that our own accesses raise.
pub fn install_fault_handlers() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP] {
        // Cannot fail: the signal is valid and may be caught.
        let _ = set_action(signal, HostAction::Queue { flags: 0 });
    }
}

/// Sets this thread's host mask to the guest's mask `mask` less the open signals.
pub fn set_mask(mask: u64) {
    let host = mask & !OPEN_SIGNALS;
    sys::syscall(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as u64, &raw const host as u64, 0, 8, 0, 0]);
    // A signal may have come before: what it has left is not what there is now.
    // SAFETY: `attach` demands that a port that is there lives.
    if let Some(port) = unsafe { PORT.get().as_ref() } {
        port.take_left_mask();
    }
}

/// The same; the mask that it was.
pub fn replace_mask(mask: u64) -> u64 {
    let (host, mut before) = (mask & !OPEN_SIGNALS, 0u64);
    let args = [libc::SIG_SETMASK as u64, &raw const host as u64, &raw mut before as u64, 8, 0, 0];
    sys::syscall(libc::SYS_rt_sigprocmask, args);
    before
}

/// This thread's present host mask.
#[must_use]
pub fn mask() -> u64 {
    let mut now = 0u64;
    sys::syscall(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as u64, 0, &raw mut now as u64, 8, 0, 0]);
    now
}

/// Indices into `mcontext_t.gregs`.
const REG_RIP: usize = 16;
const REG_EFL: usize = 17;
const REG_ERR: usize = 19;
/// EFLAGS.TF: a trap after each instruction.
const TRAP_FLAG: i64 = 1 << 8;
/// In a page fault's error code: the access was a write.
const PAGE_FAULT_WRITE: i64 = 2;

extern "C" fn on_signal(signal: i32, info: *const [u64; WORDS], context: *mut libc::ucontext_t) {
    // SAFETY: the kernel passes a valid siginfo_t (128 bytes) ...
    let info = unsafe { &*info };
    // SAFETY: ... and a valid ucontext_t that is ours for the handler's duration.
    let context = unsafe { &mut *context };
    let code = (info[1] & 0xffff_ffff) as i32;
    if code > 0 && OPEN_SIGNALS & bit(signal) != 0 {
        if signal == libc::SIGTRAP && WATCHED.get() {
            return watched_step(context);
        }
        if matches!(signal, libc::SIGFPE | libc::SIGTRAP) && step_over_exception(context) {
            return;
        }
        let write = context.uc_mcontext.gregs[REG_ERR] & PAGE_FAULT_WRITE != 0;
        return synchronous(HostFault { signal, code, addr: info[2], write }, context);
    }
    let port = PORT.get();
    if port.is_null() {
        return;
    }
    // SAFETY: `attach` demands that the port outlives the thread's signals.
    let port = unsafe { &*port };
    block_on_return(port, context, signal);
    port.put(signal, info);
    let pc = context.uc_mcontext.gregs[REG_RIP] as usize;
    if let Some(abort) = sys::rewind_for(pc) {
        context.uc_mcontext.gregs[REG_RIP] = abort as i64;
    } else if pages_are_waited_for() {
        watch(context);
    }
    rule_stop::signal_arrived(signal);
}

/// A signal has come, or a thread with one has gone a step: it leaves the access that it is at, or goes on by single
/// steps as long as an access may come before the next poll.
fn watch(context: &mut libc::ucontext_t) {
    let pc = context.uc_mcontext.gregs[REG_RIP] as usize;
    // SAFETY: `attach` demands that the port outlives the thread's signals; where there is none, this is not called.
    let executing = unsafe { (*PORT.get()).executing.load(Ordering::Relaxed) };
    let goes_on = !leave_access(pc, HostFault::INTERRUPTION, context) && executing;
    WATCHED.set(goes_on);
    if goes_on {
        context.uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
    } else {
        context.uc_mcontext.gregs[REG_EFL] &= !TRAP_FLAG;
    }
}

/// A step of a watched thread.
fn watched_step(context: &mut libc::ucontext_t) {
    if fp::steps_over() {
        step_over_exception(context);
    }
    watch(context);
}

/// An exception of the guest's floats, if it is one.
fn step_over_exception(context: &mut libc::ucontext_t) -> bool {
    // SAFETY: the kernel has put the FXSAVE image behind this pointer, for the handler's duration.
    let Some(image) = (unsafe { context.uc_mcontext.fpregs.as_mut() }) else { return false };
    fp::step_over(&mut image.mxcsr, &mut context.uc_mcontext.gregs[REG_EFL])
}

/// The thread goes on with what the guest's handler blocks; with everything blocked where another signal waits or an
/// access may, and in a rule, where signals that would end it stay as the guest has them until one has come.
fn block_on_return(port: &Port, context: &mut libc::ucontext_t, signal: i32) {
    let place = (&raw mut context.uc_sigmask).cast::<u64>();
    // SAFETY: the kernel filled the first 8 bytes of uc_sigmask; the field is larger.
    let before = unsafe { place.read() };
    let in_rule = rule_stop::is_running();
    let handlers = port.mask_in_handler(signal, before).filter(|_| !in_rule && !pages_are_waited_for());
    let mut mask = handlers.unwrap_or(!OPEN_SIGNALS);
    if in_rule && rule_stop::ENDING & bit(signal) == 0 {
        mask &= !rule_stop::ENDING | before;
    }
    port.left_mask.store(handlers.map_or(0, |mask| mask + 1), Ordering::Relaxed);
    // SAFETY: as above.
    unsafe { place.write(mask) };
}

fn synchronous(fault: HostFault, context: &mut libc::ucontext_t) {
    let pc = context.uc_mcontext.gregs[REG_RIP] as usize;
    if !leave_access(pc, fault, context) {
        report_own_fault(fault, pc);
    }
}

/// Sends the thread to the error exit of the guest access at `pc`; whether there is one.
fn leave_access(pc: usize, fault: HostFault, context: &mut libc::ucontext_t) -> bool {
    if let Some(fixup) = fault_table::fixup_for(pc) {
        fault_table::record(fault);
        context.uc_mcontext.gregs[REG_RIP] = fixup as i64;
        return true;
    }
    let hook = CODE_FAULT.load(Ordering::Acquire);
    if hook == 0 {
        return false;
    }
    // SAFETY: only `set_code_fault_hook` stores here, and it stores a `CodeFaultHook`.
    let hook = unsafe { std::mem::transmute::<usize, CodeFaultHook>(hook) };
    hook(pc, fault, &mut context.uc_mcontext.gregs)
}

/// A fault of our own code: say so (without allocating), then die of it.
fn report_own_fault(fault: HostFault, pc: usize) {
    let mut line = LineBuffer::new();
    line.text("qemu-lua: internal error: signal ");
    line.number(fault.signal as u64);
    line.text(" at host address ");
    line.hex(pc as u64);
    line.text(", accessing ");
    line.hex(fault.addr);
    line.text("; this is a bug in the emulator\n");
    sys::syscall(libc::SYS_write, [2, line.bytes.as_ptr() as u64, line.len as u64, 0, 0, 0]);
    // The faulting instruction runs again after the handler, and this time it kills.
    let _ = set_action(fault.signal, HostAction::Default);
}

/// A line put together without allocation.
struct LineBuffer {
    bytes: [u8; 256],
    len: usize,
}

impl LineBuffer {
    const fn new() -> Self {
        Self { bytes: [0; 256], len: 0 }
    }

    fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn digits(&mut self, value: u64, base: u64) {
        let mut digits = [0u8; 20];
        let (mut value, mut at) = (value, digits.len());
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[(value % base) as usize];
            value /= base;
            if value == 0 {
                break;
            }
        }
        self.text(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    }

    fn number(&mut self, value: u64) {
        self.digits(value, 10);
    }

    fn hex(&mut self, value: u64) {
        self.text("0x");
        self.digits(value, 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_leaves_its_handlers_mask_and_those_behind_it_none() {
        let (port, masks) = (Port::default(), Arc::new(HandlerMasks::default()));
        let before = bit(libc::SIGHUP) | bit(libc::SIGSEGV);
        assert_eq!(port.mask_in_handler(libc::SIGUSR1, before), None);
        port.set_handler_masks(&masks);
        assert_eq!(port.mask_in_handler(libc::SIGUSR1, before), None, "no handler");
        masks.set(libc::SIGUSR1, Some(bit(libc::SIGUSR1) | bit(libc::SIGBUS)));
        let expected = bit(libc::SIGHUP) | bit(libc::SIGUSR1);
        assert_eq!(port.mask_in_handler(libc::SIGUSR1, before), Some(expected));
        for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGTERM, libc::SIGALRM] {
            port.put(signal, &[0; WORDS]);
            assert_eq!(port.mask_in_handler(libc::SIGUSR1, before), None, "one waits");
        }
        let taken: Vec<i32> = std::iter::from_fn(|| port.take().map(|arrived| arrived.signal)).collect();
        assert_eq!(taken, [libc::SIGUSR1, libc::SIGUSR2, libc::SIGTERM]);
        assert_eq!(port.mask_in_handler(libc::SIGUSR1, before), Some(expected));
    }
}
