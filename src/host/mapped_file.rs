//! Files mapped for the process's life: to be read, or for perf to learn of.
#![allow(unsafe_code)] // a slice of a mapping

use super::heap;
use super::sys;

/// Maps `len` bytes from a page's start on. Nobody changes such a file where it is (whoever has a new version puts a new
/// file in its place), and its length was compared with what it should be.
pub fn map(fd: i32, from: usize, len: usize) -> Option<&'static [u8]> {
    let place = place(fd, from, len, libc::PROT_READ)?;
    // SAFETY: `len` bytes were just mapped there, for reading, privately and for good.
    Some(unsafe { std::slice::from_raw_parts(place as *const u8, len) })
}

/// Maps the first page of a file as executable, which perf records; whether that worked.
pub fn announce(fd: i32) -> bool {
    place(fd, 0, 4096, libc::PROT_READ | libc::PROT_EXEC).is_some()
}

fn place(fd: i32, from: usize, len: usize, prot: i32) -> Option<u64> {
    let place = heap::reserve(len as u64)?;
    let flags = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;
    let args = [place, len as u64, prot as u64, flags, fd as u64, from as u64];
    (sys::check(sys::syscall(libc::SYS_mmap, args)) == Ok(place)).then_some(place)
}
