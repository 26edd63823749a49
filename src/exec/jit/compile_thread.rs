//! The thread that compiles in the background.
//!
//! It exists from the first hot block on, with all signals blocked, and can be stopped and started again:
//! several system calls fail, or mean something else, in a process with a second thread. What waits
//! when it stops is dropped: a block that is still hot asks again. Where there is one processor it gives way to the guest's
//! threads.

use super::entry::Missed;
use super::phases::{Background, Moment};
use crate::exec::cache::Cache;
use crate::exec::translation::Translation;
use crate::host::priority;
use crate::host::spawn::{self, Joiner};
use guest::GuestAddr;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// More than this waiting: what is hot stays in the interpreter for now.
const MAX_WAITING: usize = 256;

/// What there is to do.
pub enum Job {
    /// A block has run often, and has asked for a region. What had led to it was the slot `arrived`, or anything.
    Hot { head: Arc<Translation>, arrived: u64, insist: Insist },
    /// A region's computed jump has often led elsewhere than expected `then`; to this address under this control state, the last
    /// time.
    Missed { missed: Missed, to: (GuestAddr, u64), then: Moment },
}

/// Whether a block wants a region of its own even if it has become part of another one. All blocks of a
/// loop get hot together: the first one's region is what the others were waiting for, and only a block
/// that goes on running in the interpreter needs more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insist {
    No,
    Yes,
}

#[derive(Default)]
struct Shared {
    waiting: VecDeque<(&'static Cache, Job)>,
    stop: bool,
    thread: Option<Joiner>,
}

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);
static WORK: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Option<Shared>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has something done. Whether it will be tried.
pub fn request(cache: &'static Cache, job: Job) -> bool {
    let mut guard = lock();
    let shared = guard.get_or_insert_default();
    if shared.waiting.len() >= MAX_WAITING || shared.stop {
        return false;
    }
    if shared.thread.is_none() {
        shared.thread = start();
    }
    if shared.thread.is_none() {
        return false;
    }
    shared.waiting.push_back((cache, job));
    WORK.notify_one();
    true
}

/// A panic in the compiler ends the thread (its hook has reported it), and the guest goes on uncompiled.
fn start() -> Option<Joiner> {
    spawn::joinable(Box::new(|| drop(std::panic::catch_unwind(work)))).ok()
}

/// Ends the thread, if there is one, and waits for that.
pub fn stop() {
    let join = {
        let mut guard = lock();
        let Some(shared) = guard.as_mut() else { return };
        let Some(join) = shared.thread.take() else {
            // Another thread may be about it.
            drop(WORK.wait_while(guard, |shared| shared.as_ref().is_some_and(|s| s.stop)));
            return;
        };
        shared.stop = true;
        shared.waiting.clear();
        WORK.notify_all();
        join
    };
    join();
    if let Some(shared) = lock().as_mut() {
        shared.stop = false;
    }
    WORK.notify_all();
}

/// Runs `f` while there is no such thread, nor can one be started: for fork.
pub fn with_stopped<T>(f: impl FnOnce() -> T) -> T {
    loop {
        stop();
        let guard = lock();
        // Another thread may have started it again.
        if guard.as_ref().is_none_or(|shared| shared.thread.is_none() && !shared.stop) {
            return f();
        }
    }
}

fn next_job() -> Option<(&'static Cache, Job)> {
    let mut guard = lock();
    loop {
        let shared = guard.as_mut()?;
        if shared.stop {
            return None;
        }
        if let Some(job) = shared.waiting.pop_front() {
            return Some(job);
        }
        guard = WORK.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
}

fn work() {
    priority::give_way_on_one_processor();
    let Some(mut background) = Background::new() else { return };
    while let Some((cache, job)) = next_job() {
        match job {
            Job::Hot { head, arrived, insist } => background.heat(cache, &head, arrived, insist),
            Job::Missed { missed, to, then } => background.miss(cache, missed, to, then),
        }
    }
}
