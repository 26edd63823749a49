//! `RLIMIT_AS`: how much a guest may map.
//!
//! The host's own limit would count what the emulator reserves for itself, so a limit that a guest sets is not the host's: it
//! is kept here, checked where the guest maps, and handed to what it executes.

use super::table::Done;
use super::thread::Thread;
use super::{process, read_guest, write_guest};
use crate::host::sys;
use crate::mem::space;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The limit of a process's address space: soft, hard. Shared by its threads.
pub struct SpaceLimit([AtomicU64; 2]);

impl SpaceLimit {
    fn new([soft, hard]: [u64; 2]) -> Arc<Self> {
        Arc::new(Self([AtomicU64::new(soft), AtomicU64::new(hard)]))
    }

    /// The host's.
    #[must_use]
    pub fn of_host() -> Arc<Self> {
        let mut limit = [u64::MAX; 2];
        let args = [0, u64::from(libc::RLIMIT_AS), 0, &raw mut limit as u64, 0, 0];
        sys::syscall(libc::SYS_prlimit64, args);
        Self::new(limit)
    }

    /// For a child process: a copy.
    #[must_use]
    pub fn copy(&self) -> Arc<Self> {
        Self::new(self.get())
    }

    /// Soft and hard.
    pub fn get(&self) -> [u64; 2] {
        [0, 1].map(|index| self.0[index].load(Ordering::Relaxed))
    }

    fn set(&self, limit: [u64; 2]) {
        self.0.iter().zip(limit).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
    }

    /// As text, for the program that is executed.
    #[must_use]
    pub fn encode(&self) -> String {
        let [soft, hard] = self.get();
        format!("{soft} {hard}")
    }

    /// What [`SpaceLimit::encode`] has written.
    #[must_use]
    pub fn decode(text: &str) -> Option<Arc<Self>> {
        let (soft, hard) = text.split_once(' ')?;
        Some(Self::new([soft.parse().ok()?, hard.parse().ok()?]))
    }
}

/// Whether the guest may map so much more; pages of `replaced` that are mapped do not count.
pub fn allows(thread: &Thread, more: u64, replaced: Option<Range<u64>>) -> bool {
    let [soft, _] = thread.space_limit.get();
    if soft == u64::MAX {
        return true;
    }
    let gone = replaced.map_or(0, |range| space().mapped_in(range));
    let pages = more.checked_next_multiple_of(4096).unwrap_or(u64::MAX);
    (space().mapped_in(0..u64::MAX) - gone).saturating_add(pages) <= soft
}

pub fn getrlimit(thread: &mut Thread, &[resource, old, ..]: &[u64; 6]) -> Done {
    prlimit64(thread, &[0, resource, 0, old, 0, 0])
}

pub fn setrlimit(thread: &mut Thread, &[resource, new, ..]: &[u64; 6]) -> Done {
    match read_guest::<16>(new) {
        Ok(_) => prlimit64(thread, &[0, resource, new, 0, 0, 0]),
        Err(errno) => Done::errno(errno),
    }
}

pub fn prlimit64(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let own = args[0] as i32 == 0 || args[0] as u32 == std::process::id();
    if own && args[1] as u32 == libc::RLIMIT_AS {
        return change(thread, args[2], args[3]).into();
    }
    space().before_kernel_write(args[3], 16);
    Done::raw(sys::syscall(libc::SYS_prlimit64, *args))
}

fn change(thread: &Thread, new: u64, old: u64) -> Result<u64, i32> {
    const CAP_SYS_RESOURCE: u32 = 24;
    let before = thread.space_limit.get();
    if new != 0 {
        let bytes: [u8; 16] = read_guest(new)?;
        let [soft, hard] =
            [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index])));
        if soft > hard {
            return Err(libc::EINVAL);
        }
        if hard > before[1] && !process::has_capability(CAP_SYS_RESOURCE) {
            return Err(libc::EPERM);
        }
        thread.space_limit.set([soft, hard]);
    }
    if old != 0 {
        write_guest(old, &[before[0].to_le_bytes(), before[1].to_le_bytes()].concat())?;
    }
    Ok(0)
}
