//! The emulator's own messages: whole lines, to the log file (`-D`) or standard error.
//!
//! A log that was asked for goes through a descriptor of our own that the guest can neither close nor redirect. Without one,
//! the odd message goes to the guest's standard error while that is the one it started with: a descriptor of
//! ours would keep a pipe open that a daemon has closed, and who reads from it would wait for ever.

use crate::host::kept::Kept;
use crate::host::{files, sys};
use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What was asked for; inside, nothing if it is not to be had.
static KEPT: OnceLock<Option<Kept>> = OnceLock::new();

/// Sends messages to this descriptor.
pub fn set_kept(kept: Option<Kept>) {
    KEPT.get_or_init(|| kept);
}

/// Device and inode of standard error, where messages go to it only while it is that.
static BORROWED: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// Sends messages to the guest's standard error for as long as it is what it is now.
pub fn borrow_stderr() {
    *BORROWED.lock().unwrap_or_else(PoisonError::into_inner) = Some(files::identity(2).unwrap_or_default());
}

/// Whether standard error is the one that messages may go to.
fn may_borrow() -> bool {
    let borrowed = *BORROWED.lock().unwrap_or_else(PoisonError::into_inner);
    borrowed.is_none_or(|first| files::identity(2) == Some(first))
}

/// Writes `text`, which ends with a newline, in one system call where the kernel takes it whole.
pub fn write(text: &str) {
    match KEPT.get() {
        Some(Some(kept)) => kept.with(|fd| write_to(fd, text.as_bytes())),
        Some(None) => {}
        None if may_borrow() => write_to(2, text.as_bytes()),
        None => {}
    }
}

fn write_to(fd: i32, mut rest: &[u8]) {
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
