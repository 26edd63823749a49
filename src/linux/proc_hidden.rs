//! What is the emulator's among the names below a process's directory in /proc: descriptors, threads, mapped files.

use super::procfs::is_emulated;
use crate::host::{files, layout, spawn};
use std::os::unix::ffi::OsStrExt;

/// Says of a name in a directory whether it is the emulator's.
pub type IsOurs = Box<dyn Fn(&str) -> bool>;

/// What to leave out of the directory `kind` (`fd`, `task`, ...) below `directory`, which is that of a process or thread:
/// this process's `own`, or another's. `None` where nothing is.
pub fn names_in(directory: &str, own: bool, kind: &str) -> Option<IsOurs> {
    let check: IsOurs = match (kind, own) {
        ("fd" | "fdinfo", true) => numbers(files::is_ours),
        ("task", true) => numbers(spawn::is_hidden),
        ("map_files", _) => Box::new(is_our_mapping),
        ("fd" | "fdinfo", false) => descriptors_in(directory)?,
        ("task", false) => threads_in(directory),
        _ => return None,
    };
    (own || is_emulated(directory)).then_some(check)
}

/// Whether a path below the directory of a process is one that a listing would not have.
pub fn names(directory: &str, own: bool, below: &str) -> bool {
    let Some((kind, rest)) = below.split_once('/') else { return false };
    let (name, after) = rest.split_once('/').unwrap_or((rest, ""));
    // A directory by its own name is none of it.
    let is_ours = || names_in(directory, own, kind).is_some_and(|is_ours| is_ours(name));
    match kind {
        "fd" | "fdinfo" | "map_files" => is_ours(),
        "task" => is_ours() || names(&format!("{directory}/task/{name}"), own, after),
        _ => false,
    }
}

/// How many names of a directory are the emulator's.
pub fn count_in(directory: &str, kind: &str) -> usize {
    let Some(is_ours) = names_in(directory, false, kind) else { return 0 };
    let entries = std::fs::read_dir(format!("{directory}/{kind}")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_ours)).count()
}

fn numbers(is_ours: fn(i32) -> bool) -> IsOurs {
    Box::new(move |name| name.parse().is_ok_and(is_ours))
}

/// The name of a mapped file is the mapping's range of addresses.
fn is_our_mapping(name: &str) -> bool {
    let start = name.split('-').next().and_then(|start| u64::from_str_radix(start, 16).ok());
    start.is_some_and(layout::is_ours)
}

/// The emulator's descriptors in another process: those near the one of its executable that execve closes. (What it knows
/// of them itself is in its memory only.)
fn descriptors_in(directory: &str) -> Option<IsOurs> {
    let links = std::fs::read_dir(format!("{directory}/fd")).ok()?.flatten();
    let executables = links.filter(|entry| {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        target.file_name().is_some_and(|name| name.as_bytes().starts_with(b"qemu-lua-"))
    });
    let highest = executables.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).max()?;
    let directory = directory.to_owned();
    Some(Box::new(move |name| {
        let is_near = |number: i32| (number - highest).unsigned_abs() <= files::SPREAD;
        name.parse().is_ok_and(is_near) && closes_at_execve(&directory, name)
    }))
}

fn closes_at_execve(directory: &str, descriptor: &str) -> bool {
    let text = std::fs::read_to_string(format!("{directory}/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_CLOEXEC != 0)
}

/// The emulator's threads in another process, by their name.
fn threads_in(directory: &str) -> IsOurs {
    let directory = directory.to_owned();
    Box::new(move |name| {
        let said = std::fs::read_to_string(format!("{directory}/task/{name}/comm")).unwrap_or_default();
        said.trim_end().as_bytes() == spawn::NAME.to_bytes()
    })
}
