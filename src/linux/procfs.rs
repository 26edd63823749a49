//! The files in /proc that would show the emulator instead of the guest.

use super::table::Done;
use super::thread::Thread;
use super::{path, read_path, write_guest};
use crate::host::{files, sys};
use crate::mem::space;
use std::fmt::Write as _;

/// The part of a path below this process's own /proc directory.
fn own_part(path: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(path).ok()?.strip_prefix("/proc/")?;
    let (who, what) = rest.split_once('/')?;
    let pid = sys::syscall(libc::SYS_getpid, [0; 6]);
    let own = who == "self" || who == "thread-self" || who.parse() == Ok(pid);
    own.then_some(what)
}

/// Whether the path is the link to this process's own program.
#[must_use]
pub fn is_own_exe(path: &[u8]) -> bool {
    own_part(path) == Some("exe")
}

/// Opens a file of /proc that we make ourselves; `None` where the path is none.
pub fn open(thread: &Thread, dir: i32, path: &[u8], flags: u64) -> Option<Result<u64, i32>> {
    if dir != libc::AT_FDCWD && path.first() != Some(&b'/') {
        return None;
    }
    if !path.starts_with(b"/proc/") {
        return None;
    }
    if path == b"/proc/cpuinfo" {
        return Some(made(cpuinfo(thread), flags));
    }
    let content = match own_part(path)? {
        "maps" => maps(thread, false),
        "smaps" => maps(thread, true),
        "cmdline" => return Some(made(&thread.process.cmdline, flags)),
        "status" => status(thread),
        "exe" => {
            let target = std::ffi::CString::new(thread.process.exe.as_bytes()).ok()?;
            let args = [libc::AT_FDCWD as u64, target.as_ptr() as u64, flags, 0, 0, 0];
            return Some(sys::check(sys::syscall(libc::SYS_openat, args)));
        }
        other => {
            let number = other.rsplit('/').next().and_then(|n| n.parse().ok());
            let hidden = other.contains("fd") && number.is_some_and(files::is_ours);
            return hidden.then_some(Err(libc::ENOENT));
        }
    };
    Some(made(content.as_bytes(), flags))
}

/// A descriptor that reads as `content`.
fn made(content: impl AsRef<[u8]>, flags: u64) -> Result<u64, i32> {
    if flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64 {
        return Err(libc::EACCES);
    }
    let content = content.as_ref();
    let cloexec = if flags & libc::O_CLOEXEC as u64 != 0 { u64::from(libc::MFD_CLOEXEC) } else { 0 };
    let fd =
        sys::check(sys::syscall(libc::SYS_memfd_create, [c"proc".as_ptr() as u64, cloexec, 0, 0, 0, 0]))?;
    let mut done = 0;
    while done < content.len() {
        let rest = &content[done..];
        let args = [fd, rest.as_ptr() as u64, rest.len() as u64, 0, 0, 0];
        done += sys::check(sys::syscall(libc::SYS_write, args))? as usize;
    }
    sys::syscall(libc::SYS_lseek, [fd, 0, libc::SEEK_SET as u64, 0, 0, 0]);
    Ok(fd)
}

fn cpuinfo(thread: &Thread) -> String {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let linux = thread.vcpu.env.arch.linux();
    (0..count).map(|processor| linux.cpuinfo(thread.vcpu.env.features, processor)).collect()
}

/// The host's maps (or smaps), without our mappings and with the guest's protections.
fn maps(thread: &Thread, detailed: bool) -> String {
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
        () if plain && holds(crate::loader::stack::STACK_TOP - 1) => "[stack]",
        () if plain && thread.process.vdso.base != 0 && holds(thread.process.vdso.base) => "[vdso]",
        () if plain && brk.start < brk.end && holds(brk.start) => "[heap]",
        () => return line.to_owned(),
    };
    format!("{:<73}{name}", line.trim_end())
}

fn parse_range(line: &str) -> Option<(u64, u64)> {
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

/// The host's status with the guest's signal masks.
fn status(thread: &Thread) -> String {
    let actions = thread.actions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let caught = actions.matching(|a| a.handler > 1);
    let ignored = actions.matching(|a| a.handler == 1);
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let value = match line.split(':').next() {
            Some("SigCgt") => Some(caught),
            Some("SigIgn") => Some(ignored),
            Some("SigBlk") => Some(thread.mask),
            _ => None,
        };
        match (value, line.split(':').next()) {
            (Some(mask), Some(key)) => {
                let _ = writeln!(out, "{key}:\t{mask:016x}");
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Directory entries; in a list of this process's descriptors ours are left out.
pub fn getdents64(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let fd = args[0] as i32;
    if files::is_ours(fd) {
        return Done::errno(libc::EBADF);
    }
    space().before_kernel_write(args[1], args[2]);
    loop {
        let result = sys::interruptible(libc::SYS_getdents64, *args, &thread.vcpu.port.poll);
        if result <= 0 || !lists_descriptors(fd) {
            return Done::raw(result);
        }
        match without_ours(args[1], result as usize) {
            Ok(0) => {}
            Ok(left) => return Done::Value(left as i64),
            Err(errno) => return Done::errno(errno),
        }
    }
}

/// Whether the directory is `/proc/<pid>/fd` (or `fdinfo`) of this process.
fn lists_descriptors(fd: i32) -> bool {
    let Ok(target) = std::fs::read_link(format!("/proc/self/fd/{fd}")) else { return false };
    let Some(inside) = target.to_str().and_then(|path| own_part(path.as_bytes())) else { return false };
    inside.ends_with("fd") || inside.ends_with("fdinfo")
}

/// Takes our descriptors out of `len` bytes of `struct linux_dirent64` at `addr`; how many bytes are left.
fn without_ours(addr: u64, len: usize) -> Result<usize, i32> {
    let mut bytes = vec![0; len];
    if crate::mem::Memory.read_prefix(guest::GuestAddr(addr), &mut bytes) != len {
        return Err(libc::EFAULT);
    }
    let mut kept = Vec::with_capacity(len);
    let mut rest = bytes.as_slice();
    while rest.len() > 19 {
        let size = usize::from(u16::from_le_bytes([rest[16], rest[17]])).clamp(20, rest.len());
        let (entry, after) = rest.split_at(size);
        let name = entry[19..].split(|&b| b == 0).next().unwrap_or_default();
        let number = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        if !number.is_some_and(files::is_ours) {
            kept.extend(entry);
        }
        rest = after;
    }
    write_guest(addr, &kept)?;
    Ok(kept.len())
}

pub fn readlink(thread: &mut Thread, args: &[u64; 6]) -> Done {
    readlinkat(thread, &[libc::AT_FDCWD as u64, args[0], args[1], args[2], 0, 0])
}

pub fn readlinkat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    let Ok(text) = read_path(args[1]) else { return Done::raw(sys::syscall(libc::SYS_readlinkat, *args)) };
    if is_own_exe(&text) && (args[3] as i64) > 0 {
        let exe = thread.process.exe.as_bytes();
        let len = exe.len().min(args[3] as usize);
        return write_guest(args[2], &exe[..len]).map(|()| len as u64).into();
    }
    let mut args = *args;
    let redirected = path::redirect(thread, "DP", &mut args);
    let result = sys::syscall(libc::SYS_readlinkat, args);
    drop(redirected);
    Done::raw(result)
}
