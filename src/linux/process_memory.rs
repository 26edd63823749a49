//! Memory by way of the kernel: /proc/PID/mem, `process_vm_readv` and `process_vm_writev`.
//!
//! They reach whatever is mapped. The emulator's own memory is not, as far as a guest can tell, neither in this process nor in
//! another one that an emulator runs. And what they write may be code that was translated, in pages that stores cannot reach.

use super::dispatch::Entry;
use super::read_word;
use super::table::Done;
use super::thread::Thread;
use crate::host::layout::{self, EMULATOR_START};
use crate::host::sys;
use crate::mem::space;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// `UIO_MAXIOV`
const MOST_BUFFERS: u64 = 1024;

/// Whether a descriptor may be one of a process's memory: until then this costs one load a call.
static OPENED: AtomicBool = AtomicBool::new(false);

/// A path is about to be opened.
pub fn opens(path: &[u8]) {
    if path == b"mem" || path.ends_with(b"/mem") {
        OPENED.store(true, Ordering::Relaxed);
    }
}

/// Whether the descriptor is a process's memory.
fn is_memory(fd: u64) -> bool {
    let Ok(target) = std::fs::read_link(format!("/proc/self/fd/{}", fd as i32)) else { return false };
    let path = target.as_os_str().as_bytes();
    path.starts_with(b"/proc/") && path.ends_with(b"/mem")
}

/// A call that reads or writes through a descriptor.
#[derive(Clone, Copy)]
struct Transfer {
    writes: bool,
    buffer: u64,
    len: u64,
    /// Where, if not where the descriptor stands.
    at: Option<u64>,
}

impl Transfer {
    /// Of several buffers the first that is none of length 0: fewer bytes than were asked for is an answer.
    fn of(name: &str, args: &[u64; 6]) -> Option<Self> {
        let (writes, vector) = match name {
            "read" | "pread64" => (false, false),
            "write" | "pwrite64" => (true, false),
            "readv" | "preadv" | "preadv2" => (false, true),
            "writev" | "pwritev" | "pwritev2" => (true, true),
            _ => return None,
        };
        let (buffer, len) = match vector {
            true => first_of(args[1], args[2])?,
            false => (args[1], args[2]),
        };
        let at = match name {
            "read" | "write" | "readv" | "writev" => None,
            "preadv2" | "pwritev2" if args[3] == u64::MAX => None,
            _ => Some(args[3]),
        };
        Some(Self { writes, buffer, len, at })
    }

    fn perform(self, fd: u64) -> i64 {
        let current = || sys::syscall(libc::SYS_lseek, [fd, 0, libc::SEEK_CUR as u64, 0, 0, 0]) as u64;
        let at = self.at.unwrap_or_else(current);
        if layout::is_ours(at) {
            return -i64::from(libc::EIO);
        }
        let len = if at < EMULATOR_START { self.len.min(EMULATOR_START - at) } else { self.len };
        let number = match (self.writes, self.at) {
            (false, None) => libc::SYS_read,
            (true, None) => libc::SYS_write,
            (false, Some(_)) => libc::SYS_pread64,
            (true, Some(_)) => libc::SYS_pwrite64,
        };
        let call = || sys::syscall(number, [fd, self.buffer, len, at, 0, 0]);
        if self.writes {
            return writing_code(&[(at, len)], call);
        }
        space().before_kernel_write(self.buffer, len);
        call()
    }
}

fn first_of(vector: u64, count: u64) -> Option<(u64, u64)> {
    let one = |index| Some((read_word(vector + 16 * index).ok()?, read_word(vector + 16 * index + 8).ok()?));
    (0..count.min(MOST_BUFFERS)).find_map(|index| one(index).filter(|&(_, len)| len != 0))
}

/// Runs a call that writes to these ranges whatever their protection: pages of code are released before, and what was
/// translated meanwhile is dropped.
fn writing_code<T>(ranges: &[(u64, u64)], call: impl FnOnce() -> T) -> T {
    let drop_all =
        || ranges.iter().for_each(|&(at, len)| space().invalidate_code(at..at.saturating_add(len)));
    drop_all();
    let done = call();
    drop_all();
    done
}

/// Whether the guest may have descriptors of a process's memory.
#[inline]
pub fn is_opened() -> bool {
    OPENED.load(Ordering::Relaxed)
}

/// The call, if it is a transfer through a descriptor of a process's memory.
#[inline]
pub fn transfer(entry: &Entry, args: &[u64; 6]) -> Option<Done> {
    if !is_opened() {
        return None;
    }
    let transfer = Transfer::of(entry.name, args)?;
    (!crate::host::files::is_ours(args[0] as i32) && is_memory(args[0]))
        .then(|| Done::raw(transfer.perform(args[0])))
}

pub fn process_vm_readv(thread: &mut Thread, args: &[u64; 6]) -> Done {
    super::dispatch::release_iovec(args[1], args[2]);
    let (ranges, args) = with_plain_ranges(args);
    let done = sys::interruptible(libc::SYS_process_vm_readv, args, &thread.vcpu.port.poll);
    drop(ranges);
    Done::raw(done)
}

pub fn process_vm_writev(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let (ranges, args) = with_plain_ranges(args);
    let call = || sys::interruptible(libc::SYS_process_vm_writev, args, &thread.vcpu.port.poll);
    Done::raw(writing_code(&ranges, call))
}

/// The ranges of the other process, up to the first that reaches into what is ours there, and the call with these. What cannot
/// be read is left to the kernel.
fn with_plain_ranges(args: &[u64; 6]) -> (Vec<(u64, u64)>, [u64; 6]) {
    let mut args = *args;
    let ranges = remote_ranges(args[3], args[4]).unwrap_or_default();
    if !ranges.is_empty() {
        (args[3], args[4]) = (ranges.as_ptr() as u64, ranges.len() as u64);
    }
    (ranges, args)
}

fn remote_ranges(vector: u64, count: u64) -> Option<Vec<(u64, u64)>> {
    if count > MOST_BUFFERS {
        return None;
    }
    let mut ranges = Vec::new();
    for index in 0..count {
        let at = vector + 16 * index;
        let (base, len) = (read_word(at).ok()?, read_word(at + 8).ok()?);
        if layout::any_ours(&(base..base.saturating_add(len))) {
            ranges.push(if layout::is_ours(base) { (0, len) } else { (base, EMULATOR_START - base) });
            break;
        }
        ranges.push((base, len));
    }
    Some(ranges)
}
