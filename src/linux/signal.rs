//! Guest signals: actions, masks, and delivery into guest handlers (signal(7), sigaction(2)).

use super::table::Done;
use super::thread::Thread;
use super::{alt_stack, read_guest, read_word, write_guest};
use crate::host::signals::{self, Arrived, HandlerMasks, HostAction, OPEN_SIGNALS, bit};
use crate::host::sys;
use crate::mem::{Memory, untagged};
use guest::linux::{SignalDelivery, TrapSignal};
use guest::{Fault, GuestAddr, Trap};
use std::sync::{Arc, PoisonError};

pub const SIG_DFL: u64 = 0;
pub const SIG_IGN: u64 = 1;
const UNBLOCKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);
const SA_RESTORER: u64 = 0x0400_0000;
/// A fault's address keeps its tag.
const SA_EXPOSE_TAGBITS: u64 = 0x800;
/// What the kernel keeps of `sa_flags`, so that programs can find out (include/linux/signal.h, `UAPI_SA_FLAGS`).
const KNOWN_FLAGS: u64 = 0xdc00_0007 | SA_EXPOSE_TAGBITS;

/// The guest's `struct sigaction`, as the kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Action {
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: u64,
}

impl Action {
    /// What it blocks while it handles `signal`, if it is a handler.
    fn blocks(&self, signal: i32) -> Option<u64> {
        let own = if self.flags & libc::SA_NODEFER as u64 == 0 { bit(signal) } else { 0 };
        (self.handler > SIG_IGN).then_some(self.mask & !UNBLOCKABLE | own)
    }
}

/// All actions; index 0 is signal 1.
#[derive(Debug)]
pub struct Actions {
    all: [Action; 64],
    masks: Arc<HandlerMasks>,
}

impl Default for Actions {
    fn default() -> Self {
        Self { all: [Action::default(); 64], masks: Arc::default() }
    }
}

/// A copy that changes by itself.
impl Clone for Actions {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        (1..=64).for_each(|signal| copy.set(signal, self.get(signal)));
        copy
    }
}

impl Actions {
    /// What the handlers block, for the host's.
    #[must_use]
    pub fn masks(&self) -> &Arc<HandlerMasks> {
        &self.masks
    }

    /// The actions that a process starts with: what the host ignores stays ignored.
    #[must_use]
    pub fn inherited() -> Self {
        let mut actions = Self::default();
        for signal in 1..=64 {
            if signals::current_action(signal).is_ok_and(|a| a.handler == SIG_IGN) {
                actions.all[signal as usize - 1].handler = SIG_IGN;
            }
        }
        actions
    }

    /// Those with which these signals are ignored.
    #[must_use]
    pub fn ignoring(mask: u64) -> Self {
        let mut actions = Self::default();
        for signal in (1..=64).filter(|&signal| mask & bit(signal) != 0) {
            actions.all[signal as usize - 1].handler = SIG_IGN;
        }
        actions
    }

    #[must_use]
    pub fn get(&self, signal: i32) -> Action {
        self.all[signal as usize - 1]
    }

    pub fn set(&mut self, signal: i32, action: Action) {
        self.all[signal as usize - 1] = action;
        self.masks.set(signal, action.blocks(signal));
    }

    /// Signals whose action satisfies the test, as a mask.
    #[must_use]
    pub fn matching(&self, test: impl Fn(&Action) -> bool) -> u64 {
        (1..=64).filter(|&s| test(&self.all[s as usize - 1])).map(bit).fold(0, |a, b| a | b)
    }
}

/// The signals that a thread's process ignores, as a mask.
#[must_use]
pub fn ignored(thread: &Thread) -> u64 {
    let actions = thread.actions.lock().unwrap_or_else(PoisonError::into_inner);
    actions.matching(|action| action.handler == SIG_IGN)
}

/// A signal on its way to the guest.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    pub signal: i32,
    pub info: [u8; 128],
}

