//! Files mapped for reading, for the process's life.
#![allow(unsafe_code)] // a slice of a mapping

use super::heap;
use super::sys;

/// Maps `len` bytes from a page's start on. Nobody changes such a file where it is (whoever has a new version puts a new
/// file in its place), and its length was compared with what it should be.
pub fn map(fd: i32, from: usize, len: usize) -> Option<&'static [u8]> {
    let place = heap::reserve(len as u64)?;
    let flags = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;
    let args = [place, len as u64, libc::PROT_READ as u64, flags, fd as u64, from as u64];
    if sys::check(sys::syscall(libc::SYS_mmap, args)) != Ok(place) {
        return None;
    }
    // SAFETY: `len` bytes were just mapped there, for reading, privately and for good.
    Some(unsafe { std::slice::from_raw_parts(place as *const u8, len) })
}
