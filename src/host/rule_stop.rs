//! Ending a rule that never returns.
//!
//! A signal that asks a program to end is queued while a rule runs, and would wait for ever if the rule
//! does. So the handler arms the rule's brake, which ends it once it has run for too long to be a rule
//! that returns by itself.
#![allow(unsafe_code)] // a pointer that the signal handler follows

use crate::host::signals::bit;
use crate::host::tsc;
use crate::rules::StopCell;
use std::cell::Cell;
use std::sync::Arc;

/// A rule that has run this many ticks of the time stamp counter (some 50 ms) does not return by itself.
const PATIENCE: u64 = 100_000_000;

/// Signals that ask a program to end. While a rule runs, they are let in behind another signal that waits.
pub const ENDING: u64 = bit(libc::SIGINT) | bit(libc::SIGTERM) | bit(libc::SIGQUIT) | bit(libc::SIGHUP);

/// Whether a rule runs on this thread. Async-signal-safe.
pub fn is_running() -> bool {
    !RUNNING.get().is_null()
}

thread_local! {
    static RUNNING: Cell<*const StopCell> = const { Cell::new(std::ptr::null()) };
    static SINCE: Cell<u64> = const { Cell::new(0) };
}

/// A rule starts on this thread. The cell must stay alive until [`leave`]: the caller's rules own it.
pub fn enter(cell: &Arc<StopCell>) {
    SINCE.set(tsc::timestamp());
    RUNNING.set(Arc::as_ptr(cell));
}

/// The rule has ended.
pub fn leave() {
    RUNNING.set(std::ptr::null());
}

/// A signal was queued. Async-signal-safe.
pub fn signal_arrived(signal: i32) {
    let cell = RUNNING.get();
    if cell.is_null() || ENDING & bit(signal) == 0 {
        return;
    }
    // SAFETY: not null between `enter` and `leave`, while the thread's rules keep the cell alive, and this
    // is that thread.
    unsafe { (*cell).request(SINCE.get().wrapping_add(PATIENCE)) };
}
