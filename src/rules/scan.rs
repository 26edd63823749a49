//! Walks the rule directory.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::io;

/// Deeper than this there are no scripts (and a link that leads back up ends here).
const MAX_DEPTH: usize = 8;
/// More files than this are not looked at.
const MAX_FILES: usize = 10_000;

/// What lies below a rule directory.
#[derive(Default)]
pub(super) struct Found {
    /// Relative paths of all `.lua` files.
    pub(super) scripts: Vec<String>,
    seen: usize,
}

/// Calls `enter` with the relative path of every directory, before its entries are read, and of every script
/// that is a link (its target changes elsewhere).
pub(super) fn walk(directory: &impl AsFd, enter: &mut dyn FnMut(&str)) -> io::Result<Found> {
    let mut found = Found::default();
    let mut pending = vec![(String::new(), 0)];
    while let Some((path, depth)) = pending.pop() {
        let here = if path.is_empty() { "." } else { path.as_str() };
        enter(here);
        match list(directory.as_fd(), here) {
            Ok(dir) => visit(dir, &path, depth, directory, &mut found, &mut pending, enter),
            Err(error) if path.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    found.scripts.sort_unstable();
    Ok(found)
}

fn list(directory: BorrowedFd<'_>, path: &str) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Dir::new(openat(directory, path, flags, Mode::empty())?)
}

fn visit(
    dir: Dir,
    path: &str,
    depth: usize,
    root: &impl AsFd,
    found: &mut Found,
    pending: &mut Vec<(String, usize)>,
    enter: &mut dyn FnMut(&str),
) {
    for entry in dir.filter_map(Result::ok) {
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.starts_with('.') || found.seen >= MAX_FILES {
            continue;
        }
        found.seen += 1;
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let is_link = entry.file_type() == FileType::Symlink;
        match kind(root, &path, entry.file_type()) {
            FileType::Directory if depth < MAX_DEPTH => pending.push((path, depth + 1)),
            FileType::RegularFile if is_script(name) => {
                if is_link {
                    enter(&path);
                }
                found.scripts.push(path);
            }
            _ => {}
        }
    }
}

/// The type behind links, which not every file system puts into its listings.
fn kind(root: &impl AsFd, path: &str, listed: FileType) -> FileType {
    match listed {
        FileType::Directory | FileType::RegularFile => listed,
        _ => statat(root, path, AtFlags::empty())
            .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
    }
}

pub(super) fn is_script(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "lua")
}
