//! Memory that a process and its forked children share.
#![allow(unsafe_code)] // a slice of a mapping

use super::{heap, sys};
use std::sync::atomic::AtomicU64;

/// So many words, all 0, for the life of this process and of all that are forked from it. `None` where the kernel has no
/// memory.
pub fn words(count: usize) -> Option<&'static [AtomicU64]> {
    let len = (count * size_of::<AtomicU64>()) as u64;
    let place = heap::reserve(len)?;
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    let mapped = sys::check(sys::syscall(libc::SYS_mmap, [place, len, prot, flags, u64::MAX, 0]));
    if mapped != Ok(place) {
        return None;
    }
    // SAFETY: so many words were just mapped there, page-aligned and for good; any bytes are atomic words.
    Some(unsafe { std::slice::from_raw_parts(place as *const AtomicU64, count) })
}
