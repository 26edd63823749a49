//! The directory that saved code is in.
//!
//! Code from a file runs with the rights of whoever runs the emulator, so directory and files must be his, and nobody
//! else may be able to write them. A file is never changed where it is: a new one takes its place, whole, by a rename.

use crate::host::files::{self, OwnedFile};
use crate::host::kept::Kept;
use crate::host::{startup, sys};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What all files may take together; the oldest go.
const MOST_BYTES: u64 = 1 << 30;
/// So many files at the most are each asked for their size whenever one is written.
const SAMPLE: usize = 256;
/// A file that is being written may be that old, in seconds; what is older was left behind.
const LONGEST_WRITE: u64 = 3600;
/// Files that are being written have names that start so.
const UNFINISHED: &str = ".new-";

/// Why a directory cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("{}", crate::loader::errno_text(*.0))]
    Errno(i32),
    #[error("it belongs to somebody else")]
    Owner,
    #[error("others may write it")]
    Writable,
}

/// The effective user.
fn user() -> u32 {
    sys::syscall(libc::SYS_geteuid, [0; 6]) as u32
}

/// A file's owner and mode, if nobody but the user can have written it.
fn check_owner(file: &OwnedFile, kind: u32) -> Result<files::Status, Refused> {
    let status = file.status().ok_or(Refused::Errno(libc::EBADF))?;
    if status.mode & libc::S_IFMT != kind || status.owner != user() {
        return Err(Refused::Owner);
    }
    if status.mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
        return Err(Refused::Writable);
    }
    Ok(status)
}

/// The directory, held open: its path may lead elsewhere later (chroot), or be forbidden.
#[derive(Debug)]
pub struct Directory(Held);

#[derive(Debug)]
enum Held {
    Own(OwnedFile),
    /// For the process's life.
    Kept(Kept),
}