impl From<Arrived> for Pending {
    fn from(arrived: Arrived) -> Self {
        Self { signal: arrived.signal, info: arrived.info }
    }
}

impl From<TrapSignal> for Pending {
    fn from(signal: TrapSignal) -> Self {
        Self::synchronous(signal.signal as i32, signal.code, signal.addr.raw())
    }
}

impl Pending {
    /// A signal that the thread raised itself.
    #[must_use]
    pub fn synchronous(signal: i32, code: i32, addr: u64) -> Self {
        let mut info = [0; 128];
        info[..4].copy_from_slice(&signal.to_le_bytes());
        info[8..12].copy_from_slice(&code.to_le_bytes());
        info[16..24].copy_from_slice(&addr.to_le_bytes());
        Self { signal, info }
    }
}

fn action_of(thread: &Thread, signal: i32) -> Action {
    thread.actions.lock().unwrap_or_else(PoisonError::into_inner).get(signal)
}

/// Delivers an asynchronous signal.
pub fn deliver(thread: &mut Thread, pending: Pending) {
    // What the host can block came because it was open then (perhaps for a sigsuspend only).
    if OPEN_SIGNALS & thread.mask & bit(pending.signal) != 0 {
        thread.deferred.push(pending);
        return;
    }
    let action = action_of(thread, pending.signal);
    super::strace::signal(thread, &pending.info);
    match action.handler {
        SIG_IGN => {}
        SIG_DFL => default_action(thread, pending.signal),
        _ => enter_handler(thread, &pending, action, None, None),
    }
}

/// Delivers deferred signals that are not blocked any more.
pub fn deliver_deferred(thread: &mut Thread) {
    for pending in std::mem::take(&mut thread.deferred) {
        deliver(thread, pending);
    }
}

/// Delivers a signal that the thread's own instruction raised: it cannot be blocked or ignored.
pub fn force(thread: &mut Thread, pending: Pending, fault: Option<Fault>, trap: Option<Trap>) {
    let action = action_of(thread, pending.signal);
    super::strace::signal(thread, &pending.info);
    let blocked = thread.mask & bit(pending.signal) != 0;
    if blocked || matches!(action.handler, SIG_DFL | SIG_IGN) {
        super::strace::killed(thread, pending.signal);
        die_of(pending.signal);
    }
    let shown = match fault {
        Some(fault) if action.flags & SA_EXPOSE_TAGBITS == 0 => without_tag(pending, &fault),
        _ => pending,
    };
    enter_handler(thread, &shown, action, fault, trap);
}

/// `hide_si_addr_tag_bits` (kernel/signal.c).
fn without_tag(mut pending: Pending, fault: &Fault) -> Pending {
    if let Some(plain) = untagged(fault.addr) {
        pending.info[16..24].copy_from_slice(&plain.raw().to_le_bytes());
    }
    pending
}

fn enter_handler(
    thread: &mut Thread,
    pending: &Pending,
    action: Action,
    fault: Option<Fault>,
    trap: Option<Trap>,
) {
    let arch = thread.vcpu.env.arch;
    let sp = arch.stack_pointer(&thread.vcpu.state);
    let alt_stack = thread.alt_stack;
    let enters =
        action.flags & libc::SA_ONSTACK as u64 != 0 && alt_stack::is_entered_from(&alt_stack, sp.raw());
    let stack_top = if enters { GuestAddr(alt_stack.sp.wrapping_add(alt_stack.size)) } else { sp };
    let delivery = SignalDelivery {
        signal: pending.signal as u32,
        info: pending.info,
        handler: GuestAddr(action.handler),
        restorer: (action.flags & SA_RESTORER != 0).then_some(GuestAddr(action.restorer)),
        trampoline: thread.process.vdso.sigreturn,
        sa_flags: action.flags,
        mask: thread.mask,
        alt_stack,
        stack_top,
        on_alt_stack: enters || alt_stack::in_use(&alt_stack, sp.raw()),
        fault,
        trap,
    };
    thread.save_fp();
    if arch.linux().push_signal_frame(&mut thread.vcpu.state, &Memory, &delivery).is_err() {
        // No room for the frame: SIGSEGV, which kills if it is what could not be delivered.
        if pending.signal == libc::SIGSEGV {
            die_of(libc::SIGSEGV);
        }
        let unmapped = Pending::synchronous(libc::SIGSEGV, libc::SI_KERNEL, 0);
        return force(thread, unmapped, None, None);
    }
    thread.state_replaced();
    alt_stack::entered_handler(&mut thread.alt_stack);
    thread.mask |= action.blocks(pending.signal).unwrap_or(0);
    if action.flags & libc::SA_RESETHAND as u32 as u64 != 0 {
        set_action(thread, pending.signal, Action::default());
    }
}

