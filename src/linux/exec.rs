//! `execve(2)`: the new program runs under the emulator too, without binfmt_misc and without root.
//!
//! The process executes the emulator again, through a descriptor held since the start (so it works in a
//! chroot), with the guest's own arguments and environment. What the emulator must know travels in a memory file on the
//! next descriptor: the new image finds both through AT_EXECFN, which execveat(2) sets to `/dev/fd/N`.

use super::table::Done;
use super::thread::Thread;
use super::{path, read_path, read_string, read_word, seccomp};
use crate::host::files::{self, OwnedFile};
use crate::host::{kept, sys};
use crate::loader::{self, LoadError};
use std::ffi::CString;

/// The kernel's own limit on nested script interpreters.
const MAX_SCRIPTS: usize = 4;
/// The kernel reads this much of a file to tell what it is.
const HEAD: usize = 256;
/// What one argument may have (`MAX_ARG_STRLEN`).
const MAX_STRING: usize = 128 * 1024;

/// `--exec`: what becomes of programs that the guest executes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ExecMode {
    /// They run under the emulator too.
    #[default]
    Follow,
    /// Those of the host's architecture run natively.
    Native,
    /// They are refused.
    Deny,
}

impl std::str::FromStr for ExecMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "follow" => Self::Follow,
            "native" => Self::Native,
            "deny" => Self::Deny,
            _ => return Err(()),
        })
    }
}

/// What a program is called, and where it is.
pub struct Named {
    /// The directory that the path starts from.
    dir: i32,
    /// By which it is opened; empty for the file that `dir` is.
    path: Vec<u8>,
    /// What the program and script interpreters are told (AT_EXECFN): for a descriptor, `/dev/fd/N`.
    name: Vec<u8>,
    /// The name will mean nothing to an interpreter, because the descriptor is closed on execve.
    vanishes: bool,
}

impl Named {
    #[must_use]
    pub fn path(path: &[u8]) -> Self {
        Self { dir: libc::AT_FDCWD, path: path.to_vec(), name: path.to_vec(), vanishes: false }
    }
}

/// A program to run, with scripts resolved to their interpreters.
#[derive(Debug)]
pub struct Target {
    /// The ELF file.
    pub path: String,
    pub file: OwnedFile,
    pub argv: Vec<CString>,
    /// AT_EXECFN: the name as first given.
    pub name: CString,
}

/// Finds what a program really runs: `#!` lines are followed (execve(2), "Interpreter scripts").
pub fn resolve(sysroot: Option<&str>, program: &Named, argv: Vec<CString>) -> Result<Target, LoadError> {
    let shown = String::from_utf8_lossy(&program.name).into_owned();
    let missing = || LoadError::Open { path: shown.clone(), errno: libc::ENOENT };
    let name = CString::new(program.name.as_slice()).map_err(|_| missing())?;
    let (mut dir, mut current, mut told) = (program.dir, program.path.clone(), program.name.clone());
    let mut argv = argv;
    for _ in 0..=MAX_SCRIPTS {
        let shown = String::from_utf8_lossy(&told).into_owned();
        let file = match current.is_empty() && dir != libc::AT_FDCWD {
            true => OwnedFile::reopen(dir),
            false => OwnedFile::open_at(dir, &sysroot_path(sysroot, &String::from_utf8_lossy(&current))),
        };
        let file = checked_executable(&shown, file)?;
        let mut head = [0; HEAD];
        let got = file.read_at(0, &mut head);
        let Some((interpreter, argument)) = script_line(&head[..got]) else {
            return Ok(Target { path: shown, file, argv, name });
        };
        if program.vanishes && told == program.name {
            return Err(missing());
        }
        let mut next = vec![interpreter.clone()];
        next.extend(argument);
        next.push(CString::new(told).map_err(|_| LoadError::NotElf { path: shown.clone() })?);
        next.extend(argv.into_iter().skip(1));
        argv = next;
        told = interpreter.into_bytes();
        current.clone_from(&told);
        dir = libc::AT_FDCWD;
    }
    Err(LoadError::ScriptLoop { path: shown })
}

