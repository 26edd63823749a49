//! What clone and clone3 are given, checked as the kernel does (kernel/fork.c).

use super::tags;
use crate::host::spawn::Wishes;
use crate::mem::Memory;
use guest::linux::GuestLinux;
use guest::{GuestAddr, GuestMemory};

pub const VM: u64 = libc::CLONE_VM as u64;
pub const THREAD: u64 = libc::CLONE_THREAD as u64;
pub const VFORK: u64 = libc::CLONE_VFORK as u64;
pub const SETTLS: u64 = libc::CLONE_SETTLS as u64;
pub const PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
pub const CHILD_SETTID: u64 = libc::CLONE_CHILD_SETTID as u64;
pub const CHILD_CLEARTID: u64 = libc::CLONE_CHILD_CLEARTID as u64;
pub const SIGHAND: u64 = libc::CLONE_SIGHAND as u64;
pub const PIDFD: u64 = libc::CLONE_PIDFD as u64;
pub const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const PARENT: u64 = libc::CLONE_PARENT as u64;
const DETACHED: u64 = libc::CLONE_DETACHED as u64;
const INTO_CGROUP: u64 = 0x2_0000_0000;
const NEWTIME: u64 = 0x80;
/// Where clone has the signal.
const SIGNAL: u64 = 0xff;
/// Flags that fit into clone's word.
const LEGACY: u64 = 0xffff_ffff;
/// What the kernel makes for a thread, too, but not for one that host threads are made as.
pub const OWN_SPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u64;

/// What clone and clone3 both come to.
#[derive(Clone, Copy, Default, Debug)]
pub struct Request {
    pub flags: u64,
    pub exit_signal: u64,
    /// The child's stack pointer; 0 keeps the parent's.
    pub stack: u64,
    pub parent_tid: u64,
    pub child_tid: u64,
    pub tls: u64,
    pub pidfd: u64,
    pub wishes: Wishes,
}

impl Request {
    pub fn of_clone(linux: &dyn GuestLinux, args: &[u64; 6]) -> Self {
        let (tls, child_tid) = linux.clone_tls_and_child_tid(args);
        Self {
            flags: args[0] & LEGACY & !SIGNAL,
            exit_signal: args[0] & SIGNAL,
            stack: args[1],
            parent_tid: args[2],
            child_tid,
            tls,
            pidfd: args[2],
            wishes: Wishes::default(),
        }
    }

    /// `struct clone_args` (clone(2)).
    pub fn of_clone3(addr: u64, size: u64) -> Result<Self, i32> {
        let words = read_words(addr, size)?;
        let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, ..] = words;
        let wishes = Wishes { set_tid: words[8], set_tid_size: words[9], cgroup: words[10] };
        let cgroup_is_one = wishes.cgroup <= i32::MAX as u64 && size >= 8 * WORDS as u64;
        if wishes.set_tid_size > MOST_NAMESPACES
            || (wishes.set_tid == 0) != (wishes.set_tid_size == 0)
            || exit_signal > LAST_SIGNAL
            || (flags & INTO_CGROUP != 0 && !cgroup_is_one)
            || flags & !(LEGACY | CLEAR_SIGHAND | INTO_CGROUP) != 0
            || flags & (DETACHED | SIGNAL & !NEWTIME) != 0
            || (flags & (THREAD | PARENT) != 0 && exit_signal != 0)
            || (stack == 0) != (stack_size == 0)
        {
            return Err(libc::EINVAL);
        }
        let stack = stack.wrapping_add(stack_size);
        Ok(Self { flags, exit_signal, stack, parent_tid, child_tid, tls, pidfd, wishes })
    }

    /// Whether the flags contradict each other.
    pub fn is_contradiction(&self) -> bool {
        let all = |bits: u64| self.flags & bits == bits;
        (self.flags & THREAD != 0 && self.flags & SIGHAND == 0)
            || (self.flags & SIGHAND != 0 && self.flags & VM == 0)
            || all(SIGHAND | CLEAR_SIGHAND)
            || all(PIDFD | DETACHED)
            || all(libc::CLONE_FS as u64 | libc::CLONE_NEWNS as u64)
            || (self.flags & THREAD != 0
                && self.flags & (libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64 != 0)
            || (all(PIDFD | PARENT_SETTID) && self.pidfd == self.parent_tid)
    }

    /// Whether it wants what only clone3 can give.
    pub fn needs_clone3(&self) -> bool {
        self.flags & (INTO_CGROUP | NEWTIME) != 0 || self.wishes.set_tid_size != 0
    }
}

const WORDS: usize = 11;
const LAST_SIGNAL: u64 = 64;
/// `MAX_PID_NS_LEVEL`
const MOST_NAMESPACES: u64 = 32;

/// The structure, zeros where it is shorter; what follows must be zeros.
fn read_words(addr: u64, size: u64) -> Result<[u64; WORDS], i32> {
    const FIRST_SIZE: u64 = 64;
    if size > 4096 {
        return Err(libc::E2BIG);
    }
    if size < FIRST_SIZE {
        return Err(libc::EINVAL);
    }
    if !tags::may_access(addr) {
        return Err(libc::EFAULT);
    }
    let mut bytes = vec![0; (size as usize).max(8 * WORDS)];
    Memory.read(GuestAddr(addr), &mut bytes[..size as usize]).map_err(|_| libc::EFAULT)?;
    if bytes[8 * WORDS..].iter().any(|&byte| byte != 0) {
        return Err(libc::E2BIG);
    }
    Ok(std::array::from_fn(|word| u64::from_le_bytes(std::array::from_fn(|i| bytes[8 * word + i]))))
}
