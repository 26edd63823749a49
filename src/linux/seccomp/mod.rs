//! `seccomp(2)` for guests: their filters are run by us, on their system calls, before any rule.
//!
//! The host must not have them: a filter there would see the emulator's own calls. Filters belong to a thread, are
//! inherited by what it creates, and outlive execve (they travel with the handoff).

mod bpf;
pub mod listener;

use super::table::Done;
use super::thread::Thread;
use super::{process, read_guest, signal};
use crate::host::sys;
use bpf::{DATA, Insn, Program};
use guest::linux::SyscallRequest;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

// Actions (include/uapi/linux/seccomp.h): compared as signed numbers, the least wins.
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIF: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
const ACTION: u32 = 0xffff_0000;
const VALUE: u32 = 0x0000_ffff;

const FLAG_TSYNC: u64 = 1;
const FLAG_LOG: u64 = 2;
const FLAG_SPEC_ALLOW: u64 = 4;
const FLAG_NEW_LISTENER: u64 = 8;
const FLAG_TSYNC_ESRCH: u64 = 16;
const FLAG_WAIT_KILLABLE: u64 = 32;
/// The most instructions that one system call may run through (`MAX_INSNS_PER_PATH`), each filter counting 4 more.
const MAX_PATH: usize = 32768;

/// A filter and those before it.
pub struct Filter {
    program: Program,
    /// Whether what it reports has a listener.
    listens: bool,
    before: Option<Arc<Self>>,
}

/// What a thread's system calls go through.
#[derive(Clone, Default)]
pub enum Mode {
    #[default]
    Off,
    /// `read`, `write`, `exit` and `rt_sigreturn` only.
    Strict,
    Filtered(Arc<Filter>),
}

/// A thread's mode, which another thread may set (`SECCOMP_FILTER_FLAG_TSYNC`).
#[derive(Default)]
pub struct Slot(Mutex<Mode>);

/// Whether any thread of this process has ever had a mode: costs one load where none has.
static ACTIVE: AtomicBool = AtomicBool::new(false);
/// The slots of the process's threads.
static SLOTS: Mutex<Vec<(i32, Weak<Slot>)>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    #[must_use]
    pub fn get(&self) -> Mode {
        lock(&self.0).clone()
    }

    fn set(&self, mode: Mode) {
        if !matches!(mode, Mode::Off) {
            ACTIVE.store(true, Ordering::Relaxed);
        }
        *lock(&self.0) = mode;
    }
}

/// The slot of a process that borrows memory (vfork): the threads of the lender are not its own.
#[must_use]
pub fn apart(mode: Mode) -> Arc<Slot> {
    let slot = Arc::new(Slot::default());
    slot.set(mode);
    slot
}

/// The slot of a new thread of this process. Made by its creator, so that no filter for all threads misses it.
#[must_use]
pub fn attach(mode: Mode) -> Arc<Slot> {
    let slot = apart(mode);
    let mut slots = lock(&SLOTS);
    slots.retain(|(_, slot)| slot.strong_count() > 0);
    slots.push((own_tid(), Arc::downgrade(&slot)));
    slot
}

/// On the new thread: the number by which it is known.
pub fn name(slot: &Arc<Slot>) {
    let mut slots = lock(&SLOTS);
    let own = slots.iter_mut().find(|(_, other)| std::ptr::eq(other.as_ptr(), Arc::as_ptr(slot)));
    if let Some((tid, _)) = own {
        *tid = own_tid();
    }
}

fn own_tid() -> i32 {
    sys::syscall(libc::SYS_gettid, [0; 6]) as i32
}

/// Keeps the lock while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _slots = lock(&SLOTS);
    f()
}

/// In a forked child: only this thread is there.
pub fn forked(slot: &Arc<Slot>) {
    let mut slots = lock(&SLOTS);
    match slots.as_mut_slice() {
        [(tid, only)] if std::ptr::eq(only.as_ptr(), Arc::as_ptr(slot)) => *tid = own_tid(),
        _ => *slots = vec![(own_tid(), Arc::downgrade(slot))],
    }
}

/// Whether any thread has filters.
#[inline]
pub fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}

