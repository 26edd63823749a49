//! Code in shared mappings of a file, when the file is written to.
//!
//! Stores are noticed by write protection; what `write(2)` and its like do to a file changes every mapping of it behind
//! that. So after such a call translations of the file's pages are dropped. Until the first translation from a shared
//! mapping this costs one load a call.

use super::dispatch::Entry;
use super::table::Done;
use super::table::kinds::Kind;
use crate::host::files;
use crate::mem::space;

/// Whose content a call changes.
enum Changed {
    Nothing,
    /// The file of this descriptor.
    File(u64),
    /// What was told in other ways: by a path, by requests, earlier.
    Any,
}

fn changed_by(entry: &Entry, args: &[u64; 6]) -> Changed {
    const O_TRUNC: u64 = libc::O_TRUNC as u64;
    if let Some(fd) = entry.params.iter().position(|param| matches!(param.kind, Kind::ChangedFd)) {
        return Changed::File(args[fd]);
    }
    match entry.name {
        "open" if args[1] & O_TRUNC == 0 => Changed::Nothing,
        "openat" if args[2] & O_TRUNC == 0 => Changed::Nothing,
        "open" | "openat" | "openat2" | "creat" | "truncate" => Changed::Any,
        "io_submit" | "io_getevents" | "io_pgetevents" | "io_uring_enter" => Changed::Any,
        _ => Changed::Nothing,
    }
}

/// After a call.
#[inline]
pub fn after(entry: &Entry, args: &[u64; 6], done: Done) {
    if space().has_shared_code() && matches!(done, Done::Value(0..)) {
        drop_changed(entry, args);
    }
}

fn drop_changed(entry: &Entry, args: &[u64; 6]) {
    match changed_by(entry, args) {
        Changed::Nothing => {}
        Changed::File(fd) => {
            if let Some(file) = files::identity(fd as i32) {
                space().file_changed(Some(file));
            }
        }
        Changed::Any => space().file_changed(None),
    }
}
