//! Descriptors of our own, out of the guest's way.
//!
//! A guest gets the lowest free number, and closes, redirects and counts what it knows: what is ours lies
//! as high as the limit allows, and does not survive an execve.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::process::{Resource, getrlimit};

/// Where our descriptors begin, if the limit allows.
const PREFERRED: u64 = 1_000_000;
/// How many below the limit we begin otherwise.
const MARGIN: u64 = 64;

fn floor() -> RawFd {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let floor = if limit > PREFERRED + MARGIN { PREFERRED } else { limit.saturating_sub(MARGIN) };
    RawFd::try_from(floor).unwrap_or(0)
}

/// A duplicate of `fd`, high and close-on-exec.
pub fn duplicate_high(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    for floor in [floor(), 3] {
        // SAFETY: fcntl on a descriptor that the caller holds.
        let high = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, floor) };
        if high >= 0 {
            // SAFETY: just made, owned by nobody else.
            return Ok(unsafe { OwnedFd::from_raw_fd(high) });
        }
    }
    Err(io::Error::last_os_error())
}

/// Moves `fd` up, close-on-exec; it stays where it is if there is no room.
#[must_use]
pub fn raise_fd(fd: OwnedFd) -> OwnedFd {
    use std::os::fd::AsFd;
    duplicate_high(fd.as_fd()).unwrap_or(fd)
}
