//! The files in /proc that would show the emulator instead of the guest.

use super::proc_hidden::IsOurs;
use super::table::Done;
use super::thread::Thread;
use super::{path, proc_hidden, proc_text, process_memory, read_path, write_guest};
use crate::host::{files, sys};
use crate::mem::space;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// Names that may need an answer of ours, as the last part of a path.
const NAMES: [&str; 10] =
    ["maps", "smaps", "numa_maps", "cmdline", "status", "stat", "limits", "exe", "cpuinfo", "syscall"];

/// A path below a process's directory in /proc.
struct Place {
    /// Whose: this process's, or another's.
    own: bool,
    /// The directory: of the process, or of the thread if a thread's is named.
    directory: String,
    /// What is below it.
    what: String,
}

/// What a path in /proc names, if it is below a process's directory. Relative paths count where their last part
/// is a name of interest.
fn place(dir: i32, path: &[u8]) -> Option<Place> {
    let full = full_path(dir, path)?;
    let rest = full.strip_prefix("/proc/")?;
    let (who, what) = rest.split_once('/')?;
    let own = owner(who)?;
    let mut place = Place { own, directory: format!("/proc/{who}"), what: what.to_owned() };
    if let Some((task, what)) = what.strip_prefix("task/").and_then(|rest| rest.split_once('/')) {
        place.directory = format!("/proc/{who}/task/{task}");
        what.clone_into(&mut place.what);
    }
    Some(place)
}

/// The path as an absolute one, its directory as the kernel knows it, which has other ways there too (`..`, /dev/fd, a
/// process's root or working directory); `None` where it cannot be one of ours.
fn full_path(dir: i32, path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    let parts = || text.split('/').filter(|part| !part.is_empty() && *part != ".");
    let through_descriptor = || parts().skip_while(|part| *part != "fd").nth(2).is_some();
    let elsewhere = || parts().any(|part| matches!(part, ".." | "root" | "cwd")) || through_descriptor();
    if text.starts_with("/proc/") && !elsewhere() {
        return Some(parts().fold(String::new(), |full, part| full + "/" + part));
    }
    let (directory, last) = text.rsplit_once('/').map_or((".", text), |(above, last)| (above, last));
    if !NAMES.contains(&last) && !is_range_or_number(last.as_bytes()) {
        return None;
    }
    let directory = if directory.is_empty() { "/" } else { directory };
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let opened = files::OwnedFile::open_any(dir, directory, flags, 0).ok()?;
    let known = std::fs::read_link(format!("/proc/self/fd/{}", opened.raw())).ok()?;
    known.starts_with("/proc").then(|| known.join(last).into_os_string().into_string().ok()).flatten()
}

/// Whether it is a name that descriptors, threads (numbers) or mapped files (ranges) have.
fn is_range_or_number(name: &[u8]) -> bool {
    let mut parts = name.splitn(2, |&byte| byte == b'-');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let is = |digits: &[u8], digit: fn(&u8) -> bool| !digits.is_empty() && digits.iter().all(digit);
    match second {
        Some(end) => is(first, u8::is_ascii_hexdigit) && is(end, u8::is_ascii_hexdigit),
        None => is(first, u8::is_ascii_digit),
    }
}

/// Whether a path names, or leads through, what a listing would not have: a descriptor, thread or mapped file of the
/// emulator's. Each call with a path asks this: it costs one look at the bytes, where no name is of that kind.
#[must_use]
pub fn hides(dir: i32, path: &[u8]) -> bool {
    let mut end = 0;
    path.split(|&byte| byte == b'/').any(|name| {
        let here = end + name.len();
        end = here + 1;
        is_range_or_number(name) && std::str::from_utf8(&path[..here]).is_ok_and(|path| is_hidden(dir, path))
    })
}

fn is_hidden(dir: i32, path: &str) -> bool {
    let Some(full) = full_path(dir, path.as_bytes()) else { return false };
    let Some((who, below)) = full.strip_prefix("/proc/").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    owner(who).is_some_and(|own| proc_hidden::names(&format!("/proc/{who}"), own, below))
}

/// Whether the link of a process's directory in /proc is this process's own one; `None` where it is no process's.
fn owner(who: &str) -> Option<bool> {
    let number: Option<i64> = who.parse().ok();
    let sibling = || number.is_some() && std::path::Path::new(&format!("/proc/self/task/{who}")).exists();
    let pid = sys::syscall(libc::SYS_getpid, [0; 6]);
    let own = who == "self" || who == "thread-self" || number == Some(pid) || sibling();
    (own || number.is_some()).then_some(own)
}