impl Directory {
    /// Opens it, and makes it if need be.
    pub fn open(path: &Path) -> Result<Self, Refused> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let text = path.to_string_lossy();
        let opened = match OwnedFile::open_with(&text, flags, 0) {
            Err(libc::ENOENT) => {
                make(path).and_then(|()| OwnedFile::open_with(&text, flags, 0)).map_err(Refused::Errno)?
            }
            opened => opened.map_err(Refused::Errno)?,
        };
        check_owner(&opened, libc::S_IFDIR)?;
        Ok(Self(Held::Own(opened)))
    }

    /// Holds it for the process's life, and passes it on to the next image as `what`.
    pub fn keep(self, what: &str) -> Option<Self> {
        match self.0 {
            Held::Own(file) => startup::pass_on(what, file.into_raw()).map(|kept| Self(Held::Kept(kept))),
            Held::Kept(_) => Some(self),
        }
    }

    /// The one that the image before this one held.
    pub fn adopt(kept: Kept) -> Result<Self, Refused> {
        let file = OwnedFile::from_raw(kept.number());
        let checked = check_owner(&file, libc::S_IFDIR);
        let _ = file.into_raw();
        checked.map(|_| Self(Held::Kept(kept)))
    }

    fn with<T>(&self, f: impl FnOnce(i32) -> T) -> T {
        match &self.0 {
            Held::Own(file) => f(file.raw()),
            Held::Kept(kept) => kept.with(f),
        }
    }

    /// Opens a file for reading, if it can be trusted; and its length.
    pub fn read(&self, name: &str) -> Option<(OwnedFile, usize)> {
        self.open_file(name, libc::O_RDONLY)
    }

    /// The same for writing, too.
    pub fn write(&self, name: &str) -> Option<OwnedFile> {
        self.open_file(name, libc::O_RDWR).map(|(file, _)| file)
    }

    fn open_file(&self, name: &str, how: i32) -> Option<(OwnedFile, usize)> {
        let flags = how | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = self.with(|dir| OwnedFile::open_any(dir, name, flags, 0)).ok()?;
        let status = check_owner(&file, libc::S_IFREG).ok()?;
        Some((file, status.size as usize))
    }

    /// Puts a file of this length, which `write` writes, in the place of `name`; whether that worked. Nothing is left of one
    /// that did not.
    pub fn replace(&self, name: &str, len: usize, write: impl FnOnce(&OwnedFile) -> bool) -> bool {
        let pid = sys::syscall(libc::SYS_getpid, [0; 6]);
        let unfinished = format!("{UNFINISHED}{name}-{pid}");
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        if !files::may_grow_to(len) {
            return false;
        }
        let opened = self.with(|dir| OwnedFile::open_any(dir, &unfinished, flags, 0o600));
        let Ok(file) = opened else { return false };
        let done = write(&file) && self.rename(&unfinished, name);
        if !done {
            self.remove(&unfinished);
        }
        done
    }

    fn rename(&self, from: &str, to: &str) -> bool {
        let (Ok(from), Ok(to)) = (CString::new(from), CString::new(to)) else { return false };
        self.with(|dir| {
            let args = [dir as u64, from.as_ptr() as u64, dir as u64, to.as_ptr() as u64, 0, 0];
            sys::check(sys::syscall(libc::SYS_renameat, args)).is_ok()
        })
    }

    pub fn remove(&self, name: &str) {
        let Ok(name) = CString::new(name) else { return };
        self.with(|dir| sys::syscall(libc::SYS_unlinkat, [dir as u64, name.as_ptr() as u64, 0, 0, 0, 0]));
    }

    /// Marks a file as used: the ones unused for longest go first.
    pub fn touch(file: &OwnedFile) {
        sys::syscall(libc::SYS_utimensat, [file.raw() as u64, 0, 0, 0, 0, 0]);
    }

    /// Removes the oldest files if all together are too large, and what writers have left behind. Of many files some are
    /// asked for their size, and more is removed at once, so that the next writers need not look at all of them again.
    pub fn prune(&self) {
        let names = self.names();
        if names.len() <= SAMPLE {
            self.prune_to(MOST_BYTES, names);
        } else if self.estimate(&names) > MOST_BYTES / 16 * 15 {
            self.prune_to(MOST_BYTES / 4 * 3, names);
        }
    }

    /// About how large these files are together, by some of them.
    fn estimate(&self, names: &[String]) -> u64 {
        let step = names.len().div_ceil(SAMPLE).max(1);
        let sizes: Vec<u64> =
            names.iter().step_by(step).filter_map(|name| self.entry(name)).map(|e| e.size).collect();
        sizes.iter().sum::<u64>() / (sizes.len() as u64).max(1) * names.len() as u64
    }

    fn prune_to(&self, most: u64, names: Vec<String>) {
        let mut found: Vec<_> = names.iter().filter_map(|name| self.entry(name)).collect();
        let now = files::now();
        found.retain(|file| {
            let left = file.name.starts_with(UNFINISHED) && file.changed + LONGEST_WRITE < now;
            if left {
                self.remove(&file.name);
            }
            !left
        });
        found.sort_by_key(|file| file.changed);
        let mut all: u64 = found.iter().map(|file| file.size).sum();
        for file in found {
            if all <= most {
                return;
            }
            self.remove(&file.name);
            all -= file.size;
        }
    }

    fn names(&self) -> Vec<String> {
        let read = self.with(|dir| std::fs::read_dir(format!("/proc/self/fd/{dir}")));
        let entries = read.into_iter().flatten().flatten();
        let name = |entry: std::fs::DirEntry| String::from_utf8(entry.file_name().as_bytes().to_vec()).ok();
        entries.filter_map(name).filter(|name| is_ours(name)).collect()
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let file = self.with(|dir| OwnedFile::open_any(dir, name, flags, 0)).ok()?;
        let status = file.status()?;
        Some(Entry { name: name.to_owned(), size: status.size, changed: status.changed.0 })
    }
}

