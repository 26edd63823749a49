//! Paths: what a sysroot (`-L`) changes about them.
//!
//! An absolute path that exists below the sysroot means the file there; every other path means itself.
//! That is how a dynamic program of another architecture finds its interpreter and libraries without a
//! chroot. Kernel file systems are never looked up there, nor are the directories that programs share with the rest of
//! the system: a root made of packages has an empty `/tmp`, and who walks down from `/` means the real one.

use super::table::kinds::{Kind, Param};
use super::thread::Thread;
use crate::host::sys;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;

/// The host path for an absolute guest path.
#[must_use]
pub fn resolve(sysroot: Option<&str>, path: &[u8]) -> Option<CString> {
    let sysroot = sysroot?;
    const KERNEL: [&[u8]; 3] = [b"/proc", b"/sys", b"/dev"];
    let below =
        |prefix: &[u8]| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
    if path.first() != Some(&b'/') || KERNEL.iter().any(|prefix| below(prefix)) || is_shared(path) {
        return None;
    }
    let candidate = CString::new([sysroot.as_bytes(), path].concat()).ok()?;
    exists(&candidate).then_some(candidate)
}

/// A path of the host as the guest knows it: what is in the sysroot, without that.
#[must_use]
pub fn as_seen(sysroot: Option<&str>, host: &[u8]) -> Vec<u8> {
    let root = sysroot.and_then(|root| std::fs::canonicalize(root).ok());
    let inside = root.and_then(|root| host.strip_prefix(root.as_os_str().as_bytes()));
    inside.filter(|rest| rest.first() == Some(&b'/')).unwrap_or(host).to_vec()
}

/// Whether the path is a directory that the guest shares with the host (what is below it may be the sysroot's).
fn is_shared(path: &[u8]) -> bool {
    const SHARED: [&[u8]; 8] = [b"", b"/tmp", b"/var/tmp", b"/run", b"/home", b"/root", b"/mnt", b"/media"];
    let mut path = path;
    while let Some(rest) = path.strip_suffix(b"/").or_else(|| path.strip_suffix(b"/.")) {
        path = rest;
    }
    SHARED.contains(&path)
}

/// Whether there is something at the path (a dangling link counts).
fn exists(path: &CString) -> bool {
    let args = [libc::AT_FDCWD as u64, path.as_ptr() as u64, 0, libc::AT_SYMLINK_NOFOLLOW as u64, 0, 0];
    sys::syscall(libc::SYS_faccessat2, args) == 0
}

/// Which arguments of a call are paths: a bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paths(u8);

impl Paths {
    pub const NONE: Self = Self(0);
    pub const FIRST: Self = Self(1);
    pub const SECOND: Self = Self(2);

    #[must_use]
    pub fn of(params: &[Param]) -> Self {
        Self(
            params
                .iter()
                .enumerate()
                .fold(0, |bits, (index, param)| bits | u8::from(matches!(param.kind, Kind::Path)) << index),
        )
    }
}

/// Points the arguments that are paths at their sysroot counterparts, and those that name what is the emulator's at
/// nothing. The strings must outlive the call.
pub fn redirect(thread: &Thread, paths: Paths, args: &mut [u64; 6]) -> Vec<CString> {
    /// What is never there, in the same file system.
    const NOTHING: &CStr = c"/proc/self/fd/none";
    let mut kept = Vec::new();
    let sysroot = thread.process.options.sysroot.as_deref();
    for index in (0..args.len()).filter(|index| paths.0 >> index & 1 != 0) {
        let Ok(path) = super::read_path(args[index]) else { continue };
        // A path's directory, where a call has one, is the argument before it.
        let dir = if index == 0 { libc::AT_FDCWD } else { args[index - 1] as i32 };
        if super::procfs::hides(dir, &path) {
            args[index] = NOTHING.as_ptr() as u64;
        } else if let Some(host) = resolve(sysroot, &path) {
            args[index] = host.as_ptr() as u64;
            kept.push(host);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_directories_are_the_hosts_but_not_what_is_below() {
        for path in ["/", "//", "/.", "/tmp", "/tmp/", "/var/tmp/.", "/home"] {
            assert!(is_shared(path.as_bytes()), "{path}");
        }
        for path in ["/usr", "/tmp/x", "/usr/tmp", "/etc/."] {
            assert!(!is_shared(path.as_bytes()), "{path}");
        }
    }
}