/// Whether the path is the link to this process's own program.
#[must_use]
pub fn is_own_exe(dir: i32, path: &[u8]) -> bool {
    place(dir, path).is_some_and(|place| place.own && place.what == "exe")
}

/// The program that a link `/proc/<pid>/exe` leads to for the guest; `None` where the path is no such link, or the host's
/// own answer is right.
fn program_behind(thread: &Thread, dir: i32, path: &[u8]) -> Option<Vec<u8>> {
    let place = place(dir, path).filter(|place| place.what == "exe")?;
    if place.own {
        return Some(thread.process.exe.clone().into_bytes());
    }
    if is_emulated(&place.directory) { program_of(thread, &place.directory) } else { None }
}

/// Whether it is an emulator that runs in a process.
#[must_use]
pub fn is_emulated(directory: &str) -> bool {
    let emulator = std::fs::read_link(format!("{directory}/exe")).unwrap_or_default();
    emulator.file_name().is_some_and(|name| name.as_bytes().starts_with(b"qemu-lua-"))
}

/// The program that an emulator runs in another process: the file that is mapped where its code starts.
fn program_of(thread: &Thread, directory: &str) -> Option<Vec<u8>> {
    const START_CODE: usize = 26;
    let stat = std::fs::read_to_string(format!("{directory}/stat")).ok()?;
    let start: u64 = stat.rsplit_once(") ")?.1.split(' ').nth(START_CODE - 3)?.parse().ok()?;
    let maps = std::fs::read(format!("{directory}/maps")).ok()?;
    let line = maps.split(|&b| b == b'\n').find(|line| {
        let text = String::from_utf8_lossy(line);
        proc_text::parse_range(&text).is_some_and(|(from, to)| (from..to).contains(&start))
    })?;
    let name = &line[line.iter().position(|&b| b == b'/')?..];
    Some(path::as_seen(thread.process.options.sysroot.as_deref(), name))
}

/// Opens a file of /proc that we make ourselves; `None` where the path is none.
pub fn open(thread: &Thread, dir: i32, path: &[u8], flags: u64) -> Option<Result<u64, i32>> {
    process_memory::opens(path);
    if let Some(program) = program_behind(thread, dir, path) {
        if flags & libc::O_NOFOLLOW as u64 != 0 {
            // The link itself, which only O_PATH opens.
            return (flags & libc::O_PATH as u64 == 0).then_some(Err(libc::ELOOP));
        }
        let host = path::resolve(thread.process.options.sysroot.as_deref(), &program);
        let target = host.map_or_else(|| CString::new(program), Ok).ok()?;
        let args = [libc::AT_FDCWD as u64, target.as_ptr() as u64, flags, 0, 0, 0];
        return Some(sys::check(sys::syscall(libc::SYS_openat, args)));
    }
    if hides(dir, path) {
        return Some(Err(libc::ENOENT));
    }
    if full_path(dir, path)? == "/proc/cpuinfo" {
        return Some(made(cpuinfo(thread), flags));
    }
    let place = place(dir, path)?;
    if !place.own {
        return proc_text::of_another(&place.directory, &place.what).map(|content| made(content, flags));
    }
    let content = match place.what.as_str() {
        "maps" => proc_text::maps(thread, false),
        "smaps" => proc_text::maps(thread, true),
        "numa_maps" => proc_text::mappings_in(&place.directory, "numa_maps").unwrap_or_default(),
        // What the kernel says of a thread that is not in a call; those of the host would be no calls of the guest's.
        "syscall" => "running\n".to_owned(),
        "cmdline" => return thread.process.cmdline.as_ref().map(|text| made(text, flags)),
        "status" => proc_text::status(thread, &place.directory),
        "stat" => proc_text::stat(thread, &place.directory),
        "limits" => proc_text::limits(thread, &place.directory),
        _ => return None,
    };
    Some(made(content.as_bytes(), flags))
}

/// A descriptor that reads as `content`.
fn made(content: impl AsRef<[u8]>, flags: u64) -> Result<u64, i32> {
    if flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64 {
        return Err(libc::EACCES);
    }
    let fd = files::made(c"proc", content.as_ref())?.into_raw() as u64;
    if flags & libc::O_CLOEXEC as u64 == 0 {
        sys::syscall(libc::SYS_fcntl, [fd, libc::F_SETFD as u64, 0, 0, 0, 0]);
    }
    Ok(fd)
}

