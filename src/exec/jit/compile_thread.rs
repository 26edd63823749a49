//! The thread that compiles in the background.
//!
//! It exists from the first hot block on, with all signals blocked, and can be stopped and started again:
//! several system calls fail, or mean something else, in a process with a second thread. What waits
//! when it stops is dropped: a block that is still hot asks again.

use super::{Compiler, Limits};
use crate::exec::cache::{Cache, Translation};
use crate::host::signals;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// More than this waiting: what is hot stays in the interpreter for now.
const MAX_WAITING: usize = 256;

struct Job {
    cache: &'static Cache,
    head: Arc<Translation>,
    limits: Limits,
    insist: Insist,
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
    waiting: VecDeque<Job>,
    stop: bool,
    thread: Option<JoinHandle<()>>,
}

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);
static WORK: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Option<Shared>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for a region from `head`. Whether it will be tried.
pub fn request(cache: &'static Cache, head: &Arc<Translation>, limits: Limits, insist: Insist) -> bool {
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
    shared.waiting.push_back(Job { cache, head: Arc::clone(head), limits, insist });
    WORK.notify_one();
    true
}

fn start() -> Option<JoinHandle<()>> {
    let before = signals::mask();
    signals::set_mask(u64::MAX);
    let started = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    signals::set_mask(before);
    started.ok()
}

/// Ends the thread, if there is one, and waits for that.
pub fn stop() {
    let thread = {
        let mut guard = lock();
        let Some(shared) = guard.as_mut() else { return };
        let Some(thread) = shared.thread.take() else { return };
        shared.stop = true;
        shared.waiting.clear();
        WORK.notify_all();
        thread
    };
    // A panic there has been reported by its hook.
    let _ = thread.join();
    if let Some(shared) = lock().as_mut() {
        shared.stop = false;
    }
}

/// Keeps the lock while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _guard = lock();
    f()
}

fn next_job() -> Option<Job> {
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
    let Some(mut compiler) = Compiler::new() else { return };
    while let Some(job) = next_job() {
        let served = job.insist == Insist::No && !job.head.regions().is_empty();
        if !served && !job.head.has_region() {
            compiler.compile(job.cache, &job.head, job.limits);
        }
    }
}
