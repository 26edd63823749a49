//! Files: where flags or structures differ from the host's, and where our own descriptors must not show.

use super::table::Done;
use super::thread::Thread;
use super::{path, procfs, read_guest, read_path, write_guest};
use crate::host::{files, kept, signals, sys};
use guest::linux::{OpenFlags, StatLayout};

/// The host's own values (arch/x86/include/uapi/asm/fcntl.h is asm-generic's).
const HOST: OpenFlags =
    OpenFlags { direct: 0o40000, largefile: 0o100_000, directory: 0o200_000, nofollow: 0o400_000 };

fn translate(flags: u64, from: &OpenFlags, to: &OpenFlags) -> u64 {
    let pairs = [
        (from.direct, to.direct),
        (from.largefile, to.largefile),
        (from.directory, to.directory),
        (from.nofollow, to.nofollow),
    ];
    let all = pairs.iter().fold(0, |mask, &(bit, _)| mask | u64::from(bit));
    pairs
        .iter()
        .filter(|&&(bit, _)| flags & u64::from(bit) != 0)
        .fold(flags & !all, |out, &(_, bit)| out | u64::from(bit))
}

/// Guest open flags as the host has them.
fn to_host(thread: &Thread, flags: u64) -> u64 {
    translate(flags, &thread.vcpu.env.arch.linux().layout().open_flags, &HOST)
}

pub fn open(thread: &mut Thread, args: &[u64; 6]) -> Done {
    open_at(thread, libc::AT_FDCWD as u64, args[0], args[1], args[2])
}

pub fn creat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;
    open_at(thread, libc::AT_FDCWD as u64, args[0], flags, args[1])
}

pub fn openat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    open_at(thread, args[0], args[1], args[2], args[3])
}

fn open_at(thread: &Thread, dir: u64, path_addr: u64, flags: u64, mode: u64) -> Done {
    if files::is_ours(dir as i32) {
        return Done::errno(libc::EBADF);
    }
    let flags = to_host(thread, flags);
    let mut pointer = path_addr;
    let redirected = match read_path(path_addr) {
        Ok(text) => {
            if let Some(made) = procfs::open(thread, dir as i32, &text, flags) {
                return made.into();
            }
            path::resolve(thread.process.options.sysroot.as_deref(), &text)
        }
        // The kernel reports it, in its own order of checks.
        Err(_) => None,
    };
    if let Some(host) = &redirected {
        pointer = host.as_ptr() as u64;
    }
    let args = [dir, pointer, flags, mode, 0, 0];
    Done::raw(sys::interruptible(libc::SYS_openat, args, &thread.vcpu.port.poll))
}

/// `struct open_how`: flags, mode, how the path is resolved.
pub fn openat2(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    match read_how(args[2], args[3]) {
        Ok(how) => open_how(thread, args[0], args[1], how),
        Err(errno) => Done::errno(errno),
    }
}

/// What is behind the words that are known must be zero.
fn read_how(addr: u64, size: u64) -> Result<[u64; 3], i32> {
    const KNOWN: u64 = 24;
    match size {
        0..KNOWN => return Err(libc::EINVAL),
        4097.. => return Err(libc::E2BIG),
        _ => {}
    }
    for at in KNOWN..size {
        if read_guest::<1>(addr.wrapping_add(at))? != [0] {
            return Err(libc::E2BIG);
        }
    }
    let word = |index: u64| super::read_word(addr.wrapping_add(8 * index));
    Ok([word(0)?, word(1)?, word(2)?])
}

fn open_how(thread: &Thread, dir: u64, path_addr: u64, [flags, mode, resolution]: [u64; 3]) -> Done {
    /// `RESOLVE_BENEATH` and `RESOLVE_IN_ROOT`: an absolute path is none from the root.
    const ROOTED_ELSEWHERE: u64 = 0x8 | 0x10;
    let flags = to_host(thread, flags);
    let elsewhere = resolution & ROOTED_ELSEWHERE != 0;
    let text = read_path(path_addr).ok().filter(|_| !elsewhere);
    let how = [flags, mode, resolution];
    let mut args = [dir, path_addr, how.as_ptr() as u64, 24, 0, 0];
    let root = text.as_ref().and_then(|text| root_of(thread, text));
    if let (Some(root), Some(text)) = (&root, &text) {
        let slashes = text.iter().take_while(|&&byte| byte == b'/').count();
        (args[0], args[1]) = (root.raw() as u64, path_addr + slashes as u64);
    }
    let result = sys::interruptible(libc::SYS_openat2, args, &thread.vcpu.port.poll);
    drop(root);
    // Whether such a path may be opened in this way the kernel has said; what is there we know better.
    let made = text.filter(|_| result >= 0).and_then(|text| procfs::open(thread, dir as i32, &text, flags));
    match made {
        Some(made) => {
            sys::syscall(libc::SYS_close, [result as u64, 0, 0, 0, 0, 0]);
            made.into()
        }
        None => Done::raw(result),
    }
}