/// A file that is to be run, after the kernel's checks.
fn checked_executable(shown: &str, opened: Result<OwnedFile, i32>) -> Result<OwnedFile, LoadError> {
    let failed = |errno| LoadError::Open { path: shown.to_owned(), errno };
    let file = opened.map_err(failed)?;
    match file.mode() & libc::S_IFMT {
        libc::S_IFREG => {}
        libc::S_IFDIR => return Err(LoadError::Directory { path: shown.to_owned() }),
        _ => return Err(LoadError::NotExecutable { path: shown.to_owned() }),
    }
    match kernel_verdict(file.raw()) {
        libc::EFAULT => Ok(file),
        libc::EACCES => Err(LoadError::NotExecutable { path: shown.to_owned() }),
        errno => Err(failed(errno)),
    }
}

/// What the kernel says to executing this file, with arguments that cannot be read: EFAULT where it would. It looks at
/// permissions, mount options and writers (ETXTBSY) first.
fn kernel_verdict(fd: i32) -> i32 {
    const UNREADABLE: u64 = 1;
    let args = [fd as u64, c"".as_ptr() as u64, UNREADABLE, UNREADABLE, libc::AT_EMPTY_PATH as u64, 0];
    -sys::syscall(libc::SYS_execveat, args) as i32
}

/// The interpreter and its one argument, if the file starts with `#!`.
fn script_line(head: &[u8]) -> Option<(CString, Option<CString>)> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|&b| b == b'\n').next()?;
    let text: &[u8] = line.trim_ascii();
    let cut = text.iter().position(|&b| b == b' ' || b == b'\t').unwrap_or(text.len());
    let interpreter = CString::new(&text[..cut]).ok().filter(|i| !i.is_empty())?;
    let rest = text[cut..].trim_ascii();
    let argument = if rest.is_empty() { None } else { Some(CString::new(rest).ok()?) };
    Some((interpreter, argument))
}

pub fn execve(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let path = match read_path(args[0]) {
        Ok(path) => path,
        Err(errno) => return Done::errno(errno),
    };
    execute(thread, &Named::path(&path), args[1], args[2])
}

pub fn execveat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let path = match read_path(args[1]) {
        Ok(path) => path,
        Err(errno) => return Done::errno(errno),
    };
    match path_at(args[0] as i32, path, args[4] as i32) {
        Ok(path) => execute(thread, &path, args[2], args[3]),
        Err(errno) => Done::errno(errno),
    }
}

/// The program that execveat means by a directory, a path and flags.
fn path_at(dir: i32, path: Vec<u8>, flags: i32) -> Result<Named, i32> {
    if flags & !(libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(libc::EINVAL);
    }
    if path.is_empty() && flags & libc::AT_EMPTY_PATH == 0 {
        return Err(libc::ENOENT);
    }
    let absolute = path.first() == Some(&b'/');
    let named = match dir {
        libc::AT_FDCWD => Named::path(&path),
        _ if absolute => Named::path(&path),
        _ if !is_open(dir) => return Err(libc::EBADF),
        _ => {
            let below = if path.is_empty() { Vec::new() } else { [b"/", path.as_slice()].concat() };
            let name = [format!("/dev/fd/{dir}").as_bytes(), below.as_slice()].concat();
            let flags = sys::syscall(libc::SYS_fcntl, [dir as u64, libc::F_GETFD as u64, 0, 0, 0, 0]);
            let vanishes = flags & i64::from(libc::FD_CLOEXEC) != 0;
            Named { dir, path: path.clone(), name, vanishes }
        }
    };
    if flags & libc::AT_SYMLINK_NOFOLLOW != 0 && !path.is_empty() && files::is_link(named.dir, &path) {
        return Err(libc::ELOOP);
    }
    Ok(named)
}

/// Whether the guest has this descriptor.
fn is_open(fd: i32) -> bool {
    !files::is_ours(fd) && sys::syscall(libc::SYS_fcntl, [fd as u64, libc::F_GETFD as u64, 0, 0, 0, 0]) >= 0
}

