//! Ending, identifying and describing the process; and what a rule sees of its thread.

use super::dispatch;
use super::table::Done;
use super::thread::Thread;
use super::{read_guest, seccomp, write_guest};
use crate::exec::saved;
use crate::host::{fp, layout, sys};
use crate::mem::Memory;
use crate::rules::{CallEnd, RuleHost};
use guest::GuestAddr;
use guest::regs::RegisterTable;
use guest::state::GuestState;

pub fn exit(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let alone = thread_count() <= 1;
    if alone {
        return exit_group(thread, args);
    }
    thread.leave();
    if thread.owns_host_thread {
        sys::syscall(libc::SYS_exit, [args[0], 0, 0, 0, 0, 0]);
    }
    Done::Exited
}

/// Threads of this process that run guest code.
fn thread_count() -> usize {
    crate::exec::cache::Cache::running_threads()
}

pub fn exit_group(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if let Some(rules) = &mut thread.rules {
        rules.flush_at_exit();
    }
    crate::debug::print_stats(&thread.vcpu);
    before_exit(thread);
    saved::save(thread.vcpu.cache(), &thread.vcpu.state);
    thread.process.before_end();
    sys::syscall(libc::SYS_exit_group, [args[0], 0, 0, 0, 0, 0]);
    Done::Exited
}

/// What must be done before the process ends by whatever way: rules' output buffers are written. (Nobody else has any.)
pub fn before_exit(thread: &Thread) {
    if thread.process.rules.is_some() {
        crate::host::startup::flush_stdio();
    }
}

impl Thread {
    /// The thread ends: who waits for it is told (`CLONE_CHILD_CLEARTID`).
    pub fn leave(&mut self) {
        if let Some(rules) = &mut self.rules {
            rules.flush_at_exit();
        }
        crate::debug::print_stats(&self.vcpu);
        if self.clear_child_tid != 0 {
            let address = std::mem::take(&mut self.clear_child_tid);
            if write_guest(address, &[0; 4]).is_ok() {
                sys::syscall(libc::SYS_futex, [address, libc::FUTEX_WAKE as u64, 1, 0, 0, 0]);
            }
        }
    }
}

pub fn set_tid_address(thread: &mut Thread, args: &[u64; 6]) -> Done {
    thread.clear_child_tid = args[0];
    Done::Value(i64::from(thread.tid()))
}

pub fn unshare(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if args[0] & libc::CLONE_FILES as u64 != 0 {
        super::fs::before_unsharing();
    }
    thread.stand_alone();
    Done::raw(sys::syscall(libc::SYS_unshare, *args))
}

/// Not offered: a restartable sequence would have to be aborted at polls. libc does without.
pub fn rseq(_thread: &mut Thread, _args: &[u64; 6]) -> Done {
    Done::errno(libc::ENOSYS)
}

/// Whether the calling thread has a capability (one of the first 32) in effect.
#[must_use]
pub fn has_capability(number: u32) -> bool {
    const VERSION_3: u64 = 0x2008_0522;
    let (header, mut data) = (VERSION_3, [0u32; 6]);
    let args = [&raw const header as u64, data.as_mut_ptr() as u64, 0, 0, 0, 0];
    sys::syscall(libc::SYS_capget, args) == 0 && data[0] >> number & 1 != 0
}

pub fn arch_specific(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let linux = thread.vcpu.env.arch.linux();
    let own = linux.own_syscall("arch_prctl", &mut thread.vcpu.state, &Memory, args);
    own.map_or(Done::errno(libc::ENOSYS), Done::Value)
}

pub fn prctl(thread: &mut Thread, args: &[u64; 6]) -> Done {
    const PR_SET_MM: u64 = 35;
    const PR_GET_TID_ADDRESS: u64 = 40;
    const PR_PAC_RESET_KEYS: u64 = 54;
    const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
    const PR_SET_MDWE: u64 = 65;
    match args[0] {
        x if x == libc::PR_SET_SECCOMP as u64 => seccomp::set_by_prctl(thread, args),
        x if x == libc::PR_GET_SECCOMP as u64 => Done::Value(seccomp::mode_number(thread)),
        PR_SET_MM => Done::errno(libc::EPERM),
        PR_GET_TID_ADDRESS => write_guest(args[1], &thread.clear_child_tid.to_le_bytes()).map(|()| 0).into(),
        PR_SET_SYSCALL_USER_DISPATCH => Done::errno(libc::EINVAL),
        // The emulator needs its counter, and makes executable memory.
        x if x == libc::PR_SET_TSC as u64 && args[1] != libc::PR_TSC_ENABLE as u64 => {
            Done::errno(libc::EINVAL)
        }
        PR_SET_MDWE => Done::errno(libc::EINVAL),
        PR_PAC_RESET_KEYS => reset_keys(thread, args),
        _ => {
            let linux = thread.vcpu.env.arch.linux();
            if let Some(value) = linux.own_syscall("prctl", &mut thread.vcpu.state, &Memory, args) {
                return Done::Value(value);
            }
            Done::raw(sys::syscall(libc::SYS_prctl, *args))
        }
    }
}

