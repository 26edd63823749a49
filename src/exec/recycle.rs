//! Code memory that is used again.
//!
//! A guest that makes code all the time, as JIT compilers do, leaves translations behind that nothing leads to any more. When
//! these take more than what is in use, or when there is no room, everything is dropped, and code memory begins again behind the
//! saved code: what is in use is made anew as it runs.
//!
//! # Why no thread has an address of code that is gone
//! A thread notes in its [`Port`](crate::host::signals::Port) when it begins to run translations, and then looks at its poll flag; when it is back from
//! them, it notes that too. Whoever recycles drops all translations first, so that no address is to be had any more and every
//! thread's poll flag is set, then counts the epoch on, has the kernel put a memory barrier into every thread
//! (membarrier(2)), and waits until each thread is outside, or has begun since. One that begins later sees its flag, and forgets
//! its jump cache before it runs anything. The barrier is the kernel's so that those who run code need none. Where a thread does
//! not come out soon (it may wait for a page), nothing is used again this time.

use super::cache::Cache;
use super::{jit, saved};
use crate::host::{spawn, sys};
use guest::state::GuestState;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How much code must have been given up, in bytes.
const MOST_DEAD: usize = 16 << 20;
/// How long threads are waited for, and how long nothing is tried after that was in vain.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(2);

static EPOCH: AtomicU64 = AtomicU64::new(1);
static WANTED: AtomicBool = AtomicBool::new(false);
/// Whoever recycles has it. When that was in vain.
static TRIED: Mutex<Option<Instant>> = Mutex::new(None);

/// What threads note when they begin to run translations.
#[inline]
pub fn epoch() -> u64 {
    EPOCH.load(Ordering::Acquire)
}

/// Whether a thread that is outside of translations should call [`recycle`].
#[inline]
pub fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Asks for it: there is no room for more code.
pub fn want() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Asks for it where of the code that this process has made so many bytes are in use, and so many were given up.
pub fn want_where(live: usize, dead: usize) {
    if dead > live.max(MOST_DEAD) {
        want();
    }
}

/// Drops all translations and uses their memory again. The calling thread runs none. `state` is any.
#[cold]
pub fn recycle(cache: &Cache, state: &GuestState) {
    // A process that borrows its memory may be killed with locks held, and they would be its lender's.
    if !spawn::owns_memory() {
        return WANTED.store(false, Ordering::Relaxed);
    }
    let mut tried = match TRIED.try_lock() {
        Ok(tried) => tried,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    if !WANTED.swap(false, Ordering::Relaxed) || tried.is_some_and(|last| last.elapsed() < PAUSE) {
        return;
    }
    // What there is of files is saved now: it is not made again for that.
    saved::save(cache, state);
    saved::end_of_saving();
    jit::hold();
    cache.clear();
    let epoch = EPOCH.fetch_add(1, Ordering::AcqRel) + 1;
    let is_unused = sys::barrier_in_all_threads() && cache.wait_until_left(epoch, PATIENCE);
    jit::go_on(is_unused);
    *tried = (!is_unused).then(Instant::now);
}

/// Runs `f` while nothing is recycled: for fork.
pub fn without<T>(f: impl FnOnce() -> T) -> T {
    let _guard = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}
