//! Ending a rule that would go on.
//!
//! A count hook that is always armed costs 40 ns on every call, so it is armed only when a rule must end:
//! by a signal handler on the rule's own thread ([`StopCell::request`]), or because the system call that the
//! rule made does not return. The hook raises at every Lua instruction until the rule is gone, which no
//! `pcall` survives; coroutines and `xpcall`, which would, are replaced (see `coroutine`).

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};

use mlua::ffi::{self, lua_Debug, lua_State};

use super::context::Context;
use super::stack::Stack;
use crate::host::tsc;

/// Why a rule has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    Requested,
    Diverged,
}

const NONE: u8 = 0;
const REQUESTED: u8 = 1;
const DIVERGED: u8 = 2;

/// The brake of one guest thread's rules. It is made before any machine exists and never moves, so a signal
/// handler can hold on to it.
#[derive(Default)]
pub struct StopCell {
    /// The Lua state (main or coroutine) that runs now; null outside rules.
    running: AtomicPtr<lua_State>,
    reason: AtomicU8,
    /// A request holds from this time on (time stamp counter): a rule that returns by then may.
    due: AtomicU64,
}

impl StopCell {
    /// Ends the rule that runs on this thread, if one does and it has not returned by `due`: true then.
    /// Async-signal-safe.
    ///
    /// # Safety
    /// To be called on the thread whose rules this cell belongs to (a signal handler there may).
    pub unsafe fn request(&self, due: u64) -> bool {
        let running = self.running.load(Ordering::Relaxed);
        if running.is_null() {
            return false;
        }
        if self.reason.fetch_max(REQUESTED, Ordering::Relaxed) == NONE {
            self.due.store(due, Ordering::Relaxed);
        }
        // SAFETY: the state is alive while it is in `running`; Lua allows this call from a signal
        // handler that interrupts that very state.
        unsafe { arm(running) };
        true
    }

    /// Makes the rule that runs on `stack` end because its system call does not return.
    pub(super) fn diverge(&self, stack: Stack) {
        self.reason.store(DIVERGED, Ordering::Relaxed);
        // SAFETY: `stack` is the live state that is calling us.
        unsafe { arm(stack.raw()) };
    }

    pub(super) fn reason(&self) -> Option<Reason> {
        match self.reason.load(Ordering::Relaxed) {
            NONE => None,
            DIVERGED => Some(Reason::Diverged),
            _ if tsc::timestamp() < self.due.load(Ordering::Relaxed) => None,
            _ => Some(Reason::Requested),
        }
    }

    /// Whether the rule must end, now or when it is due.
    fn is_pending(&self) -> bool {
        self.reason.load(Ordering::Relaxed) != NONE
    }

    /// Notes that `state` runs from now on; what ran until now.
    pub(super) fn switch_to(&self, state: *mut lua_State) -> *mut lua_State {
        let before = self.running.load(Ordering::Relaxed);
        self.running.store(state, Ordering::Relaxed);
        if self.is_pending() {
            // SAFETY: a live state of this thread's machine, which is about to run.
            unsafe { arm(state) };
        }
        before
    }

    /// The rule has ended: why it was made to, and the hook is gone.
    pub(super) fn finish(&self, stack: Stack) -> Option<Reason> {
        self.running.store(ptr::null_mut(), Ordering::Relaxed);
        if !self.is_pending() {
            return None;
        }
        let reason = self.reason();
        self.reason.store(NONE, Ordering::Relaxed);
        // SAFETY: `stack` is the machine's live main state.
        unsafe { ffi::lua_sethook(stack.raw(), None, 0, 0) };
        reason
    }
}

/// # Safety
/// `state` is alive and belongs to this thread.
unsafe fn arm(state: *mut lua_State) {
    // SAFETY: the caller's promise.
    unsafe { ffi::lua_sethook(state, Some(hook), ffi::LUA_MASKCOUNT, 1) };
}

unsafe extern "C-unwind" fn hook(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: Lua calls hooks with its own live state.
    let stack = unsafe { Stack::new(state) };
    if Context::of(stack).stop.reason().is_some() {
        raise_stopped(stack);
    }
    if Context::of(stack).stop.is_pending() {
        return;
    }
    // Left over in a coroutine that was created while the hook was armed.
    // SAFETY: as above.
    unsafe { ffi::lua_sethook(state, None, 0, 0) };
}

/// Raises if the rule must end. Called wherever Lua would otherwise swallow the error.
pub(super) fn check(stack: Stack) {
    if Context::of(stack).stop.reason().is_some() {
        // The state we return to need not be the one that was interrupted.
        // SAFETY: `stack` is the live state that is calling us.
        unsafe { arm(stack.raw()) };
        raise_stopped(stack);
    }
}

pub(super) fn raise_stopped(stack: Stack) -> ! {
    stack.raise(c"the rule was stopped")
}
