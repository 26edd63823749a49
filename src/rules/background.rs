//! When the watcher runs, and what guest threads do while it does not.
//!
//! Most processes end within milliseconds, and forks and credential changes want no second thread: a watcher
//! costs more than it is worth there. So it starts only in a process that goes on making system calls,
//! and until then (or where no thread can be started) calls look at the directory themselves, rarely.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::store::Patience;
use super::{ATTENTION, Rules, watch};
use crate::host::hidden_fd::HiddenFd;
use crate::host::lua::Joiner;

/// A process younger than this (or since the last stop) gets no watcher.
const YOUNG: Duration = Duration::from_millis(5);
/// How often calls look at the directory meanwhile.
const LOOK: Duration = Duration::from_millis(5);
/// How often they do where no watcher can be.
const SLOW_LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// No watcher; there will be one.
    Idle,
    Running,
    /// A watcher could not be started: calls look at the directory for good.
    Impossible,
    /// Nothing looks at the directory any more.
    Frozen,
}

pub(super) struct Background {
    pub(super) phase: Phase,
    since: Instant,
    looked: Instant,
    stop: Option<Arc<HiddenFd>>,
    joiner: Option<Joiner>,
}

impl Background {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { phase: Phase::Idle, since: now, looked: now, stop: None, joiner: None }
    }

    pub(super) fn stop_fd(&self) -> Option<RawFd> {
        self.stop.as_ref().map(|fd| fd.as_raw_fd())
    }

    /// Ends the watcher; false if there was none.
    pub(super) fn stop(&mut self) -> bool {
        let Some(joiner) = self.joiner.take() else { return false };
        if let Some(stop) = &self.stop {
            let _ = rustix::io::write(stop, &1u64.to_ne_bytes());
        }
        joiner();
        self.stop = None;
        if self.phase == Phase::Running {
            self.phase = Phase::Idle;
        }
        self.since = Instant::now();
        true
    }

    /// The watcher was joined before the fork, so there is nothing of it left.
    pub(super) fn after_fork_child(&mut self) {
        self.since = Instant::now();
    }

    fn start(&mut self, rules: &Arc<Rules>) {
        self.phase = match self.try_start(rules) {
            Ok(()) => Phase::Running,
            // In a process that borrows its memory no thread may start; there will be one when its owner goes on.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Phase::Idle,
            Err(_) => Phase::Impossible,
        };
    }

    fn try_start(&mut self, rules: &Arc<Rules>) -> std::io::Result<()> {
        let stop = Arc::new(HiddenFd::hide(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?));
        let (theirs, watched) = (Arc::clone(&stop), Arc::clone(rules));
        self.joiner = Some((rules.options.spawn)(Box::new(move || watch::run(&watched, &theirs)))?);
        self.stop = Some(stop);
        Ok(())
    }
}

impl Rules {
    /// A guest thread has seen [`ATTENTION`].
    #[cold]
    pub(super) fn attend(self: &Arc<Self>) {
        let mut background = match self.background.try_lock() {
            Ok(background) => background,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody else is at it.
            Err(TryLockError::WouldBlock) => return,
        };
        if self.unwatchable.load(Ordering::Relaxed) && background.phase == Phase::Running {
            background.phase = Phase::Impossible;
        }
        let (now, phase) = (Instant::now(), background.phase);
        let interval = if phase == Phase::Impossible { SLOW_LOOK } else { LOOK };
        let due = now.duration_since(background.looked) >= interval;
        if matches!(phase, Phase::Running | Phase::Frozen) || !due {
            return;
        }
        background.looked = now;
        let start = phase == Phase::Idle && now.duration_since(background.since) >= YOUNG;
        if start {
            background.start(self);
        }
        drop(background);
        self.scan(Patience::Some);
    }

    /// The watcher has seen all there is: calls need not look any more.
    pub(super) fn watcher_is_ready(&self) {
        if self.generation.load(Ordering::Acquire) & ATTENTION != 0 {
            self.set_attention(false);
        }
    }
}