fn execute(thread: &mut Thread, program: &Named, argv: u64, envp: u64) -> Done {
    let (argv, envp) = match (read_strings(argv), read_strings(envp)) {
        (Ok(argv), Ok(envp)) => (argv, envp),
        (Err(errno), _) | (_, Err(errno)) => return Done::errno(errno),
    };
    if program.path.is_empty() && program.dir == libc::AT_FDCWD {
        return Done::errno(libc::ENOENT);
    }
    if super::procfs::hides(program.dir, &program.path) {
        return Done::errno(libc::ENOENT);
    }
    let process = thread.process;
    let arch = thread.vcpu.env.arch;
    let sysroot = process.options.sysroot.as_deref();
    let own = super::procfs::is_own_exe(program.dir, &program.path);
    let own = own.then(|| Named { path: process.exe.clone().into_bytes(), ..Named::path(&program.name) });
    let program = own.as_ref().unwrap_or(program);
    // Everything that can fail is tried here, where the old program can still be told.
    let arguments = argv.clone();
    let target = match resolve(sysroot, program, argv) {
        Ok(target) => target,
        Err(error) => return Done::errno(error.errno()),
    };
    let mut header = [0; 20];
    let got = target.file.read_at(0, &mut header);
    let machine = u16::from_le_bytes([header[18], header[19]]);
    let by_the_host = got == 20 && Some(machine) == crate::guests::host_machine();
    match process.options.exec {
        ExecMode::Deny => {
            crate::log::once("exec", || format!("{} is not executed (-exec deny): EACCES", target.path));
            return Done::errno(libc::EACCES);
        }
        ExecMode::Native if by_the_host => return run_natively(thread, program, &arguments, &envp),
        ExecMode::Native | ExecMode::Follow => {}
    }
    let foreign = got == 20 && machine != arch.elf_machine() && crate::guests::by_machine(machine).is_some();
    if !foreign {
        let resolve = |p: &str| sysroot_path(sysroot, p);
        let path = target.path.clone();
        let duplicate = match OwnedFile::duplicate(target.file.raw()) {
            Ok(duplicate) => duplicate,
            Err(errno) => return Done::errno(errno),
        };
        if let Err(error) = loader::image::prepare(arch, &path, duplicate, &resolve) {
            return Done::errno(error.errno());
        }
    }
    let sibling = foreign.then(|| crate::guests::by_machine(machine)).flatten();
    let result = replace(thread, &target, &envp, sibling);
    Done::Value(result)
}

/// Lets the host execute the program. Comes back only with an error.
fn run_natively(thread: &mut Thread, program: &Named, argv: &[CString], envp: &[CString]) -> Done {
    if let Some(rules) = &mut thread.rules {
        rules.flush_at_exit();
    }
    super::process::before_exit(thread);
    let sysroot = thread.process.options.sysroot.as_deref();
    let path = sysroot_path(sysroot, &String::from_utf8_lossy(&program.path));
    let Ok(path) = CString::new(path) else { return Done::errno(libc::ENOENT) };
    let flags = if program.path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    let (argv, envp) = (pointers(argv), pointers(envp));
    let before = crate::host::signals::mask();
    // The mask whole: what is blocked for the guest is for the host's program too.
    crate::host::signals::set_mask(thread.mask);
    let args = [
        program.dir as u64,
        path.as_ptr() as u64,
        argv.as_ptr() as u64,
        envp.as_ptr() as u64,
        flags as u64,
        0,
    ];
    let result = sys::syscall(libc::SYS_execveat, args);
    crate::host::signals::set_mask(before);
    Done::Value(result)
}

/// Addresses of strings, with a zero at the end.
fn pointers(strings: &[CString]) -> Vec<u64> {
    strings.iter().map(|string| string.as_ptr() as u64).chain([0]).collect()
}

/// Where a path of the guest is on the host.
#[must_use]
pub fn sysroot_path(sysroot: Option<&str>, path: &str) -> String {
    path::resolve(sysroot, path.as_bytes())
        .map_or_else(|| path.to_owned(), |c| c.to_string_lossy().into_owned())
}

