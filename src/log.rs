//! The emulator's own messages: whole lines, to the log file (`-D`) or standard error, through a
//! descriptor of our own that the guest can neither close nor redirect.

use crate::host::sys;
use std::collections::HashSet;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

static FD: AtomicI32 = AtomicI32::new(2);

/// Sends messages to this descriptor.
pub fn set_fd(fd: i32) {
    FD.store(fd, Ordering::Relaxed);
}

/// The descriptor that messages go to.
pub fn fd() -> i32 {
    FD.load(Ordering::Relaxed)
}

/// Writes `text`, which ends with a newline, in one system call where the kernel takes it whole.
pub fn write(text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let args = [fd() as u64, rest.as_ptr() as u64, rest.len() as u64, 0, 0, 0];
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
    f()
}

/// One message line, the first time this key is seen.
pub fn once(key: &str, message: impl FnOnce() -> String) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.get_or_insert_default().insert(key.to_owned()) {
        line(&message());
    }
}