/// What comes of a call before it is made; `None` where it is to be made.
pub fn check(thread: &mut Thread, request: &SyscallRequest) -> Option<Done> {
    if !is_active() {
        return None;
    }
    match thread.seccomp.get() {
        Mode::Off => None,
        Mode::Strict => strict(thread, request),
        Mode::Filtered(filter) => {
            let (verdict, listens) = judge(&filter, &data_of(thread, request));
            if verdict & ACTION == USER_NOTIF && listens {
                return listener::ask(thread, request);
            }
            act(thread, request, verdict)
        }
    }
}

fn strict(thread: &Thread, request: &SyscallRequest) -> Option<Done> {
    let name = thread.process.dispatch.entry(request.number).map_or("", |entry| entry.name);
    if !matches!(name, "read" | "write" | "exit" | "rt_sigreturn") {
        signal::die_of(libc::SIGKILL);
    }
    None
}

/// `struct seccomp_data`: number, architecture, pc, arguments.
fn data_of(thread: &Thread, request: &SyscallRequest) -> [u8; DATA] {
    let mut data = [0; DATA];
    data[..4].copy_from_slice(&(request.number as u32).to_le_bytes());
    data[4..8].copy_from_slice(&thread.vcpu.env.arch.linux().audit_arch().to_le_bytes());
    data[8..16].copy_from_slice(&thread.vcpu.state.pc().to_le_bytes());
    for (place, arg) in data[16..].chunks_exact_mut(8).zip(request.args) {
        place.copy_from_slice(&arg.to_le_bytes());
    }
    data
}

/// The verdict of all filters: that of the least action, of the newest filter among equals; and whether that has a listener.
fn judge(newest: &Arc<Filter>, data: &[u8; DATA]) -> (u32, bool) {
    let mut verdict = ALLOW;
    let mut listens = false;
    let mut filter = Some(newest);
    while let Some(current) = filter {
        let next = current.program.run(data);
        if ((next & ACTION) as i32) < (verdict & ACTION) as i32 {
            (verdict, listens) = (next, current.listens);
        }
        filter = current.before.as_ref();
    }
    (verdict, listens)
}

fn act(thread: &mut Thread, request: &SyscallRequest, verdict: u32) -> Option<Done> {
    const MAX_ERRNO: u32 = 4095;
    let value = verdict & VALUE;
    match verdict & ACTION {
        ALLOW | LOG => None,
        ERRNO => Some(Done::Value(-i64::from(value.min(MAX_ERRNO)))),
        TRAP => {
            raise(thread, request, value);
            Some(Done::Replaced)
        }
        // No tracer can be there, and here no listener is.
        TRACE | USER_NOTIF => Some(Done::errno(libc::ENOSYS)),
        KILL_THREAD if crate::exec::cache::Cache::running_threads() > 1 => {
            Some(process::exit(thread, &[libc::SIGSYS as u64, 0, 0, 0, 0, 0]))
        }
        // KILL_PROCESS, and what is unknown.
        _ => signal::die_of(libc::SIGSYS),
    }
}

/// `SIGSYS` with what the call was; the registers are as they were before it.
fn raise(thread: &mut Thread, request: &SyscallRequest, value: u32) {
    const SYS_SECCOMP: i32 = 1;
    let mut pending = signal::Pending::synchronous(libc::SIGSYS, SYS_SECCOMP, thread.vcpu.state.pc());
    pending.info[4..8].copy_from_slice(&value.to_le_bytes());
    pending.info[24..28].copy_from_slice(&(request.number as u32).to_le_bytes());
    pending.info[28..32].copy_from_slice(&thread.vcpu.env.arch.linux().audit_arch().to_le_bytes());
    signal::force(thread, pending, None, None);
}

pub fn seccomp(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let (operation, flags, uargs) = (args[0] as u32, args[1] & 0xffff_ffff, args[2]);
    match operation {
        0 if flags == 0 && uargs == 0 => set_strict(thread),
        1 => install(thread, flags, uargs).into(),
        2 if flags == 0 => match read_guest(uargs).map(u32::from_le_bytes) {
            Ok(KILL_PROCESS | KILL_THREAD | TRAP | ERRNO | USER_NOTIF | TRACE | LOG | ALLOW) => {
                Done::Value(0)
            }
            Ok(_) => Done::errno(libc::EOPNOTSUPP),
            Err(errno) => Done::errno(errno),
        },
        // The sizes of a listener's structures.
        3 => Done::raw(sys::syscall(libc::SYS_seccomp, *args)),
        _ => Done::errno(libc::EINVAL),
    }
}

