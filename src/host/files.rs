//! What the emulator itself does with file descriptors.
//!
//! Descriptors that we keep are moved up (`kept.rs`), so that the guest gets the numbers it would get natively.

use crate::host::sys;
use std::ffi::{CStr, CString};

pub use super::kept::{SPREAD, high_base, is_ours, keep, move_high, ours, release};

/// Device and inode of an open file.
pub fn identity(fd: i32) -> Option<(u64, u64)> {
    let stat = stat_words(fd)?;
    Some((stat[0], stat[1]))
}

/// `struct stat` of x86-64, as words.
fn stat_words(fd: i32) -> Option<[u64; 18]> {
    let mut stat = [0u64; 18];
    let args = [fd as u64, stat.as_mut_ptr() as u64, 0, 0, 0, 0];
    sys::check(sys::syscall(libc::SYS_fstat, args)).ok()?;
    Some(stat)
}

/// Whether a path names a symbolic link.
pub fn is_link(dir: i32, path: &[u8]) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let mut stat = [0u64; 18];
    let flags = libc::AT_SYMLINK_NOFOLLOW as u64;
    let args = [dir as u64, path.as_ptr() as u64, stat.as_mut_ptr() as u64, flags, 0, 0];
    sys::check(sys::syscall(libc::SYS_newfstatat, args)).is_ok()
        && stat[3] as u32 & libc::S_IFMT == libc::S_IFLNK
}

/// Of `struct stat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    pub device: u64,
    pub inode: u64,
    pub mode: u32,
    pub owner: u32,
    pub size: u64,
    /// When its content was changed last: seconds and nanoseconds.
    pub changed: (u64, u64),
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_secs())
}

/// A descriptor that is closed on drop.
#[derive(Debug)]
pub struct OwnedFile(i32);

/// Whether this process may write files of so many bytes (`RLIMIT_FSIZE`): writing more kills it.
#[must_use]
pub fn may_grow_to(len: usize) -> bool {
    let mut limit = [u64::MAX; 2];
    let args = [0, u64::from(libc::RLIMIT_FSIZE), 0, &raw mut limit as u64, 0, 0];
    sys::syscall(libc::SYS_prlimit64, args);
    len as u64 <= limit[0]
}

/// A descriptor that reads as `content`: a file in memory or, where files may not be so large, a pipe. It is closed by execve.
pub fn made(name: &CStr, content: &[u8]) -> Result<OwnedFile, i32> {
    let (file, read) = if may_grow_to(content.len()) {
        let args = [name.as_ptr() as u64, u64::from(libc::MFD_CLOEXEC), 0, 0, 0, 0];
        (OwnedFile(sys::check(sys::syscall(libc::SYS_memfd_create, args))? as i32), None)
    } else {
        let [read, write] = pipe_of(content.len())?;
        (write, Some(read))
    };
    if !file.write_all(content) {
        return Err(libc::ENOSPC);
    }
    sys::syscall(libc::SYS_lseek, [file.0 as u64, 0, libc::SEEK_SET as u64, 0, 0, 0]);
    Ok(read.unwrap_or(file))
}