fn cpuinfo(thread: &Thread) -> String {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let linux = thread.vcpu.env.arch.linux();
    (0..count).map(|processor| linux.cpuinfo(thread.vcpu.env.features, processor)).collect()
}

/// Directory entries; in a list of a process's descriptors, threads or mapped files the emulator's are left out.
pub fn getdents64(thread: &mut Thread, args: &[u64; 6]) -> Done {
    entries(thread, libc::SYS_getdents64, args)
}

/// The same with `struct linux_dirent`.
pub fn getdents(thread: &mut Thread, args: &[u64; 6]) -> Done {
    entries(thread, libc::SYS_getdents, args)
}

fn entries(thread: &Thread, number: i64, args: &[u64; 6]) -> Done {
    let fd = args[0] as i32;
    if files::is_ours(fd) {
        return Done::errno(libc::EBADF);
    }
    space().before_kernel_write(args[1], args[2]);
    // A type stands before the name in the newer structure, behind it in the older.
    let name_at = if number == libc::SYS_getdents64 { 19 } else { 18 };
    loop {
        let result = sys::interruptible(number, *args, &thread.vcpu.port.poll);
        let Some(is_ours) = (if result > 0 { listed(fd) } else { None }) else { return Done::raw(result) };
        match without_ours(args[1], result as usize, name_at, &is_ours) {
            Ok(0) => {}
            Ok(left) => return Done::Value(left as i64),
            Err(errno) => return Done::errno(errno),
        }
    }
}

/// Which names are the emulator's in an open directory; `None` where none can be.
fn listed(fd: i32) -> Option<IsOurs> {
    let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let path = target.as_os_str().as_bytes();
    if !path.starts_with(b"/proc/") {
        return None;
    }
    let place = place(libc::AT_FDCWD, path)?;
    proc_hidden::names_in(&place.directory, place.own, &place.what)
}

/// Takes what is ours out of `len` bytes of directory entries at `addr`; how many bytes are left.
fn without_ours(addr: u64, len: usize, name_at: usize, is_ours: &IsOurs) -> Result<usize, i32> {
    let mut bytes = vec![0; len];
    if crate::mem::Memory.read_prefix(guest::GuestAddr(addr), &mut bytes) != len {
        return Err(libc::EFAULT);
    }
    let mut kept = Vec::with_capacity(len);
    let mut rest = bytes.as_slice();
    while rest.len() > name_at {
        let size = usize::from(u16::from_le_bytes([rest[16], rest[17]])).clamp(name_at + 1, rest.len());
        let (entry, after) = rest.split_at(size);
        let name = entry[name_at..].split(|&b| b == 0).next().unwrap_or_default();
        if !std::str::from_utf8(name).is_ok_and(is_ours) {
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
    if (args[3] as i64) > 0
        && let Some(exe) = program_behind(thread, args[0] as i32, &text)
    {
        let len = exe.len().min(args[3] as usize);
        return write_guest(args[2], &exe[..len]).map(|()| len as u64).into();
    }
    let mut args = *args;
    let redirected = path::redirect(thread, path::Paths::SECOND, &mut args);
    let result = sys::syscall(libc::SYS_readlinkat, args);
    drop(redirected);
    Done::raw(result)
}

/// The file that a call which follows links means by a path of ours; `None` for other paths.
pub fn behind_link(thread: &Thread, dir: i32, path_addr: u64) -> Option<CString> {
    let program = program_behind(thread, dir, &read_path(path_addr).ok()?)?;
    let host = path::resolve(thread.process.options.sysroot.as_deref(), &program);
    host.or_else(|| CString::new(program).ok())
}

pub fn statx(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    let mut args = *args;
    let redirected = path::redirect(thread, path::Paths::SECOND, &mut args);
    let program = if args[2] as i32 & libc::AT_SYMLINK_NOFOLLOW == 0 {
        behind_link(thread, args[0] as i32, args[1])
    } else {
        None
    };
    if let Some(program) = &program {
        args[1] = program.as_ptr() as u64;
    }
    space().before_kernel_write(args[4], 256);
    let result = sys::syscall(libc::SYS_statx, args);
    drop((redirected, program));
    Done::raw(result)
}
