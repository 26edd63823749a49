//! What processes' files in /proc say: the host's own text, less what is the emulator's.

use super::limits::Counted;
use super::procfs::is_emulated;
use super::thread::Thread;
use super::{proc_hidden, seccomp};
use crate::host::{layout, spawn};
use crate::mem::space;
use std::fmt::Write as _;

/// The host's maps (or smaps), without our mappings and with the guest's protections.
pub fn maps(thread: &Thread, detailed: bool) -> String {
    let file = if detailed { "/proc/self/smaps" } else { "/proc/self/maps" };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mappings = space().mappings();
    let mut out = String::with_capacity(text.len());
    let mut shown = false;
    for line in text.lines() {
        match parse_range(line) {
            Some((start, end)) => {
                let line = &named(line, start, end, thread);
                let parts: Vec<_> = mappings.iter().filter(|(s, m)| *s < end && m.end > start).collect();
                shown = !parts.is_empty();
                for (guest_start, mapping) in parts {
                    write_line(
                        &mut out,
                        line,
                        start.max(*guest_start),
                        end.min(mapping.end),
                        start,
                        mapping.prot.0,
                    );
                }
            }
            None if shown => {
                out.push_str(line);
                out.push('\n');
            }
            None => {}
        }
    }
    out
}

/// The line with the name that the kernel gives to special mappings.
fn named(line: &str, start: u64, end: u64, thread: &Thread) -> String {
    let brk = space().brk_range();
    let holds = |addr: u64| (start..end).contains(&addr);
    let plain = line.split_whitespace().count() < 6;
    let name = match () {
        () if plain && holds(thread.process.stack.end - 1) => "[stack]",
        () if plain && thread.process.vdso.base != 0 && holds(thread.process.vdso.base) => "[vdso]",
        () if plain && brk.start < brk.end && holds(brk.start) => "[heap]",
        () => return line.to_owned(),
    };
    format!("{:<73}{name}", line.trim_end())
}

/// What the file of that name in a process's directory says of its mappings (`maps`, `smaps`, `numa_maps`), without the
/// emulator's and what the host's kernel has mapped for it. `None` where it cannot be read.
pub fn mappings_in(directory: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("{directory}/{name}")).ok()?;
    let start = |line: &str| u64::from_str_radix(line.split(['-', ' ']).next()?, 16).ok();
    let is_kernels = |line: &str| {
        ["[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]"].iter().any(|name| line.ends_with(name))
    };
    let mut shown = false;
    let is_guests = |line: &&str| {
        if let Some(start) = start(line) {
            shown = !layout::is_ours(start) && !is_kernels(line);
        }
        shown
    };
    Some(text.lines().filter(is_guests).map(|line| format!("{line}\n")).collect())
}

pub fn parse_range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// One line of maps: the host's, cut to a guest mapping, with the guest's protection.
fn write_line(out: &mut String, host: &str, start: u64, end: u64, host_start: u64, prot: i32) {
    let mut fields = host.splitn(6, ' ');
    let (_, perms, offset) = (fields.next(), fields.next().unwrap_or("---p"), fields.next().unwrap_or("0"));
    let rest: Vec<&str> = fields.collect();
    let letter = |bit: i32, letter: char| if prot & bit != 0 { letter } else { '-' };
    let offset = u64::from_str_radix(offset, 16).unwrap_or(0);
    let moved = if offset == 0 && !rest.last().is_some_and(|name| name.contains('/')) {
        0
    } else {
        start - host_start
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{start:08x}-{end:08x} {}{}{}{} {:08x} {}",
        letter(libc::PROT_READ, 'r'),
        letter(libc::PROT_WRITE, 'w'),
        letter(libc::PROT_EXEC, 'x'),
        perms.chars().nth(3).unwrap_or('p'),
        offset + moved,
        rest.join(" ")
    );
}

/// The host's `limits` of a thread, with the guest's limits of memory.
pub fn limits(thread: &Thread, directory: &str) -> String {
    let shown = |limit| if limit == u64::MAX { "unlimited".to_owned() } else { format!("{limit}") };
    let row = |name: &str, kind| {
        let [soft, hard] = thread.space_limit.get(kind).map(shown);
        format!("{name:<25} {soft:<20} {hard:<20} {:<10}\n", "bytes")
    };
    let text = std::fs::read_to_string(format!("{directory}/limits")).unwrap_or_default();
    let own = |line: &str| match line {
        _ if line.starts_with("Max address space ") => row("Max address space", Counted::Space),
        _ if line.starts_with("Max data size ") => row("Max data size", Counted::Data),
        _ => format!("{line}\n"),
    };
    text.lines().map(own).collect()
}