/// Executes the emulator with the target. Comes back only with an error.
fn replace(
    thread: &mut Thread,
    target: &Target,
    envp: &[CString],
    sibling: Option<&'static dyn guest::arch::GuestArch>,
) -> i64 {
    if let Some(rules) = &mut thread.rules {
        rules.flush_at_exit();
    }
    super::process::before_exit(thread);
    crate::exec::saved::save(thread.vcpu.cache(), &thread.vcpu.state);
    kept::in_place(|| hand_over(thread, target, envp, sibling))
}

/// The same with all descriptors where they stand.
fn hand_over(
    thread: &Thread,
    target: &Target,
    envp: &[CString],
    sibling: Option<&'static dyn guest::arch::GuestArch>,
) -> i64 {
    let mut descriptors = crate::host::startup::inherited_descriptors();
    descriptors.push((PROGRAM.to_owned(), target.file.raw()));
    let siblings = thread.siblings.iter();
    descriptors.extend(siblings.map(|(name, fd)| (crate::host::startup::sibling_name(name), *fd)));
    let opened; // Closed where the call comes back.
    let emulator = match sibling {
        Some(arch) => {
            let own = crate::host::startup::sibling_name(thread.vcpu.env.arch.name());
            descriptors.extend(crate::host::startup::executable().map(|fd| (own, fd)));
            let held =
                descriptors.iter().find(|(what, _)| *what == crate::host::startup::sibling_name(arch.name()));
            match held.map(|(_, fd)| *fd) {
                Some(fd) => Ok(fd),
                None => {
                    opened = crate::host::startup::open_sibling(arch.name());
                    opened.as_ref().map(OwnedFile::raw).map_err(|errno| *errno)
                }
            }
        }
        None => crate::host::startup::executable(),
    };
    let Ok(emulator) = emulator else { return -i64::from(libc::ENOEXEC) };
    let handoff = Handoff {
        own_args: thread.process.options.own_args.clone(),
        path: target.path.clone(),
        name: target.name.to_string_lossy().into_owned(),
        filters: seccomp::encode(&thread.seccomp.get()),
        space_limit: thread.space_limit.encode(),
        ignored: super::signal::ignored(thread),
        // Another architecture's words say nothing.
        exception: match sibling {
            Some(_) => [0; 2],
            None => thread.vcpu.env.arch.linux().last_exception().map(|slot| thread.vcpu.state.u64(slot)),
        },
        descriptors,
    };
    let result = exec_with(emulator, &handoff, &target.argv, envp);
    -i64::from(result)
}

/// What one image of the emulator tells the next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Handoff {
    /// The emulator's own arguments.
    pub own_args: Vec<String>,
    /// The program file.
    pub path: String,
    /// The program's name as it was given (AT_EXECFN).
    pub name: String,
    /// System call filters, as [`seccomp::encode`] writes them.
    pub filters: String,
    /// The limit of the address space, as [`super::limits::SpaceLimit::encode`] writes it.
    pub space_limit: String,
    /// What the kernel keeps of the thread's last exceptions.
    pub exception: [u64; 2],
    /// The signals that are ignored, as a mask.
    pub ignored: u64,
    /// Descriptors that stay open for the emulator: (what for, number).
    pub descriptors: Vec<(String, i32)>,
}

/// The descriptor of the program file: it need not have a path that leads to it.
pub const PROGRAM: &str = "program";
const MAGIC: &str = "qemu-lua handoff 2";

