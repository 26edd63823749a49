//! Background threads that the guest cannot notice.
//!
//! No guest signal may land in one, and its descriptors must not take numbers that the guest is about to
//! get, so it blocks all signals and has a descriptor table and a working directory of its own.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a background thread does.
pub type Job = Box<dyn FnOnce() + Send>;
/// Waits for a background thread to end.
pub type Joiner = Box<dyn FnOnce() + Send>;
/// How background threads come into being; the engine may place their stacks by giving its own.
pub type Spawn = fn(Job) -> io::Result<Joiner>;

/// A background thread with all 64 signals blocked.
pub fn spawn_quiet(job: Job) -> io::Result<Joiner> {
    let before = set_signal_mask(u64::MAX);
    let thread = std::thread::Builder::new().name("rules".into()).stack_size(256 << 10).spawn(job);
    set_signal_mask(before);
    let thread = thread?;
    Ok(Box::new(move || drop(thread.join())))
}

/// The raw call, because glibc's keeps its own signals (32, 33) open, which are the guest's here.
pub(super) fn set_signal_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: both masks are the kernel's 8 bytes and outlive the call.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, 8usize)
    };
    before
}

/// Gives this thread a descriptor table that holds only `keep`, and `directory` as a working directory of its
/// own. False if the kernel cannot (before 5.9): the thread then goes on in the shared ones and must not rely
/// on the working directory.
#[must_use]
pub fn become_private(keep: &[RawFd], directory: RawFd) -> bool {
    static SUPPORTED: AtomicBool = AtomicBool::new(true);
    if !SUPPORTED.load(Ordering::Relaxed) {
        return false;
    }
    // SAFETY: touches this thread's own kernel state only.
    let unshared = unsafe { libc::unshare(libc::CLONE_FS | libc::CLONE_FILES) } == 0;
    // SAFETY: as above; the directory is no longer shared with the guest.
    let private = unshared && close_others(keep) && unsafe { libc::fchdir(directory) } == 0;
    SUPPORTED.store(private, Ordering::Relaxed);
    private
}

fn close_others(keep: &[RawFd]) -> bool {
    let mut keep: Vec<u32> = keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).collect();
    keep.sort_unstable();
    let mut from = 0;
    for fd in keep {
        if fd > from && !close_range(from, fd - 1) {
            return false;
        }
        from = fd + 1;
    }
    close_range(from, u32::MAX)
}

pub(super) fn close_range(first: u32, last: u32) -> bool {
    // SAFETY: the callers have a descriptor table that nobody else uses.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) == 0 }
}