/// A file in the directory.
struct Entry {
    name: String,
    size: u64,
    /// In seconds.
    changed: u64,
}

/// What is not ours is left alone.
fn is_ours(name: &str) -> bool {
    name.starts_with(UNFINISHED) || name.ends_with(super::SUFFIX)
}

/// Makes a directory for the user alone, and the one that it is in.
fn make(path: &Path) -> Result<(), i32> {
    if make_one(path) == Err(libc::ENOENT)
        && let Some(parent) = path.parent()
    {
        make_one(parent)?;
    }
    make_one(path)
}

fn make_one(path: &Path) -> Result<(), i32> {
    let text = CString::new(path.as_os_str().as_bytes()).map_err(|_| libc::ENOENT)?;
    match sys::check(sys::syscall(libc::SYS_mkdir, [text.as_ptr() as u64, 0o700, 0, 0, 0, 0])) {
        Ok(_) | Err(libc::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("qemu-lua-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Directory::open(&path).unwrap()
    }

    fn path(directory: &Directory) -> std::path::PathBuf {
        std::fs::read_link(format!("/proc/self/fd/{}", directory.with(|dir| dir))).unwrap()
    }

    fn names(directory: &Directory) -> Vec<String> {
        let entries = std::fs::read_dir(path(directory)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_files_go_and_strangers_stay() {
        let directory = scratch("prune");
        for (age, name) in ["c.code", "a.code", "b.code", "notes.txt", ".new-x"].iter().enumerate() {
            assert!(directory.replace(name, 100, |file| file.write_all(&[0; 100])));
            let file = std::fs::File::open(path(&directory).join(name)).unwrap();
            let then = std::time::SystemTime::now() - std::time::Duration::from_secs(7200 - age as u64);
            file.set_modified(then).unwrap();
        }
        directory.prune_to(200, directory.names());
        assert_eq!(names(&directory), ["a.code", "b.code", "notes.txt"]);
        directory.prune_to(199, directory.names());
        assert_eq!(names(&directory), ["b.code", "notes.txt"]);
        std::fs::remove_dir_all(path(&directory)).unwrap();
    }

    #[test]
    fn the_size_of_many_files_is_estimated_by_some() {
        let directory = scratch("estimate");
        for number in 0..3 * SAMPLE {
            assert!(directory.replace(&format!("{number}.code"), 10, |file| file.write_all(&[0; 10])));
        }
        let names = directory.names();
        assert_eq!((names.len(), directory.estimate(&names)), (3 * SAMPLE, 30 * SAMPLE as u64));
        directory.prune();
        assert_eq!(directory.names().len(), 3 * SAMPLE);
        assert_eq!(directory.estimate(&[]), 0);
        std::fs::remove_dir_all(path(&directory)).unwrap();
    }

    #[test]
    fn what_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = scratch("modes");
        let path = path(&directory);
        assert!(directory.replace("x.code", 7, |file| file.write_all(b"content")));
        assert_eq!(directory.read("x.code").map(|(_, len)| len), Some(7));
        for mode in [0o620, 0o602] {
            std::fs::set_permissions(path.join("x.code"), PermissionsExt::from_mode(mode)).unwrap();
            assert!(directory.read("x.code").is_none());
        }
        std::fs::set_permissions(path.join("x.code"), PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(path.join("x.code"), path.join("y.code")).unwrap();
        assert!(directory.read("y.code").is_none());
        for mode in [0o770, 0o707] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(Directory::open(&path).unwrap_err(), Refused::Writable);
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        if user() != 0 {
            assert_eq!(Directory::open(Path::new("/")).unwrap_err(), Refused::Owner);
            return;
        }
        let path = path(&scratch("owner"));
        std::os::unix::fs::chown(&path, Some(1), None).unwrap();
        assert_eq!(Directory::open(&path).unwrap_err(), Refused::Owner);
        std::fs::remove_dir_all(path).unwrap();
    }
}