/// What the kernel does by default with a signal that came to us.
fn default_action(thread: &Thread, signal: i32) {
    match signal {
        libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT => {}
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {
            let pid = sys::syscall(libc::SYS_getpid, [0; 6]) as u64;
            sys::syscall(libc::SYS_kill, [pid, libc::SIGSTOP as u64, 0, 0, 0, 0]);
        }
        _ => {
            super::strace::killed(thread, signal);
            die_of(signal);
        }
    }
}

/// Ends the process by the signal, as the kernel would: same wait status, core dump included.
pub fn die_of(signal: i32) -> ! {
    crate::host::startup::flush_stdio();
    let _ = signals::set_action(signal, HostAction::Default);
    let open = !bit(signal);
    sys::syscall(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as u64, &raw const open as u64, 0, 8, 0, 0]);
    let pid = sys::syscall(libc::SYS_getpid, [0; 6]) as u64;
    let tid = sys::syscall(libc::SYS_gettid, [0; 6]) as u64;
    sys::syscall(libc::SYS_tgkill, [pid, tid, signal as u64, 0, 0, 0]);
    loop {
        // Only if the signal were somehow not fatal.
        sys::syscall(libc::SYS_exit_group, [128 + signal as u64, 0, 0, 0, 0, 0]);
    }
}

/// Sets the guest's action and the host's that goes with it.
fn set_action(thread: &Thread, signal: i32, action: Action) {
    let mut actions = thread.actions.lock().unwrap_or_else(PoisonError::into_inner);
    actions.set(signal, action);
    // The kernel accepts every valid signal; those it does not were refused before.
    let _ = signals::set_action(signal, host_action(signal, &action));
}

/// Sets every signal that has a handler to its default action, as execve does.
pub fn reset_handlers(thread: &Thread) {
    let caught =
        thread.actions.lock().unwrap_or_else(PoisonError::into_inner).matching(|a| a.handler > SIG_IGN);
    (1..=64)
        .filter(|&signal| caught & bit(signal) != 0)
        .for_each(|s| set_action(thread, s, Action::default()));
}

fn host_action(signal: i32, action: &Action) -> HostAction {
    const KEPT: u64 = (libc::SA_RESTART | libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT) as u64;
    let ours = OPEN_SIGNALS & bit(signal) != 0;
    match action.handler {
        SIG_DFL if !ours => HostAction::Default,
        SIG_IGN if !ours => HostAction::Ignore,
        _ => HostAction::Queue { flags: action.flags & KEPT },
    }
}

pub fn rt_sigaction(thread: &mut Thread, args: &[u64; 6]) -> Done {
    set_and_get_action(thread, args).into()
}