/// The host's `status` of a thread (a directory of /proc) with the guest's signal masks, threads and descriptors.
pub fn status(thread: &Thread, directory: &str) -> String {
    let (caught, ignored) = caught_and_ignored(thread);
    let mine = is_of(thread, directory);
    let (mode, filters) = seccomp::shown(thread, number_of(thread, directory));
    status_with(directory, |key, value| match key {
        "SigCgt" => Some(format!("{caught:016x}")),
        "SigIgn" => Some(format!("{ignored:016x}")),
        "SigBlk" if mine => Some(format!("{:016x}", thread.mask)),
        "Threads" => Some((value.parse().unwrap_or(1) - spawn::hidden_threads()).to_string()),
        "Seccomp" => Some(mode.to_string()),
        "Seccomp_filters" => Some(filters.to_string()),
        "FDSize" => Some(descriptor_table_size("/proc/self", true).to_string()),
        _ => None,
    })
}

/// The host's `status` with the values that `other` has for its keys and values.
fn status_with(directory: &str, other: impl Fn(&str, &str) -> Option<String>) -> String {
    let text = std::fs::read_to_string(format!("{directory}/status")).unwrap_or_default();
    let line = |line: &str| {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim_start_matches('\t');
        format!("{key}:\t{}\n", other(key, value).unwrap_or_else(|| value.to_owned()))
    };
    text.lines().map(line).collect()
}

/// A file in the directory of another process without what the emulator adds. `None` where the host's own is right.
pub fn of_another(directory: &str, name: &str) -> Option<String> {
    if !matches!(name, "maps" | "smaps" | "numa_maps" | "status" | "stat") || !is_emulated(directory) {
        return None;
    }
    let hidden = || proc_hidden::count_in(directory, "task");
    let threads = |value: &str| (value.parse().unwrap_or(1) - hidden()).max(1).to_string();
    match name {
        "status" => Some(status_with(directory, |key, value| match key {
            "Threads" => Some(threads(value)),
            "FDSize" => Some(descriptor_table_size(directory, false).to_string()),
            _ => None,
        })),
        "stat" => stat_with(directory, |number, value| (number == THREADS).then(|| threads(value))),
        mappings => mappings_in(directory, mappings),
    }
}

/// Whether a directory of /proc is the calling thread's.
fn is_of(thread: &Thread, directory: &str) -> bool {
    number_of(thread, directory) == thread.tid()
}

/// The id of the thread that a directory of /proc is about: for a process its first.
fn number_of(thread: &Thread, directory: &str) -> i32 {
    match directory.rsplit('/').next() {
        Some("thread-self") => thread.tid(),
        last => last.and_then(|name| name.parse().ok()).unwrap_or_else(|| std::process::id() as i32),
    }
}

/// The size of the descriptor table that the guest's own descriptors would have (64, then powers of two from 256), in the
/// process with that directory.
fn descriptor_table_size(directory: &str, own: bool) -> u64 {
    let is_ours = proc_hidden::names_in(directory, own, "fd");
    let names = std::fs::read_dir(format!("{directory}/fd")).into_iter().flatten().flatten();
    let numbers = names.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let ours = is_ours.as_ref().is_some_and(|is_ours| is_ours(&name));
        name.parse().ok().filter(|_| !ours)
    });
    match numbers.max().unwrap_or(0) {
        0..64 => 64,
        highest => (highest + 1_u64).next_power_of_two().max(256),
    }
}

/// The number of threads, among the fields of `stat` (proc(5)).
const THREADS: usize = 20;

/// The host's `stat` of a thread (a directory of /proc) with the guest's signal masks and threads.
pub fn stat(thread: &Thread, directory: &str) -> String {
    const BLOCKED: usize = 32;
    const IGNORED: usize = 33;
    const CAUGHT: usize = 34;
    /// Of signals the kernel shows the first 31 here.
    const SHOWN: u64 = 0x7fff_ffff;
    let (caught, ignored) = caught_and_ignored(thread);
    let mine = is_of(thread, directory);
    let text = stat_with(directory, |number, value| match number {
        THREADS => Some((value.parse().unwrap_or(1) - spawn::hidden_threads()).to_string()),
        BLOCKED if mine => Some((thread.mask & SHOWN).to_string()),
        IGNORED => Some((ignored & SHOWN).to_string()),
        CAUGHT => Some((caught & SHOWN).to_string()),
        _ => None,
    });
    text.unwrap_or_default()
}

/// The host's `stat` with the values that `other` has for the numbers and values of its fields. `None` where it cannot be
/// read.
fn stat_with(directory: &str, other: impl Fn(usize, &str) -> Option<String>) -> Option<String> {
    let text = std::fs::read_to_string(format!("{directory}/stat")).ok()?;
    // The name, field 2, may contain anything.
    let (head, tail) = text.trim_end().rsplit_once(") ")?;
    let fields = tail.split(' ').zip(3..);
    let fields = fields.map(|(value, number)| other(number, value).unwrap_or_else(|| value.to_owned()));
    Some(format!("{head}) {}\n", fields.collect::<Vec<_>>().join(" ")))
}

fn caught_and_ignored(thread: &Thread) -> (u64, u64) {
    let actions = thread.actions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    (actions.matching(|a| a.handler > 1), actions.matching(|a| a.handler == 1))
}
