//! `RLIMIT_AS` and `RLIMIT_DATA`: how much a guest may map.
//!
//! The host's own limits would count what the emulator has for itself, so limits that a guest sets are not the host's: they
//! are kept here, checked where the guest maps, and handed to what it executes.

use super::table::Done;
use super::thread::Thread;
use super::{process, read_guest, write_guest};
use crate::host::sys;
use crate::mem::{Mapping, space};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Soft and hard.
type Limit = [u64; 2];

/// What a mapping counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// A part of the address space.
    Space,
    /// That, and data: private and writable.
    Data,
}

impl Counted {
    #[must_use]
    pub const fn of(prot: i32, flags: i32) -> Self {
        let writable = prot & libc::PROT_WRITE != 0;
        if writable && flags & libc::MAP_TYPE == libc::MAP_PRIVATE { Self::Data } else { Self::Space }
    }

    fn resource(self) -> u32 {
        if self == Self::Space { libc::RLIMIT_AS } else { libc::RLIMIT_DATA }
    }
}

const KINDS: [Counted; 2] = [Counted::Space, Counted::Data];

/// The limits of a process's memory: of its address space, then of its data. Shared by its threads.
pub struct SpaceLimit([[AtomicU64; 2]; 2]);

impl SpaceLimit {
    fn new(limits: [Limit; 2]) -> Arc<Self> {
        Arc::new(Self(limits.map(|limit| limit.map(AtomicU64::new))))
    }

    /// The host's.
    #[must_use]
    pub fn of_host() -> Arc<Self> {
        Self::new(KINDS.map(|kind| {
            let mut limit = [u64::MAX; 2];
            let args = [0, u64::from(kind.resource()), 0, &raw mut limit as u64, 0, 0];
            sys::syscall(libc::SYS_prlimit64, args);
            limit
        }))
    }

    /// For a child process: a copy.
    #[must_use]
    pub fn copy(&self) -> Arc<Self> {
        Self::new(KINDS.map(|kind| self.get(kind)))
    }

    /// Soft and hard.
    pub fn get(&self, kind: Counted) -> Limit {
        [0, 1].map(|index| self.0[kind as usize][index].load(Ordering::Relaxed))
    }

    fn set(&self, kind: Counted, limit: Limit) {
        self.0[kind as usize]
            .iter()
            .zip(limit)
            .for_each(|(word, value)| word.store(value, Ordering::Relaxed));
    }

    /// As text, for the program that is executed.
    #[must_use]
    pub fn encode(&self) -> String {
        KINDS.map(|kind| self.get(kind).map(|bytes| bytes.to_string()).join(" ")).join(" ")
    }

    /// What [`SpaceLimit::encode`] has written.
    #[must_use]
    pub fn decode(text: &str) -> Option<Arc<Self>> {
        let mut words = text.split(' ').map(|word| word.parse().ok());
        let mut limit = || Some([words.next()??, words.next()??]);
        Some(Self::new([limit()?, limit()?]))
    }
}

/// Whether the guest may map so much more; pages of `replaced` that are mapped do not count.
pub fn allows(thread: &Thread, more: u64, kind: Counted, replaced: Option<Range<u64>>) -> bool {
    let [soft, _] = thread.space_limit.get(Counted::Space);
    let pages = more.checked_next_multiple_of(4096).unwrap_or(u64::MAX);
    let mapped = |range: Range<u64>| space().count(range, |_| true);
    let fits = soft == u64::MAX || {
        let gone = replaced.clone().map_or(0, mapped);
        (mapped(0..u64::MAX) - gone).saturating_add(pages) <= soft
    };
    fits && (kind == Counted::Space || allows_data(thread, pages, replaced))
}

/// The same for what becomes data (mm/mmap.c, `may_expand_vm`). The first stack is none.
fn allows_data(thread: &Thread, more: u64, replaced: Option<Range<u64>>) -> bool {
    let limit = match thread.space_limit.get(Counted::Data) {
        [0, hard] => hard,
        [soft, _] => soft,
    };
    limit == u64::MAX || {
        let data = |range: Range<u64>| space().count(range, Mapping::is_data);
        let gone = replaced.map_or(0, data);
        (data(0..thread.process.stack.start) - gone).saturating_add(more) <= limit
    }
}

/// Whether the range may become writable.
pub fn allows_writing(thread: &Thread, range: Range<u64>) -> bool {
    thread.space_limit.get(Counted::Data)[0] == u64::MAX || {
        let more = space().count(range, |mapping| !mapping.shared && !mapping.prot.writable());
        more == 0 || allows_data(thread, more, None)
    }
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
    if let Some(kind) = KINDS.into_iter().find(|kind| own && args[1] as u32 == kind.resource()) {
        return change(thread, kind, args[2], args[3]).into();
    }
    space().before_kernel_write(args[3], 16);
    Done::raw(sys::syscall(libc::SYS_prlimit64, *args))
}

fn change(thread: &Thread, kind: Counted, new: u64, old: u64) -> Result<u64, i32> {
    const CAP_SYS_RESOURCE: u32 = 24;
    let before = thread.space_limit.get(kind);
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
        thread.space_limit.set(kind, [soft, hard]);
    }
    if old != 0 {
        write_guest(old, &[before[0].to_le_bytes(), before[1].to_le_bytes()].concat())?;
    }
    Ok(0)
}