impl Handoff {
    fn encode(&self) -> Vec<u8> {
        let pid = sys::syscall(libc::SYS_getpid, [0; 6]);
        let mut fields = vec![MAGIC.to_owned(), pid.to_string(), self.path.clone(), self.name.clone()];
        fields.extend([self.filters.clone(), self.space_limit.clone()]);
        fields.extend(self.exception.map(|word| word.to_string()));
        fields.push(self.ignored.to_string());
        fields.push(self.descriptors.len().to_string());
        for (what, fd) in &self.descriptors {
            fields.extend([what.clone(), fd.to_string()]);
        }
        fields.extend(self.own_args.iter().cloned());
        fields.join("\0").into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut fields = text.split('\0').map(str::to_owned);
        if fields.next()? != MAGIC || fields.next()? != sys::syscall(libc::SYS_getpid, [0; 6]).to_string() {
            return None;
        }
        let (path, name) = (fields.next()?, fields.next()?);
        let (filters, space_limit) = (fields.next()?, fields.next()?);
        let exception = [fields.next()?.parse().ok()?, fields.next()?.parse().ok()?];
        let ignored = fields.next()?.parse().ok()?;
        let count: usize = fields.next()?.parse().ok()?;
        let mut descriptors = Vec::new();
        for _ in 0..count {
            descriptors.push((fields.next()?, fields.next()?.parse().ok()?));
        }
        let own_args = fields.collect();
        Some(Self { own_args, path, name, filters, space_limit, exception, ignored, descriptors })
    }

    /// The handoff of the image before this one, if it was that which executed us.
    #[must_use]
    pub fn receive() -> Option<Self> {
        let name = crate::host::startup::execfn()?;
        let executable: i32 = name.strip_prefix("/dev/fd/")?.parse().ok()?;
        let handoff = OwnedFile::from_raw(executable + 1);
        let decoded = Self::decode(&handoff.content());
        if decoded.is_none() {
            // Not ours: leave the descriptor alone.
            let _ = handoff.into_raw();
            return None;
        }
        crate::host::startup::adopt_executable(executable);
        decoded
    }
}

fn exec_with(emulator: i32, handoff: &Handoff, argv: &[CString], envp: &[CString]) -> i32 {
    let Ok((executable, memory)) = place_descriptors(emulator, &handoff.encode()) else {
        return libc::EMFILE;
    };
    for (_, fd) in &handoff.descriptors {
        set_cloexec(*fd, false);
    }
    let (argv, envp) = (pointers(argv), pointers(envp));
    let args = [
        executable as u64,
        c"".as_ptr() as u64,
        argv.as_ptr() as u64,
        envp.as_ptr() as u64,
        libc::AT_EMPTY_PATH as u64,
        0,
    ];
    let result = sys::syscall(libc::SYS_execveat, args);
    for fd in [executable, memory] {
        sys::syscall(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]);
    }
    for (_, fd) in &handoff.descriptors {
        set_cloexec(*fd, true);
    }
    -result as i32
}

fn set_cloexec(fd: i32, on: bool) {
    sys::syscall(libc::SYS_fcntl, [fd as u64, libc::F_SETFD as u64, u64::from(on), 0, 0, 0]);
}

/// The emulator's file and the handoff on two adjacent descriptors that survive execve.
fn place_descriptors(emulator: i32, content: &[u8]) -> Result<(i32, i32), i32> {
    let memory = files::made(c"handoff", content)?;
    let duplicate = |fd: i32, least: i32| {
        sys::check(sys::syscall(libc::SYS_fcntl, [fd as u64, libc::F_DUPFD as u64, least as u64, 0, 0, 0]))
    };
    let mut least = files::high_base();
    for _ in 0..16 {
        let executable = duplicate(emulator, least)? as i32;
        let next = duplicate(memory.raw(), executable + 1)? as i32;
        if next == executable + 1 {
            return Ok((executable, next));
        }
        for fd in [executable, next] {
            sys::syscall(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]);
        }
        least = next;
    }
    Err(libc::EMFILE)
}

/// A null-terminated array of strings; a null pointer counts as an empty array, as the kernel has it.
fn read_strings(array: u64) -> Result<Vec<CString>, i32> {
    const MAX_STRINGS: u64 = 1 << 20;
    let mut out = Vec::new();
    if array == 0 {
        return Ok(out);
    }
    for index in 0..MAX_STRINGS {
        let pointer = read_word(array + 8 * index)?;
        if pointer == 0 {
            return Ok(out);
        }
        let string = read_string(pointer, MAX_STRING)?.ok_or(libc::E2BIG)?;
        out.push(CString::new(string).map_err(|_| libc::EINVAL)?);
    }
    Err(libc::E2BIG)
}
