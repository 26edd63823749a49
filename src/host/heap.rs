//! The emulator's memory: all of it in the emulator's range.
//!
//! The C library's allocator (which is Rust's too) grows through `sbrk`, which would extend the program
//! break, in the guest's space. So `sbrk` is ours: it maps upwards from the start of our heap. The allocator is told to
//! use nothing else. Thread stacks come from the same place.
#![allow(unsafe_code)] // replaces a C symbol

use super::layout::{CODE_START, HEAP_START};
use super::sys;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const PAGE: u64 = 4096;
/// The heap may take this much; what else we map lies above.
const HEAP_END: u64 = HEAP_START + (16 << 30);

const HUGE: u64 = 2 << 20;
/// From here on the heap has huge pages, where the kernel gives them: one fault, and one entry of the host's buffers, for what
/// would be 512. One takes the time of some 100 small ones.
const HUGE_FROM: u64 = HEAP_START + HUGE;
/// Where it begins: what starts with saved code at hand, and ends soon, needs no more than what lies before.
const FIRST: u64 = HUGE_FROM - (256 << 10);

/// The break, and the end of what is there for it. Only the allocator moves them, under its lock.
static BREAK: AtomicU64 = AtomicU64::new(FIRST);
static READY: AtomicU64 = AtomicU64::new(FIRST);
/// Where the next mapping of another kind goes.
static NEXT: AtomicU64 = AtomicU64::new(HEAP_END);

/// Maps zeroed memory at an address; whether that worked.
fn map_at(addr: u64, len: u64, flags: i32) -> bool {
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    sys::syscall(libc::SYS_mmap, [addr, len, prot as u64, flags as u64, u64::MAX, 0]) == addr as i64
}

/// Places that were given back: address and length.
static FREE: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

fn free_places() -> MutexGuard<'static, Vec<(u64, u64)>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the list of free places still while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _places = free_places();
    f()
}

fn free_place(len: u64) -> Option<u64> {
    let mut places = free_places();
    let index = places.iter().position(|&(_, size)| size == len)?;
    Some(places.swap_remove(index).0)
}

/// Maps `len` bytes of zeroed memory in our range; its address.
pub fn map(len: u64) -> Option<u64> {
    let len = len.next_multiple_of(PAGE);
    while let Some(addr) = free_place(len) {
        if map_at(addr, len, libc::MAP_NORESERVE) {
            return Some(addr);
        }
    }
    for _ in 0..64 {
        let addr = NEXT.fetch_add(len + PAGE, Ordering::Relaxed);
        if addr + len > CODE_START {
            return None;
        }
        if map_at(addr, len, libc::MAP_NORESERVE) {
            return Some(addr);
        }
    }
    None
}

/// Has the kernel provide pages that will be written to, if it can do that at once; their address.
pub fn populated(addr: u64, len: u64) -> u64 {
    sys::syscall(libc::SYS_madvise, [addr, len, libc::MADV_POPULATE_WRITE as u64, 0, 0, 0]);
    addr
}

/// A place in our range for a mapping of `len` bytes that is made there at once.
pub fn reserve(len: u64) -> Option<u64> {
    let len = len.next_multiple_of(PAGE);
    let addr = NEXT.fetch_add(len + PAGE, Ordering::Relaxed);
    (addr + len <= CODE_START).then_some(addr)
}

/// Gives back what [`map`] gave.
pub fn unmap(addr: u64, len: u64) {
    let len = len.next_multiple_of(PAGE);
    sys::syscall(libc::SYS_munmap, [addr, len, 0, 0, 0, 0]);
    free_places().push((addr, len));
}

/// Has the heap go on, up to `needed` at the least; how far it is there then. What the allocator asks for it uses soon, and
/// pages that come together cost a fifth of what a fault for each does.
fn grow(ready: u64, needed: u64) -> Option<u64> {
    const STEP: u64 = 32 << 10;
    if needed <= HUGE_FROM {
        // A larger heap grows by larger steps.
        let step = ((ready - FIRST) / 4).next_multiple_of(STEP).max(STEP);
        let end = (ready + (needed - ready).next_multiple_of(step)).min(HUGE_FROM);
        return map_at(ready, end - ready, libc::MAP_POPULATE).then_some(end);
    }
    // Mapped as a whole, and asked for by parts: all of a huge page is there after the first one.
    let mapped = if ready < HUGE_FROM { ready } else { ready.next_multiple_of(HUGE) };
    let end = needed.next_multiple_of(HUGE);
    if mapped < end {
        if !map_at(mapped, end - mapped, 0) {
            return None;
        }
        sys::syscall(libc::SYS_madvise, [mapped, end - mapped, libc::MADV_HUGEPAGE as u64, 0, 0, 0]);
    }
    let end = needed.next_multiple_of(4 * STEP);
    populated(ready, end - ready);
    Some(end)
}

/// Moves the break by `increment` bytes, as `sbrk(2)`.
///
/// # Safety
/// For the C library's allocator, which serialises its calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sbrk(increment: isize) -> *mut c_void {
    let old = BREAK.load(Ordering::Relaxed);
    let new = old.wrapping_add_signed(increment as i64);
    let ready = READY.load(Ordering::Relaxed);
    // It never shrinks: the allocator takes what it gets from here to be zero.
    if new > HEAP_END - HUGE || increment < 0 {
        return usize::MAX as *mut c_void;
    }
    if new > ready {
        let Some(end) = grow(ready, new) else { return usize::MAX as *mut c_void };
        READY.store(end, Ordering::Relaxed);
    }
    BREAK.store(new, Ordering::Relaxed);
    old as *mut c_void
}

/// The same under its public name.
///
/// # Safety
/// As [`__sbrk`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sbrk(increment: isize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { __sbrk(increment) }
}

/// Keeps the C library's allocator in the heap: no mappings of its own, one arena.
pub fn confine_allocator() {
    // SAFETY: sets numbers.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        // What it asks for is rounded up by us.
        libc::mallopt(libc::M_TOP_PAD, 16 << 10);
    }
}