/// The ends of a pipe with so much room, if that may be; a write that has none fails.
fn pipe_of(room: usize) -> Result<[OwnedFile; 2], i32> {
    let mut ends = [0i32; 2];
    let flags = (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64;
    sys::check(sys::syscall(libc::SYS_pipe2, [ends.as_mut_ptr() as u64, flags, 0, 0, 0, 0]))?;
    let args = [ends[1] as u64, libc::F_SETPIPE_SZ as u64, room as u64, 0, 0, 0];
    sys::syscall(libc::SYS_fcntl, args);
    Ok(ends.map(OwnedFile))
}

impl OwnedFile {
    /// Opens for reading.
    pub fn open(path: &str) -> Result<Self, i32> {
        Self::open_at(libc::AT_FDCWD, path)
    }

    /// Opens for reading what a path means from a directory.
    pub fn open_at(dir: i32, path: &str) -> Result<Self, i32> {
        Self::open_any(dir, path, libc::O_RDONLY, 0)
    }

    pub fn open_with(path: &str, flags: i32, mode: u32) -> Result<Self, i32> {
        Self::open_any(libc::AT_FDCWD, path, flags, mode)
    }

    pub fn open_any(dir: i32, path: &str, flags: i32, mode: u32) -> Result<Self, i32> {
        let path = CString::new(path).map_err(|_| libc::ENOENT)?;
        let flags = (flags | libc::O_CLOEXEC) as u64;
        let args = [dir as u64, path.as_ptr() as u64, flags, u64::from(mode), 0, 0];
        let fd = sys::check(sys::syscall(libc::SYS_openat, args))?;
        Ok(Self(move_high(fd as i32)))
    }

    /// A second descriptor of the same open file.
    pub fn duplicate(fd: i32) -> Result<Self, i32> {
        let args = [fd as u64, libc::F_DUPFD_CLOEXEC as u64, high_base() as u64, 0, 0, 0];
        sys::check(sys::syscall(libc::SYS_fcntl, args)).map(|fd| Self(fd as i32))
    }

    /// The file of a descriptor, opened anew for reading (it may be a mere path, `O_PATH`). Without /proc there is only the
    /// descriptor itself.
    pub fn reopen(fd: i32) -> Result<Self, i32> {
        match Self::open(&format!("/proc/self/fd/{fd}")) {
            Err(libc::ENOENT | libc::ENOTDIR | libc::ELOOP) => Self::duplicate(fd),
            opened => opened,
        }
    }

    /// Takes a descriptor over.
    #[must_use]
    pub const fn from_raw(fd: i32) -> Self {
        Self(fd)
    }

    #[must_use]
    pub const fn raw(&self) -> i32 {
        self.0
    }

    /// Gives the descriptor away.
    #[must_use]
    pub fn into_raw(self) -> i32 {
        let fd = self.0;
        std::mem::forget(self);
        fd
    }

    /// Its length in bytes; moves its position.
    #[must_use]
    pub fn size(&self) -> usize {
        let args = [self.0 as u64, 0, libc::SEEK_END as u64, 0, 0, 0];
        usize::try_from(sys::syscall(libc::SYS_lseek, args)).unwrap_or(0)
    }

    /// All that is in it; in a pipe that stays.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size()];
        let got = self.read_at(0, &mut bytes);
        bytes.truncate(got);
        if bytes.is_empty() { self.waiting().unwrap_or_default() } else { bytes }
    }

    /// What waits in a pipe.
    fn waiting(&self) -> Option<Vec<u8>> {
        let mut waiting = 0i32;
        let args = [self.0 as u64, libc::FIONREAD, &raw mut waiting as u64, 0, 0, 0];
        sys::check(sys::syscall(libc::SYS_ioctl, args)).ok()?;
        let mut bytes = vec![0; usize::try_from(waiting).ok()?];
        let [read, write] = pipe_of(bytes.len()).ok()?;
        let args = [self.0 as u64, write.0 as u64, bytes.len() as u64, libc::SPLICE_F_NONBLOCK as u64, 0, 0];
        let copied = sys::check(sys::syscall(libc::SYS_tee, args)).ok()? as usize;
        bytes.truncate(copied);
        let args = [read.0 as u64, bytes.as_mut_ptr() as u64, copied as u64, 0, 0, 0];
        sys::check(sys::syscall(libc::SYS_read, args)).ok()?;
        Some(bytes)
    }

    /// Reads up to `out.len()` bytes at `offset`; how many there were.
    #[must_use]
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let rest = &mut out[done..];
            let args =
                [self.0 as u64, rest.as_mut_ptr() as u64, rest.len() as u64, offset + done as u64, 0, 0];
            match sys::check(sys::syscall(libc::SYS_pread64, args)) {
                Ok(0) => break,
                Ok(got) => done += got as usize,
                Err(libc::EINTR) => {}
                Err(_) => break,
            }
        }
        done
    }

    /// Writes all of this at the end of what was written so far; whether that worked.
    #[must_use]
    pub fn write_all(&self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let args = [self.0 as u64, bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0];
            match sys::check(sys::syscall(libc::SYS_write, args)) {
                Ok(0) => return false,
                Ok(done) => bytes = &bytes[done as usize..],
                Err(libc::EINTR) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Writes at `offset`, as much as can be. Whether that is all.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> bool {
        let args = [self.0 as u64, bytes.as_ptr() as u64, bytes.len() as u64, offset, 0, 0];
        may_grow_to(offset as usize + bytes.len())
            && sys::syscall(libc::SYS_pwrite64, args) == bytes.len() as i64
    }

    /// What `fstat` says.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let stat = stat_words(self.0)?;
        Some(Status {
            device: stat[0],
            inode: stat[1],
            mode: stat[3] as u32,
            owner: (stat[3] >> 32) as u32,
            size: stat[6],
            changed: (stat[11], stat[12]),
        })
    }

    /// The file's `st_mode`.
    #[must_use]
    pub fn mode(&self) -> u32 {
        stat_words(self.0).map_or(0, |stat| stat[3] as u32)
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        sys::syscall(libc::SYS_close, [self.0 as u64, 0, 0, 0, 0, 0]);
    }
}
