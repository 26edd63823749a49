//! The emulator's own messages: whole lines, to the log file (`-D`) or standard error.
//!
//! A log that was asked for goes through a descriptor of our own that the guest can neither close nor redirect. Without one,
//! the odd message goes to the guest's standard error while that is the one it started with: a descriptor of
//! ours would keep a pipe open that a daemon has closed, and who reads from it would wait for ever.

use crate::host::{files, sys};
use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

static FD: AtomicI32 = AtomicI32::new(2);

/// Sends messages to this descriptor.
pub fn set_fd(fd: i32) {
    FD.store(fd, Ordering::Relaxed);
}

/// Device and inode of standard error, where messages go to it only while it is that.
static BORROWED: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// Sends messages to the guest's standard error for as long as it is what it is now.
pub fn borrow_stderr() {
    set_fd(2);
    *BORROWED.lock().unwrap_or_else(PoisonError::into_inner) = Some(files::identity(2).unwrap_or_default());
}

/// The descriptor that messages go to, if there is one now.
fn fd() -> Option<i32> {
    let fd = FD.load(Ordering::Relaxed);
    let borrowed = *BORROWED.lock().unwrap_or_else(PoisonError::into_inner);
    let valid = fd >= 0 && borrowed.is_none_or(|first| files::identity(fd) == Some(first));
    valid.then_some(fd)
}

/// Writes `text`, which ends with a newline, in one system call where the kernel takes it whole.
pub fn write(text: &str) {
    let Some(fd) = fd() else { return };
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let args = [fd as u64, rest.as_ptr() as u64, rest.len() as u64, 0, 0, 0];
        match sys::check(sys::syscall(libc::SYS_write, args)) {
            Ok(written) => rest = &rest[(written as usize).min(rest.len())..],
            Err(libc::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// One message line.
pub fn line(message: &str) {
    write(&format!("qemu-lua: {message}\n"));
}

/// The keys of messages that were written.
static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Keeps the lock while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let _borrowed = BORROWED.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}

/// One message line, the first time this key is seen.
pub fn once(key: &str, message: impl FnOnce() -> String) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.get_or_insert_default().insert(key.to_owned()) {
        line(&message());
    }
}
