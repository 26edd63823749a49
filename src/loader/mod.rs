//! Program loading: from a file to a mapped image, a stack and a first pc, as the kernel does it
//! (fs/binfmt_elf.c, fs/binfmt_script.c), for files that may be anything.

pub mod elf;
pub mod image;
pub mod stack;
pub mod vdso;

use guest::GuestAddr;

/// Why a file cannot be run. The messages are for the person at the terminal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {}", errno_text(*errno))]
    Open { path: String, errno: i32 },
    #[error("{path}: is a directory")]
    Directory { path: String },
    #[error("{path}: permission denied (the file is not executable)")]
    NotExecutable { path: String },
    #[error("{path}: not an ELF file or a script")]
    NotElf { path: String },
    #[error("{path}: a 32-bit program; only 64-bit ones are supported")]
    WrongClass { path: String },
    #[error("{path}: a big-endian program; only little-endian ones are supported")]
    WrongByteOrder { path: String },
    #[error("{path}: built for {}, but this is the {want} emulator", machine_name(*machine))]
    WrongMachine { path: String, machine: u16, want: &'static str },
    #[error("{path}: an ELF file, but not a program (type {kind})")]
    WrongType { path: String, kind: u16 },
    #[error("{path}: truncated ELF file ({what})")]
    Truncated { path: String, what: &'static str },
    #[error("{path}: malformed ELF file ({what})")]
    Malformed { path: String, what: &'static str },
    #[error("{path}: cannot map segment at {addr:#x}: {}", errno_text(*errno))]
    Map { path: String, addr: u64, errno: i32 },
    #[error(
        "{program}: its interpreter {path} is missing; for programs of another system give its root with -L"
    )]
    NoInterpreter { program: String, path: String },
    #[error("{path}: arguments and environment do not fit the stack")]
    ArgumentsTooLong { path: String },
    #[error("{path}: too many levels of script interpreters")]
    ScriptLoop { path: String },
}

impl LoadError {
    /// What `execve(2)` returns for it.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            Self::Open { errno, .. } | Self::Map { errno, .. } => *errno,
            Self::Directory { .. } | Self::NotExecutable { .. } => libc::EACCES,
            Self::NoInterpreter { .. } => libc::ENOENT,
            Self::ArgumentsTooLong { .. } => libc::E2BIG,
            Self::ScriptLoop { .. } => libc::ELOOP,
            _ => libc::ENOEXEC,
        }
    }

    /// The emulator's own exit status: 127 for "not found", 126 for "cannot run", as shells have it.
    #[must_use]
    pub const fn exit_status(&self) -> i32 {
        match self {
            Self::Open { errno: libc::ENOENT | libc::ENOTDIR, .. } => 127,
            _ => 126,
        }
    }
}

/// The errno in words, without Rust's "(os error N)".
#[must_use]
pub fn errno_text(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "i386".to_owned(),
        8 => "mips".to_owned(),
        20 | 21 => "powerpc".to_owned(),
        22 => "s390".to_owned(),
        40 => "arm (32-bit)".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        258 => "loongarch".to_owned(),
        other => format!("ELF machine {other:#06x}"),
    }
}

/// A loaded program: what the stack and the first thread need to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// Where execution starts (the interpreter's entry, if there is one).
    pub start: GuestAddr,
    /// AT_ENTRY: the program's own entry.
    pub entry: u64,
    /// AT_PHDR.
    pub phdr: u64,
    /// AT_PHNUM.
    pub phnum: u64,
    /// AT_BASE: where the interpreter was loaded; 0 without one.
    pub interpreter_base: u64,
    /// First address behind the program's image: the break starts there.
    pub image_end: u64,
    /// From the first segment to the end of the last executable one, and the segment with the highest address.
    pub code: (u64, u64),
    pub data: (u64, u64),
    pub executable_stack: bool,
}