fn set_and_get_action(thread: &Thread, &[signal, new, old, size, ..]: &[u64; 6]) -> Result<u64, i32> {
    let number = signal as i32;
    if size != 8 {
        return Err(libc::EINVAL);
    }
    let wanted = if new == 0 { None } else { Some(read_action(new)?) };
    if !(1..=64).contains(&number) || (wanted.is_some() && UNBLOCKABLE & bit(number) != 0) {
        return Err(libc::EINVAL);
    }
    let before = action_of(thread, number);
    if let Some(mut action) = wanted {
        action.mask &= !UNBLOCKABLE;
        action.flags &= KNOWN_FLAGS;
        set_action(thread, number, action);
    }
    if old != 0 {
        let words = [before.handler, before.flags, before.restorer, before.mask];
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        write_guest(old, &bytes)?;
    }
    Ok(0)
}

fn read_action(addr: u64) -> Result<Action, i32> {
    let bytes = read_guest::<32>(addr)?;
    let word = |i: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|b| bytes[8 * i + b]));
    Ok(Action { handler: word(0), flags: word(1), restorer: word(2), mask: word(3) })
}

pub fn rt_sigprocmask(thread: &mut Thread, args: &[u64; 6]) -> Done {
    change_mask(thread, args).into()
}

fn change_mask(thread: &mut Thread, &[how, set, old, size, ..]: &[u64; 6]) -> Result<u64, i32> {
    if size != 8 {
        return Err(libc::EINVAL);
    }
    let before = thread.mask;
    if set != 0 {
        let set = read_word(set)? & !UNBLOCKABLE;
        let after = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return Err(libc::EINVAL),
        };
        set_guest_mask(thread, after);
    }
    if old != 0 {
        write_guest(old, &before.to_le_bytes())?;
    }
    Ok(0)
}

fn set_guest_mask(thread: &mut Thread, mask: u64) {
    thread.mask = mask & !UNBLOCKABLE;
    if !thread.deferred.is_empty() {
        thread.vcpu.port.request(signals::poll::RECHECK);
    }
    thread.sync_mask();
}

pub fn rt_sigreturn(thread: &mut Thread, _args: &[u64; 6]) -> Done {
    let linux = thread.vcpu.env.arch.linux();
    match linux.pop_signal_frame(&mut thread.vcpu.state, &Memory) {
        Ok(frame) => {
            thread.state_replaced();
            // One that cannot be stays away without a word.
            let _ = alt_stack::change(thread, frame.alt_stack, frame.changed_at.raw());
            set_guest_mask(thread, frame.mask);
            if let Some(signal) = frame.raises {
                force(thread, signal.into(), None, None);
            }
        }
        Err(signal) => force(thread, signal.into(), None, None),
    }
    Done::Replaced
}

pub fn rt_sigsuspend(thread: &mut Thread, &[set, size, ..]: &[u64; 6]) -> Done {
    if size != 8 {
        return Done::errno(libc::EINVAL);
    }
    match host_mask(set) {
        Ok(Some(mask)) => {
            let args = [&raw const mask as u64, 8, 0, 0, 0, 0];
            Done::raw(sys::interruptible(libc::SYS_rt_sigsuspend, args, &thread.vcpu.port.poll))
        }
        Ok(None) => Done::errno(libc::EFAULT),
        Err(errno) => Done::errno(errno),
    }
}

/// A guest sigset as the host may have it: without the signals that must stay open.
pub fn host_mask(addr: u64) -> Result<Option<u64>, i32> {
    if addr == 0 { Ok(None) } else { Ok(Some(read_word(addr)? & !OPEN_SIGNALS)) }
}

pub fn rt_sigpending(thread: &mut Thread, &[set, size, ..]: &[u64; 6]) -> Done {
    let mut pending = 0u64;
    let result = sys::syscall(libc::SYS_rt_sigpending, [&raw mut pending as u64, 8, 0, 0, 0, 0]);
    if size > 8 || result < 0 {
        return Done::errno(libc::EINVAL);
    }
    pending |= thread.deferred.iter().map(|p| bit(p.signal)).fold(0, |a, b| a | b);
    write_guest(set, &pending.to_le_bytes()[..size as usize]).map(|()| 0).into()
}
