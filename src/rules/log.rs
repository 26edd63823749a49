//! Where rules and the rule engine write lines.
//!
//! The descriptor is held from the start and lies out of the guest's way, so it goes on working when the guest
//! closes or redirects its own. A line is one `write`: on a file or terminal the kernel keeps those
//! apart. On a pipe it does so only for short ones, so writers there take a lock that works between processes
//! too (`flock`, which dies with its holder), and a pipe that nobody reads is left alone: its SIGPIPE would
//! be the guest's.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, fstat, open};
use rustix::io::{Errno, write};

use crate::host::hidden_fd::HiddenFd;

/// Distinct failures that are told before we go quiet.
const MAX_FAILURES: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every `write` is atomic.
    Whole,
    Pipe,
}

struct Target {
    fd: HiddenFd,
    kind: Kind,
}

/// The locks of a log.
pub(super) type Frozen<'a> = (MutexGuard<'a, HashSet<u64>>, MutexGuard<'a, Option<HiddenFd>>);

/// The log: lines `[Lua Log] message` of rules, `[Lua Error] message` of the engine.
pub struct LogSink {
    target: Option<Target>,
    /// Held by the thread that writes to a pipe, with a description of the pipe that no other process
    /// shares, so that the lock on it keeps other processes out.
    pipe: Mutex<Option<HiddenFd>>,
    told: Mutex<HashSet<u64>>,
}

impl LogSink {
    /// Standard error as it is now; nothing, if it is closed.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(HiddenFd::duplicate(rustix::stdio::stderr()).ok())
    }

    /// Appends to the file at `path`, which is created if need be.
    pub fn file(path: &Path) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = open(path, flags, Mode::from_raw_mode(0o666))?;
        Ok(Self::new(Some(HiddenFd::hide(fd))))
    }

    /// A descriptor that an earlier image of this process held ([`LogSink::fd`]).
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self::new(Some(HiddenFd::hide(fd)))
    }

    fn new(fd: Option<HiddenFd>) -> Self {
        let target = fd.map(|fd| {
            let kind = kind(fd.as_fd());
            Target { fd, kind }
        });
        Self { target, pipe: Mutex::default(), told: Mutex::default() }
    }

    /// The descriptor that is written to.
    #[must_use]
    pub fn fd(&self) -> Option<RawFd> {
        self.target.as_ref().map(|target| target.fd.as_raw_fd())
    }

    /// `c_log`.
    pub fn message(&self, message: &[u8]) {
        self.line(b"[Lua Log] ", message);
    }

    /// A line of the rule engine's own; the caller sees to it that it comes once.
    pub(super) fn report(&self, message: &str) {
        self.line(b"[Lua Error] ", one_line(message).as_bytes());
    }

    /// A failure of a rule, on one line, once per `scope` and kind of message.
    pub fn failure(&self, scope: u64, message: &str) {
        let line = one_line(message);
        if self.is_new(scope, &line) {
            self.line(b"[Lua Error] ", line.as_bytes());
        }
    }

    /// Numbers and addresses in a message do not make another failure of it.
    fn is_new(&self, scope: u64, line: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        scope.hash(&mut hasher);
        shape(line).hash(&mut hasher);
        let mut told = self.told();
        told.len() < MAX_FAILURES && told.insert(hasher.finish())
    }

    fn told(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody else is in the log while the result lives: to be held across a fork.
    pub(super) fn freeze(&self) -> Frozen<'_> {
        (self.told(), self.pipe())
    }

    fn pipe(&self) -> MutexGuard<'_, Option<HiddenFd>> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lock must be this process's own.
    pub(super) fn after_fork_child(&self) {
        *self.pipe() = None;
    }

    fn line(&self, prefix: &[u8], message: &[u8]) {
        let Some(target) = &self.target else { return };
        let mut line = Vec::with_capacity(prefix.len() + message.len() + 1);
        line.extend_from_slice(prefix);
        line.extend_from_slice(message);
        line.push(b'\n');
        match target.kind {
            Kind::Whole => write_all(target.fd.as_fd(), &line),
            Kind::Pipe => self.write_to_pipe(target.fd.as_fd(), &line),
        }
    }

    fn write_to_pipe(&self, fd: BorrowedFd<'_>, line: &[u8]) {
        if !has_reader(fd) {
            return;
        }
        let mut own = self.pipe();
        if own.is_none() {
            *own = reopen(fd);
        }
        let Some(own) = &*own else { return write_all(fd, line) };
        while flock(own, FlockOperation::LockExclusive) == Err(Errno::INTR) {}
        write_all(fd, line);
        let _ = flock(own, FlockOperation::Unlock);
    }
}

fn kind(fd: BorrowedFd<'_>) -> Kind {
    match fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Fifo | FileType::Socket) => Kind::Pipe,
        _ => Kind::Whole,
    }
}

fn reopen(fd: BorrowedFd<'_>) -> Option<HiddenFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok().map(HiddenFd::hide)
}

fn has_reader(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_err() || !fds[0].revents().contains(PollFlags::ERR)
}

fn write_all(fd: BorrowedFd<'_>, mut line: &[u8]) {
    while !line.is_empty() {
        match write(fd, line) {
            Ok(n) => line = &line[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None);
            }
            Err(_) => return,
        }
    }
}

/// A message and its traceback on one line.
fn one_line(message: &str) -> String {
    let parts: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    parts.join(" | ")
}

/// The message without what differs from one occurrence to the next.
fn shape(line: &str) -> String {
    let mut shape = String::with_capacity(line.len());
    let mut in_number = false;
    for c in line.chars() {
        let digit = c.is_ascii_digit() || (in_number && (c.is_ascii_hexdigit() || c == 'x'));
        if !digit {
            shape.push(c);
        } else if !in_number {
            shape.push('#');
        }
        in_number = digit;
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_differs_in_numbers_only_is_the_same() {
        let log = LogSink::new(None);
        assert!(log.is_new(1, "read.lua:3: bad fd 17 at 0x7ffe10"));
        assert!(!log.is_new(1, "read.lua:3: bad fd 9 at 0x55aa"));
        assert!(log.is_new(1, "read.lua:3: bad name"));
        assert!(log.is_new(2, "read.lua:3: bad name"), "another version of the script");
    }

    #[test]
    fn a_traceback_fits_on_one_line() {
        assert_eq!(
            one_line("a.lua:1: x\nstack traceback:\n\t[C]: in ?\n"),
            "a.lua:1: x | stack traceback: | [C]: in ?"
        );
    }
}
