//! Descriptors of our own that come and go, out of the guest's way.
//!
//! A guest gets the lowest free number, and closes, redirects and counts what it knows: what is ours lies
//! as high as the limit allows, is in no listing, and does not survive an execve.

use super::files;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// A descriptor that the guest neither sees nor reaches while it is open.
#[derive(Debug)]
pub struct HiddenFd(Option<OwnedFd>);

impl HiddenFd {
    /// Moves `fd` up; it stays where it is if there is no room.
    #[must_use]
    pub fn hide(fd: OwnedFd) -> Self {
        Self::duplicate(fd.as_fd()).unwrap_or_else(|_| Self::keep(fd))
    }

    /// A duplicate of `fd`.
    pub fn duplicate(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let above = |floor| rustix::io::fcntl_dupfd_cloexec(fd, floor);
        Ok(Self::keep(above(files::high_base()).or_else(|_| above(3))?))
    }

    fn keep(fd: OwnedFd) -> Self {
        files::keep(fd.as_raw_fd());
        Self(Some(fd))
    }

    /// Gives the descriptor away, hidden still: whoever closes it calls [`files::release`] before.
    #[must_use]
    pub fn into_raw(mut self) -> RawFd {
        self.0.take().map_or(-1, IntoRawFd::into_raw_fd)
    }
}

impl AsFd for HiddenFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("only into_raw takes it, with the value").as_fd()
    }
}

impl AsRawFd for HiddenFd {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Drop for HiddenFd {
    fn drop(&mut self) {
        if let Some(fd) = &self.0 {
            files::release(fd.as_raw_fd());
        }
    }
}
