//! The Linux kernel interface, as 64-bit guests see it.
//!
//! Every call is one row of [`table`]; most rows hand the call to the host kernel. What is our own: what
//! concerns the address space (we share it), signals (we queue them), threads and processes (they must
//! stay under the emulator), and the few files in /proc that would show the emulator.

mod aio;
pub mod alt_stack;
pub mod announce;
pub mod clone;
mod clone_args;
mod direct;
pub mod dispatch;
pub mod epoll;
mod errno;
pub mod exec;
pub mod fs;
pub mod futex;
pub mod limits;
pub mod mm;
pub mod net;
pub mod path;
pub mod proc_hidden;
mod proc_text;
pub mod process;
mod process_memory;
pub mod procfs;
pub mod seccomp;
pub mod signal;
pub mod strace;
pub mod table;
mod tags;
pub mod thread;
pub mod time;
pub mod uring;
mod written;

use crate::exec::Env;
use crate::exec::tier::TierMode;
use crate::loader::vdso::Vdso;
use dispatch::Dispatch;
use guest::GuestAddr;
use guest::GuestMemory;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the user asked for that outlives start-up; all of it travels through execve.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-L`: the sysroot, absolute.
    pub sysroot: Option<String>,
    pub strace: bool,
    /// `-r`: what uname reports as release.
    pub uname: Option<String>,
    pub tier: TierMode,
    pub io_uring: uring::IoUring,
    pub exec: exec::ExecMode,
    /// The emulator's own arguments, to be given to it again on execve.
    pub own_args: Vec<String>,
}

/// The guest process.
pub struct Process {
    pub env: &'static Env,
    pub dispatch: &'static Dispatch,
    pub options: Options,
    pub vdso: Vdso,
    /// Where the first stack is.
    pub stack: std::ops::Range<u64>,
    /// The program's path as /proc/self/exe shows it.
    pub exe: String,
    /// The arguments as /proc/self/cmdline shows them, where the kernel could not be told of them.
    pub cmdline: Option<Vec<u8>>,
    pub rules: Option<std::sync::Arc<crate::rules::Rules>>,
}

/// Whether another process has been given our memory (`CLONE_VM`).
static SHARED: AtomicBool = AtomicBool::new(false);

static PROCESS: OnceLock<Process> = OnceLock::new();

impl Process {
    /// Makes this the process.
    pub fn install(self) -> &'static Self {
        PROCESS.get_or_init(|| self)
    }

    /// Another process is about to share our memory.
    pub fn memory_is_shared(&self) {
        SHARED.store(true, Ordering::Relaxed);
    }

    /// Before the process ends: where another shares its memory, no thread of ours may die with a lock held.
    pub fn before_end(&self) {
        if SHARED.load(Ordering::Relaxed) {
            self.stop_background();
        }
    }

    /// Before a call that may take from us what we need later (files out of a new root, permissions), and that wants a
    /// process of one thread: background threads of ours are joined; they start again when needed.
    pub fn stand_alone(&self) {
        self.other_architectures().for_each(crate::host::startup::hold_sibling);
        self.stop_background();
    }

    /// Names of those that another emulator is for.
    pub fn other_architectures(&self) -> impl Iterator<Item = &'static str> {
        let own = self.env.arch.name();
        crate::guests::ALL.iter().map(|arch| arch.name()).filter(move |name| *name != own)
    }

    fn stop_background(&self) {
        if let Some(rules) = &self.rules {
            rules.stop_background();
        }
        crate::exec::tier::stop_background();
        wait_for_kernel();
    }
}

/// A joined thread counts for the kernel a little longer, and `unshare` would fail: waits until only
/// guest threads are left, or gives up after a while.
fn wait_for_kernel() {
    const TRIES: u32 = 2000;
    let guests = crate::exec::cache::Cache::running_threads() + crate::host::spawn::hidden_threads();
    for _ in 0..TRIES {
        let tasks = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
        if tasks <= guests {
            return;
        }
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
}

/// A NUL-terminated guest string of at most `PATH_MAX` bytes, without its NUL.
pub fn read_path(addr: u64) -> Result<Vec<u8>, i32> {
    read_string(addr, libc::PATH_MAX as usize)?.ok_or(libc::ENAMETOOLONG)
}

/// A NUL-terminated guest string; `None` where it is longer than `max`.
pub fn read_string(addr: u64, max: usize) -> Result<Option<Vec<u8>>, i32> {
    if !tags::may_access(addr) {
        return Err(libc::EFAULT);
    }
    let mut out = Vec::new();
    let mut at = addr;
    while out.len() < max {
        let mut chunk = [0; 256];
        // Up to the page's end, so that a string that ends there needs nothing of the next page.
        let len = (0x1000 - at as usize % 0x1000).min(chunk.len());
        let got = crate::mem::Memory.read_prefix(GuestAddr(at), &mut chunk[..len]);
        if let Some(end) = chunk[..got].iter().position(|&b| b == 0) {
            out.extend(&chunk[..end]);
            return Ok((out.len() < max).then_some(out));
        }
        if got < len {
            return Err(libc::EFAULT);
        }
        out.extend(&chunk[..got]);
        at += got as u64;
    }
    Ok(None)
}

/// Writes to guest memory: EFAULT where it cannot.
pub fn write_guest(addr: u64, bytes: &[u8]) -> Result<(), i32> {
    if !tags::may_access(addr) {
        return Err(libc::EFAULT);
    }
    crate::mem::Memory.write(GuestAddr(addr), bytes).map_err(|_| libc::EFAULT)
}

/// Reads guest memory: EFAULT where it cannot.
pub fn read_guest<const N: usize>(addr: u64) -> Result<[u8; N], i32> {
    if !tags::may_access(addr) {
        return Err(libc::EFAULT);
    }
    let mut out = [0; N];
    crate::mem::Memory.read(GuestAddr(addr), &mut out).map_err(|_| libc::EFAULT)?;
    Ok(out)
}

/// One word of guest memory.
pub fn read_word(addr: u64) -> Result<u64, i32> {
    read_guest(addr).map(u64::from_le_bytes)
}