/// `prctl(PR_SET_SECCOMP)`.
pub fn set_by_prctl(thread: &mut Thread, args: &[u64; 6]) -> Done {
    match args[1] {
        1 => set_strict(thread),
        2 => install(thread, 0, args[2]).into(),
        _ => Done::errno(libc::EINVAL),
    }
}

/// `prctl(PR_GET_SECCOMP)`.
pub fn mode_number(thread: &Thread) -> i64 {
    number(&thread.seccomp.get())
}

fn number(mode: &Mode) -> i64 {
    match mode {
        Mode::Off => 0,
        Mode::Strict => 1,
        Mode::Filtered(_) => 2,
    }
}

/// What /proc says of a thread of this process: its mode, and how many filters it has.
#[must_use]
pub fn shown(thread: &Thread, tid: i32) -> (i64, usize) {
    let slot = lock(&SLOTS).iter().find(|(number, _)| *number == tid).and_then(|(_, slot)| slot.upgrade());
    let mode = slot.map_or_else(|| thread.seccomp.get(), |slot| slot.get());
    let mut filters = 0;
    let mut at = if let Mode::Filtered(filter) = &mode { Some(filter) } else { None };
    while let Some(current) = at {
        filters += 1;
        at = current.before.as_ref();
    }
    (number(&mode), filters)
}

fn set_strict(thread: &Thread) -> Done {
    match thread.seccomp.get() {
        Mode::Filtered(_) => Done::errno(libc::EINVAL),
        _ => {
            thread.seccomp.set(Mode::Strict);
            Done::Value(0)
        }
    }
}

/// Puts a filter before those that are there. The kernel's order of checks.
fn install(thread: &Thread, flags: u64, uargs: u64) -> Result<u64, i32> {
    const KNOWN: u64 =
        FLAG_TSYNC | FLAG_LOG | FLAG_SPEC_ALLOW | FLAG_NEW_LISTENER | FLAG_TSYNC_ESRCH | FLAG_WAIT_KILLABLE;
    let listens = flags & FLAG_NEW_LISTENER != 0;
    // Both would be told by the result.
    let ambiguous = listens && flags & (FLAG_TSYNC | FLAG_TSYNC_ESRCH) == FLAG_TSYNC;
    if flags & !KNOWN != 0 || ambiguous || (!listens && flags & FLAG_WAIT_KILLABLE != 0) {
        return Err(libc::EINVAL);
    }
    let header: [u8; 16] = read_guest(uargs)?;
    let count = usize::from(u16::from_le_bytes([header[0], header[1]]));
    let place = u64::from_le_bytes(std::array::from_fn(|index| header[8 + index]));
    if count == 0 || count > bpf::MAX_INSNS {
        return Err(libc::EINVAL);
    }
    if !may_filter() {
        return Err(libc::EACCES);
    }
    let insns: Result<Vec<Insn>, i32> = (0..count as u64)
        .map(|index| read_guest(place.wrapping_add(8 * index)).map(Insn::from_bytes))
        .collect();
    let program = Program::new(insns?).ok_or(libc::EINVAL)?;
    let before = match thread.seccomp.get() {
        Mode::Strict => return Err(libc::EINVAL),
        Mode::Filtered(filter) => Some(filter),
        Mode::Off => None,
    };
    if program.insns().len() + before.as_ref().map_or(0, path_length) > MAX_PATH {
        return Err(libc::ENOMEM);
    }
    if flags & FLAG_TSYNC != 0
        && let Some(tid) = thread_apart(before.as_ref())
    {
        return if flags & FLAG_TSYNC_ESRCH != 0 { Err(libc::ESRCH) } else { Ok(tid) };
    }
    let result = if listens { listener::install(flags)? } else { 0 };
    let mode = Mode::Filtered(Arc::new(Filter { program, listens, before }));
    thread.seccomp.set(mode.clone());
    if flags & FLAG_TSYNC != 0 {
        lock(&SLOTS).iter().filter_map(|(_, slot)| slot.upgrade()).for_each(|slot| slot.set(mode.clone()));
    }
    Ok(result)
}

/// Instructions of a filter and those before it.
fn path_length(filter: &Arc<Filter>) -> usize {
    let mut length = 0;
    let mut at = Some(filter);
    while let Some(current) = at {
        length += current.program.insns().len() + 4;
        at = current.before.as_ref();
    }
    length
}