/// `PR_PAC_RESET_KEYS`: 0 means all five keys.
fn reset_keys(thread: &mut Thread, args: &[u64; 6]) -> Done {
    const KNOWN: u64 = 0x1f;
    let which = if args[1] == 0 { KNOWN } else { args[1] };
    let valid = which & !KNOWN == 0 && args[2..5] == [0; 3];
    let arch = thread.vcpu.env.arch;
    if valid && arch.new_keys(&mut thread.vcpu.state, which, &mut crate::host::random::word) {
        return Done::Value(0);
    }
    Done::errno(libc::EINVAL)
}

/// `struct utsname`: six fields of 65 bytes.
pub fn uname(thread: &mut Thread, args: &[u64; 6]) -> Done {
    const FIELD: usize = 65;
    let mut name = [0u8; 6 * FIELD];
    let result = sys::syscall(libc::SYS_uname, [name.as_mut_ptr() as u64, 0, 0, 0, 0, 0]);
    if result < 0 {
        return Done::Value(result);
    }
    let mut set = |field: usize, text: &str| {
        let len = text.len().min(FIELD - 1);
        let place = &mut name[field * FIELD..][..FIELD];
        place.fill(0);
        place[..len].copy_from_slice(&text.as_bytes()[..len]);
    };
    set(4, thread.vcpu.env.arch.linux().machine());
    if let Some(release) = &thread.process.options.uname {
        set(2, release);
    }
    write_guest(args[0], &name).map(|()| 0).into()
}

pub fn getrandom(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if !crate::host::random::is_seeded() {
        let poll = &thread.vcpu.port.poll;
        return Done::raw(sys::interruptible(libc::SYS_getrandom, *args, poll));
    }
    let len = (args[1] as usize).min(1 << 20);
    let bytes: Vec<u8> =
        (0..len.div_ceil(8)).flat_map(|_| crate::host::random::word().to_le_bytes()).take(len).collect();
    write_guest(args[0], &bytes).map(|()| len as u64).into()
}

/// `semctl(2)`: the one System V structure that the kernel lays out per architecture is `semid_ds`; its
/// fields that matter (permissions, times, count) stand at the same places but for the times.
pub fn semctl(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let layout = thread.vcpu.env.arch.linux().layout();
    let shows_semid = matches!(args[2] as i32 & 0xff, libc::IPC_STAT | libc::IPC_SET | 18 | 20);
    if layout.stat == guest::linux::StatLayout::X86_64 || !shows_semid {
        return Done::raw(sys::syscall(libc::SYS_semctl, *args));
    }
    generic_semctl(args).into()
}

/// x86-64 has a reserved word behind each of the two times of `semid64_ds`; the generic layout has none.
fn generic_semctl(args: &[u64; 6]) -> Result<u64, i32> {
    const PERM: usize = 48;
    let mut host = [0u8; 104];
    if args[2] as i32 & 0xff == libc::IPC_SET {
        let guest = read_guest::<88>(args[3])?;
        host[..PERM].copy_from_slice(&guest[..PERM]);
        return sys::check(sys::syscall(
            libc::SYS_semctl,
            [args[0], args[1], args[2], host.as_ptr() as u64, 0, 0],
        ));
    }
    let result = sys::check(sys::syscall(
        libc::SYS_semctl,
        [args[0], args[1], args[2], host.as_mut_ptr() as u64, 0, 0],
    ))?;
    let mut guest = [0u8; 88];
    guest[..PERM].copy_from_slice(&host[..PERM]);
    guest[48..56].copy_from_slice(&host[48..56]);
    guest[56..64].copy_from_slice(&host[64..72]);
    guest[64..72].copy_from_slice(&host[80..88]);
    write_guest(args[3], &guest)?;
    Ok(result)
}

/// A guest thread, as the rule engine sees it.
pub struct RuleThread<'a> {
    thread: &'a mut Thread,
}

impl<'a> RuleThread<'a> {
    pub fn new(thread: &'a mut Thread) -> Self {
        Self { thread }
    }
}

impl RuleHost for RuleThread<'_> {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> usize {
        Memory.read_prefix(addr, out)
    }

    fn write(&mut self, addr: GuestAddr, data: &[u8]) -> usize {
        Memory.write_prefix(addr, data).0
    }

    fn syscall(&mut self, number: u64, args: [u64; 8]) -> CallEnd {
        let [a, b, c, d, e, f, ..] = args;
        let entry = self.thread.process.dispatch.entry(number);
        if let Some(done) =
            entry.and_then(|entry| entry.directly(&[a, b, c, d, e, f], &self.thread.vcpu.port))
        {
            return self.thread.end_in_rule(done);
        }
        // Rules run under the default environment; the call may copy the guest's (clone) or replace it.
        self.thread.load_fp();
        let done = dispatch::perform(self.thread, number, &[a, b, c, d, e, f]);
        self.thread.save_fp();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        self.thread.end_in_rule(done)
    }

    fn register_table(&self) -> RegisterTable {
        self.thread.vcpu.env.arch.registers()
    }

    fn state(&mut self) -> &mut GuestState {
        &mut self.thread.vcpu.state
    }

    fn guest_to_host(&self, addr: GuestAddr) -> usize {
        crate::mem::untagged(addr).unwrap_or(addr).raw() as usize
    }

    fn host_to_guest(&self, addr: usize) -> Option<GuestAddr> {
        let addr = addr as u64;
        (!layout::is_ours(addr) && crate::mem::space().is_mapped(GuestAddr(addr))).then_some(GuestAddr(addr))
    }
}