/// The sysroot, where the path is one in it: the way from there to the file must be as the guest demands, the way to the
/// sysroot is none of its business.
fn root_of(thread: &Thread, path: &[u8]) -> Option<files::OwnedFile> {
    let sysroot = thread.process.options.sysroot.as_deref();
    path::resolve(sysroot, path)?;
    files::OwnedFile::open_with(sysroot?, libc::O_PATH | libc::O_DIRECTORY, 0).ok()
}

pub fn open_by_handle_at(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let args = [args[0], args[1], to_host(thread, args[2]), 0, 0, 0];
    Done::raw(sys::syscall(libc::SYS_open_by_handle_at, args))
}

pub fn mq_open(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let args = [args[0], to_host(thread, args[1]), args[2], args[3], 0, 0];
    Done::raw(sys::syscall(libc::SYS_mq_open, args))
}

pub fn pipe2(thread: &mut Thread, args: &[u64; 6]) -> Done {
    given_two(args[0], sys::syscall(libc::SYS_pipe2, [args[0], to_host(thread, args[1]), 0, 0, 0, 0]))
}

pub fn pipe(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    given_two(args[0], sys::syscall(libc::SYS_pipe, *args))
}

/// After a call that has put two descriptors at `addr`.
pub fn given_two(addr: u64, result: i64) -> Done {
    if let (0, Ok(pair)) = (result, read_guest::<8>(addr)) {
        kept::keep_away_from(i64::from(i32::from_le_bytes([pair[4], pair[5], pair[6], pair[7]])));
    }
    Done::Value(result)
}

pub fn close(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    Done::raw(sys::interruptible(libc::SYS_close, *args, &thread.vcpu.port.poll))
}

/// Before this thread gets a table of descriptors of its own: others know ours by their numbers in the one that they share.
pub fn before_unsharing() {
    if crate::exec::cache::Cache::running_threads() > 1 {
        kept::fix();
    }
}

/// Closes what lies between our own descriptors.
pub fn close_range(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let (first, last, flags) = (args[0] as u32, args[1] as u32, args[2]);
    if first > last {
        return Done::errno(libc::EINVAL);
    }
    if flags & u64::from(libc::CLOSE_RANGE_UNSHARE) != 0 {
        before_unsharing();
    }
    let held = thread.siblings.iter().map(|(_, fd)| *fd);
    let mut ours: Vec<u32> = files::ours()
        .into_iter()
        .chain(held)
        .map(|fd| fd as u32)
        .filter(|fd| (first..=last).contains(fd))
        .collect();
    ours.sort_unstable();
    let mut from = first;
    for fd in ours {
        if from < fd {
            let result =
                sys::syscall(libc::SYS_close_range, [u64::from(from), u64::from(fd - 1), flags, 0, 0, 0]);
            if result < 0 {
                return Done::Value(result);
            }
        }
        from = fd + 1;
    }
    if from > last {
        return Done::Value(0);
    }
    Done::raw(sys::syscall(libc::SYS_close_range, [u64::from(from), u64::from(last), flags, 0, 0, 0]))
}

pub fn dup(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    Done::raw(sys::syscall(libc::SYS_dup, *args))
}

pub fn dup2(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if args[0] == args[1] {
        let exists = !files::is_ours(args[0] as i32)
            && sys::syscall(libc::SYS_fcntl, [args[0], libc::F_GETFD as u64, 0, 0, 0, 0]) >= 0;
        return if exists { Done::Value(args[1] as i32 as i64) } else { Done::errno(libc::EBADF) };
    }
    dup3(thread, &[args[0], args[1], 0, 0, 0, 0])
}

pub fn dup3(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[1] as i32) {
        kept::give_way(args[1] as i32);
    }
    if files::is_ours(args[0] as i32) || files::is_ours(args[1] as i32) {
        return Done::errno(libc::EBADF);
    }
    Done::raw(sys::syscall(libc::SYS_dup3, [args[0], args[1], to_host(thread, args[2]), 0, 0, 0]))
}