/// A thread whose filters are not among these.
fn thread_apart(filters: Option<&Arc<Filter>>) -> Option<u64> {
    let is_among = |mode: Mode| match mode {
        Mode::Off => true,
        Mode::Strict => false,
        Mode::Filtered(wanted) => {
            let mut at = filters;
            while let Some(current) = at {
                if Arc::ptr_eq(current, &wanted) {
                    return true;
                }
                at = current.before.as_ref();
            }
            false
        }
    };
    let slots = lock(&SLOTS);
    let apart = slots.iter().find(|(_, slot)| slot.upgrade().is_some_and(|slot| !is_among(slot.get())));
    apart.map(|(tid, _)| *tid as u64)
}

/// Whether the thread has given up new privileges, or may administer the system.
fn may_filter() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    sys::syscall(libc::SYS_prctl, [libc::PR_GET_NO_NEW_PRIVS as u64, 0, 0, 0, 0, 0]) == 1
        || process::has_capability(CAP_SYS_ADMIN)
}

/// A mode as text, for the program that is executed.
#[must_use]
pub fn encode(mode: &Mode) -> String {
    let mut programs = Vec::new();
    let mut filter = match mode {
        Mode::Off => return String::new(),
        Mode::Strict => return "strict".to_owned(),
        Mode::Filtered(filter) => Some(filter),
    };
    while let Some(current) = filter {
        let bytes = current.program.insns().iter().flat_map(|insn| insn.to_bytes());
        let listens = if current.listens { "L" } else { "" };
        programs.push(bytes.fold(listens.to_owned(), |text, byte| text + &format!("{byte:02x}")));
        filter = current.before.as_ref();
    }
    programs.join(" ")
}

/// What [`encode`] has written.
#[must_use]
pub fn decode(text: &str) -> Mode {
    if text == "strict" {
        return Mode::Strict;
    }
    let insn =
        |digits: &str| u64::from_str_radix(digits, 16).ok().map(|word| Insn::from_bytes(word.to_be_bytes()));
    let filter = |text: &str| {
        let (listens, text) = text.strip_prefix('L').map_or((false, text), |rest| (true, rest));
        let insns: Option<Vec<Insn>> =
            (0..text.len() / 16).map(|at| insn(text.get(16 * at..16 * at + 16)?)).collect();
        Some((Program::new(insns?)?, listens))
    };
    let filters = text.split_whitespace().rev().filter_map(filter);
    filters.fold(Mode::Off, |mode, (program, listens)| {
        let before = if let Mode::Filtered(filter) = mode { Some(filter) } else { None };
        Mode::Filtered(Arc::new(Filter { program, listens, before }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(returns: &[u32]) -> Mode {
        returns.iter().fold(Mode::Off, |mode, &k| {
            let before = if let Mode::Filtered(filter) = mode { Some(filter) } else { None };
            let program = Program::new(vec![Insn { code: 6, jt: 0, jf: 0, k }]).unwrap();
            Mode::Filtered(Arc::new(Filter { program, listens: k == USER_NOTIF, before }))
        })
    }

    fn verdict(mode: &Mode) -> u32 {
        let Mode::Filtered(filter) = mode else { return ALLOW };
        judge(filter, &[0; DATA]).0
    }

    #[test]
    fn the_least_action_of_the_newest_filter_wins() {
        assert_eq!(verdict(&filter(&[ERRNO | 1, ERRNO | 2])), ERRNO | 2);
        assert_eq!(verdict(&filter(&[KILL_PROCESS, KILL_THREAD])), KILL_PROCESS);
        assert_eq!(verdict(&filter(&[ERRNO | 1, ALLOW])), ERRNO | 1);
        assert_eq!(verdict(&filter(&[LOG, ALLOW])), LOG);
    }

    #[test]
    fn filters_travel_as_text() {
        let there = filter(&[USER_NOTIF, ERRNO | 1, TRAP | 7]);
        let back = decode(&encode(&there));
        assert_eq!((verdict(&back), encode(&back)), (TRAP | 7, encode(&there)));
        assert!(matches!(decode(&encode(&Mode::Strict)), Mode::Strict));
        assert!(matches!(decode(""), Mode::Off));
    }
}