pub fn fcntl(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    let mut args = *args;
    match args[1] as i32 {
        libc::F_SETFL => args[2] = to_host(thread, args[2]),
        // The lowest number that the guest wants.
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC if kept::is_near(args[2] as i64) => {
            kept::give_way(args[2] as i32);
        }
        _ => {}
    }
    let result = sys::interruptible(libc::SYS_fcntl, args, &thread.vcpu.port.poll);
    if args[1] as i32 == libc::F_GETFL && result >= 0 {
        let guest = thread.vcpu.env.arch.linux().layout().open_flags;
        return Done::Value(translate(result as u64, &HOST, &guest) as i64);
    }
    Done::raw(result)
}

/// What /dev/userfaultfd makes a descriptor by.
const USERFAULTFD_IOC_NEW: u64 = 0xaa00;

/// ioctl numbers and structures are the same on the architectures that we run.
pub fn ioctl(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    if let Some(done) = super::seccomp::listener::ioctl(thread, args) {
        return done;
    }
    if args[1] == USERFAULTFD_IOC_NEW {
        signals::expect_waits_for_pages();
    }
    Done::raw(sys::interruptible(libc::SYS_ioctl, *args, &thread.vcpu.port.poll))
}

pub fn stat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    stat_at(thread, libc::AT_FDCWD as u64, args[0], args[1], 0)
}

pub fn lstat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    stat_at(thread, libc::AT_FDCWD as u64, args[0], args[1], libc::AT_SYMLINK_NOFOLLOW as u64)
}

pub fn newfstatat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    stat_at(thread, args[0], args[1], args[2], args[3])
}

fn stat_at(thread: &Thread, dir: u64, path_addr: u64, out: u64, flags: u64) -> Done {
    let mut args = [dir, path_addr, 0, flags, 0, 0];
    if files::is_ours(dir as i32) {
        return Done::errno(libc::EBADF);
    }
    let redirected = path::redirect(thread, path::Paths::SECOND, &mut args);
    let follows = flags as i32 & libc::AT_SYMLINK_NOFOLLOW == 0;
    let program = if follows { procfs::behind_link(thread, dir as i32, args[1]) } else { None };
    if let Some(program) = &program {
        args[1] = program.as_ptr() as u64;
    }
    let mut host = HostStat::default();
    args[2] = &raw mut host as u64;
    let result = sys::syscall(libc::SYS_newfstatat, args);
    drop((redirected, program));
    store_stat(thread, result, &host, out)
}

pub fn fstat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    let mut host = HostStat::default();
    let result = sys::syscall(libc::SYS_fstat, [args[0], &raw mut host as u64, 0, 0, 0, 0]);
    store_stat(thread, result, &host, args[1])
}

/// x86-64's `struct stat`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct HostStat {
    dev: u64,
    ino: u64,
    nlink: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    pad: u32,
    rdev: u64,
    size: u64,
    blksize: u64,
    blocks: u64,
    times: [u64; 6],
    reserved: [u64; 3],
}

fn store_stat(thread: &Thread, result: i64, stat: &HostStat, out: u64) -> Done {
    if result < 0 {
        return Done::Value(result);
    }
    let bytes = match thread.vcpu.env.arch.linux().layout().stat {
        StatLayout::X86_64 => x86_64_stat(stat),
        StatLayout::Generic => generic_stat(stat),
    };
    write_guest(out, &bytes).map(|()| 0).into()
}

fn x86_64_stat(stat: &HostStat) -> Vec<u8> {
    let mut out = words(&[stat.dev, stat.ino, stat.nlink]);
    for word in [stat.mode, stat.uid, stat.gid, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(words(&[stat.rdev, stat.size, stat.blksize, stat.blocks]));
    out.extend(words(&stat.times));
    out.extend([0; 24]);
    out
}

/// include/uapi/asm-generic/stat.h: 128 bytes.
fn generic_stat(stat: &HostStat) -> Vec<u8> {
    let mut out = words(&[stat.dev, stat.ino]);
    for word in [stat.mode, stat.nlink as u32, stat.uid, stat.gid] {
        out.extend(word.to_le_bytes());
    }
    out.extend(words(&[stat.rdev, 0, stat.size]));
    out.extend((stat.blksize as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend(words(&[stat.blocks]));
    out.extend(words(&stat.times));
    out.extend([0; 8]);
    out
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Directories of the sysroot stand in only for those that the host lacks: a working directory is written
/// to, and `getcwd` shows where it really is.
pub fn chdir(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let result = sys::syscall(libc::SYS_chdir, *args);
    if result != -i64::from(libc::ENOENT) {
        return Done::raw(result);
    }
    let mut args = *args;
    let redirected = path::redirect(thread, path::Paths::FIRST, &mut args);
    let result = sys::syscall(libc::SYS_chdir, args);
    drop(redirected);
    Done::raw(result)
}
