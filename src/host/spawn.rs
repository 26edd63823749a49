//! Host threads and processes for guest threads and processes.
#![allow(unsafe_code)] // pthreads, fork, and a raw clone

use crate::host::sys;
use std::arch::global_asm;
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stack of a host thread that runs guest code: Lua may nest deeply on it.
const STACK_SIZE: u64 = 2 << 20;

/// What a new host thread runs.
type Body = Box<dyn FnOnce() + Send>;
/// Waits for a thread to end.
pub type Joiner = Box<dyn FnOnce() + Send>;

/// A host thread that may be waited for.
struct HostThread {
    handle: libc::pthread_t,
    stack: u64,
    over: Arc<AtomicBool>,
}

/// Threads that have not been joined. Those that are over give their stacks to new ones.
static THREADS: Mutex<Vec<HostThread>> = Mutex::new(Vec::new());
/// How many there are, from before they start until they have been joined.
static THREAD_COUNT: AtomicUsize = AtomicUsize::new(0);

fn threads() -> MutexGuard<'static, Vec<HostThread>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins a thread that is over, if there is one, and takes its stack.
fn recycled_stack() -> Option<u64> {
    let mut threads = threads();
    let index = threads.iter().position(|t| t.over.load(Ordering::Acquire))?;
    let gone = threads.swap_remove(index);
    // SAFETY: started by `start` below and joined nowhere else; it is about to leave, or has.
    unsafe { libc::pthread_join(gone.handle, std::ptr::null_mut()) };
    THREAD_COUNT.fetch_sub(1, Ordering::Relaxed);
    Some(gone.stack)
}

/// Whether this thread is the process's only one, not even with one that is about to leave.
#[must_use]
pub fn is_alone() -> bool {
    while THREAD_COUNT.load(Ordering::Relaxed) > 0 {
        let Some(stack) = recycled_stack() else { return false };
        super::heap::unmap(stack, STACK_SIZE);
    }
    hidden_threads() == 0
}

extern "C" fn enter(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start` gave this box away to us.
    let (body, over) = *unsafe { Box::from_raw(argument.cast::<(Body, Arc<AtomicBool>)>()) };
    body();
    over.store(true, Ordering::Release);
    std::ptr::null_mut()
}

/// Starts a host thread, with all signals blocked, that runs `body` and ends.
pub fn thread(body: impl FnOnce() + Send + 'static) -> Result<(), i32> {
    let before = super::signals::replace_mask(u64::MAX);
    // A thread that forks at once is not alone, though it is in no list yet.
    THREAD_COUNT.fetch_add(1, Ordering::Relaxed);
    let started = start(Box::new(body));
    super::signals::set_mask(before);
    let started = started.inspect_err(|_| _ = THREAD_COUNT.fetch_sub(1, Ordering::Relaxed));
    threads().push(started?);
    Ok(())
}

/// Ids of threads that are no guest's: the guest does not see them.
static HIDDEN: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];

/// Whether a thread id is that of a thread of ours.
#[must_use]
pub fn is_hidden(tid: i32) -> bool {
    HIDDEN.iter().any(|slot| slot.load(Ordering::Relaxed) == tid)
}

/// How many threads of ours there are.
#[must_use]
pub fn hidden_threads() -> usize {
    HIDDEN.iter().filter(|slot| slot.load(Ordering::Relaxed) != 0).count()
}

/// What threads of ours are called, for those who look from other processes.
pub const NAME: &CStr = c"qemu-lua";

/// Runs `f` as a thread of ours; it is given the thread's id.
fn hidden(f: impl FnOnce(i32)) {
    let name = [libc::PR_SET_NAME as u64, NAME.as_ptr() as u64, 0, 0, 0, 0];
    super::sys::syscall(libc::SYS_prctl, name);
    let tid = super::sys::syscall(libc::SYS_gettid, [0; 6]) as i32;
    let claim =
        |slot: &&AtomicI32| slot.compare_exchange(0, tid, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    let slot = HIDDEN.iter().find(claim);
    f(tid);
    if let Some(slot) = slot {
        slot.store(0, Ordering::Relaxed);
    }
}

/// The process whose memory this is.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Whether this process has its memory for itself. One that borrows it (vfork, `CLONE_VM`) takes its threads along when it
/// ends or executes something, with whatever locks they hold; and what it noted of its descriptors would be taken for the
/// lender's.
#[must_use]
pub fn owns_memory() -> bool {
    OWNER.load(Ordering::Relaxed) == own_pid()
}

fn own_pid() -> i32 {
    super::sys::syscall(libc::SYS_getpid, [0; 6]) as i32
}

/// This process has its memory for itself: at the start, and in a forked child.
pub fn own_memory() {
    OWNER.store(own_pid(), Ordering::Relaxed);
}

/// Starts a thread of ours that the caller joins by calling the result. EBUSY in a process that borrows its memory.
pub fn joinable(body: Body) -> Result<Joiner, i32> {
    if !owns_memory() {
        return Err(libc::EBUSY);
    }
    let before = super::signals::replace_mask(u64::MAX);
    let tid = Arc::new(AtomicI32::new(0));
    let theirs = Arc::clone(&tid);
    let started = start(Box::new(move || {
        hidden(|tid| {
            theirs.store(tid, Ordering::Release);
            body();
        });
    }));
    super::signals::set_mask(before);
    let started = started?;
    Ok(Box::new(move || {
        // SAFETY: started by us and joined nowhere else.
        unsafe { libc::pthread_join(started.handle, std::ptr::null_mut()) };
        wait_until_gone(tid.load(Ordering::Acquire));
        started.over.store(true, Ordering::Release);
        super::heap::unmap(started.stack, STACK_SIZE);
    }))
}

/// The C library's join returns when the thread has left memory; for the kernel the process has one thread less (as
/// unshare(2) demands) only a moment later.
fn wait_until_gone(tid: i32) {
    const TRIES: u32 = 100_000;
    let process = super::sys::syscall(libc::SYS_getpid, [0; 6]) as u64;
    for _ in 0..TRIES {
        if super::sys::syscall(libc::SYS_tgkill, [process, tid as u64, 0, 0, 0, 0]) != 0 {
            return;
        }
        super::sys::syscall(libc::SYS_sched_yield, [0; 6]);
    }
}

/// The C library takes a signal for itself when it makes its first thread: the guest gets it back.
fn keeping_signals<T>(f: impl FnOnce() -> T) -> T {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    const SIGSETXID: i32 = 33;
    if TAKEN.load(Ordering::Relaxed) {
        return f();
    }
    let before = super::signals::current_action(SIGSETXID);
    let result = f();
    // Cannot fail: the signal is valid and the action was in use.
    let _ = before.and_then(|action| super::signals::restore_action(SIGSETXID, &action));
    TAKEN.store(true, Ordering::Relaxed);
    result
}

fn start(body: Body) -> Result<HostThread, i32> {
    let stack = recycled_stack().or_else(|| super::heap::map(STACK_SIZE)).ok_or(libc::EAGAIN)?;
    let over = Arc::new(AtomicBool::new(false));
    let argument = Box::into_raw(Box::new((body, Arc::clone(&over))));
    let mut handle: libc::pthread_t = 0;
    // SAFETY: all zeroes is a valid object for pthread_attr_init to overwrite.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: initialised here, used and destroyed below.
    let error = unsafe {
        libc::pthread_attr_init(&raw mut attributes);
        libc::pthread_attr_setstack(&raw mut attributes, stack as *mut c_void, STACK_SIZE as usize);
        let error = keeping_signals(|| {
            libc::pthread_create(&raw mut handle, &raw const attributes, enter, argument.cast())
        });
        libc::pthread_attr_destroy(&raw mut attributes);
        error
    };
    if error != 0 {
        // SAFETY: the thread that would have taken it does not exist.
        drop(unsafe { Box::from_raw(argument) });
        super::heap::unmap(stack, STACK_SIZE);
        return Err(error);
    }
    Ok(HostThread { handle, stack, over })
}

/// Keeps the list of threads still while `f` runs: a fork in the middle of a change would leave the child with
/// a lock that nobody opens.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _threads = threads();
    super::heap::with_locked(f)
}

/// In a forked child: the other threads are gone, their stacks are free.
pub fn forget_threads() {
    own_memory();
    if THREAD_COUNT.load(Ordering::Relaxed) > 0 {
        threads().clear();
        THREAD_COUNT.store(0, Ordering::Relaxed);
    }
    HIDDEN.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
}

/// `fork(2)` through libc, which puts its own locks in order in the child. 0 in the child, the child's pid
/// in the parent, or `-errno`.
pub fn fork() -> i64 {
    // SAFETY: our own locks are held by this thread (callers see to that), libc's are libc's business.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN))
    } else {
        i64::from(pid)
    }
}

/// A fork with clone flags (namespaces, pidfd). Results as [`fork`].
pub fn raw_fork(flags: u64, pidfd: u64) -> i64 {
    sys::syscall(libc::SYS_clone, [flags, 0, pidfd, 0, 0, 0])
}

/// What only clone3 gives a child: ids of its choice, a cgroup.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wishes {
    /// Where the ids are, and how many.
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// A fork with clone3's flags and wishes. Results as [`fork`].
pub fn fork3(flags: u64, exit_signal: u64, pidfd: u64, wishes: &Wishes) -> i64 {
    let Wishes { set_tid, set_tid_size, cgroup } = *wishes;
    let args = [flags, pidfd, 0, 0, exit_signal, 0, 0, 0, set_tid, set_tid_size, cgroup];
    sys::syscall(libc::SYS_clone3, [args.as_ptr() as u64, size_of_val(&args) as u64, 0, 0, 0, 0])
}

global_asm!(
    ".pushsection .text.qemu_lua_vfork,\"ax\",@progbits",
    ".globl qemu_lua_vfork",
    // rdi: flags, rsi: function, rdx: its argument, rcx: where the pidfd goes
    "qemu_lua_vfork:",
    "push rbx",
    "push r12",
    "push r13",
    "mov rbx, rsi",
    "mov r12, rdx",
    "mov rdx, rcx",
    "xor esi, esi",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "pop r13",
    "pop r12",
    "pop rbx",
    "ret",
    // The child: below the parent's frame, which it must leave as it is.
    "2:",
    "sub rsp, 256",
    "and rsp, -16",
    "mov rdi, r12",
    "call rbx",
    "ud2",
    // rdi: flags, rsi: stack, rdx: where the pidfd goes, rcx: cleared at the end, r8: function, r9: its argument
    ".globl qemu_lua_clone",
    "qemu_lua_clone:",
    "push rbx",
    "push r12",
    "mov rbx, r8",
    "mov r12, r9",
    "mov r10, rcx",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 3f",
    "pop r12",
    "pop rbx",
    "ret",
    "3:",
    "xor ebp, ebp",
    "mov rdi, r12",
    "call rbx",
    "ud2",
    ".popsection",
);

unsafe extern "C" {
    fn qemu_lua_vfork(
        flags: u64,
        function: extern "C" fn(*mut c_void),
        argument: *mut c_void,
        pidfd: u64,
    ) -> i64;
    fn qemu_lua_clone(
        flags: u64,
        stack: u64,
        pidfd: u64,
        alive: *const AtomicU32,
        function: extern "C" fn(*mut c_void),
        argument: *mut c_void,
    ) -> i64;
}

/// A child that shares our memory while we wait: runs `body`, which must not return. Results as [`fork`],
/// but never 0.
pub fn vfork(flags: u64, pidfd: u64, mut body: &mut dyn FnMut()) -> i64 {
    extern "C" fn run(argument: *mut c_void) {
        let body = argument.cast::<&mut dyn FnMut()>();
        // SAFETY: `argument` is the `body` of the frame below, which the waiting parent keeps alive.
        unsafe { (*body)() };
    }
    // SAFETY: CLONE_VFORK keeps the parent from running until the child has gone; the child runs on the
    // stack below this frame and shares thread-local storage, which the caller puts back in order.
    unsafe { qemu_lua_vfork(flags, run, (&raw mut body).cast(), pidfd) }
}

/// What a birth gave, and a flag to wait for it.
#[derive(Default)]
struct Birth {
    told: AtomicU32,
    result: AtomicI64,
}

/// A child that shares our memory and runs beside us: `body` must not return. `after` runs when it has gone. Results
/// as [`fork`], but never 0.
///
/// The child's thread-local storage is that of a thread made for it, which until the child's end does nothing that would
/// touch it.
pub fn sharing(flags: u64, pidfd: u64, body: Body, after: impl FnOnce() + Send + 'static) -> i64 {
    let birth = Arc::new(Birth::default());
    let theirs = Arc::clone(&birth);
    let started = thread(move || {
        hidden(|_| give_birth(flags, pidfd, body, &theirs));
        after();
    });
    if let Err(errno) = started {
        return -i64::from(errno);
    }
    while birth.told.load(Ordering::Acquire) == 0 {
        futex(&birth.told, libc::FUTEX_WAIT, 0);
    }
    birth.result.load(Ordering::Relaxed)
}

fn futex(word: &AtomicU32, op: i32, value: u32) {
    sys::syscall(libc::SYS_futex, [std::ptr::from_ref(word) as u64, op as u64, u64::from(value), 0, 0, 0]);
}

fn give_birth(flags: u64, pidfd: u64, body: Body, birth: &Birth) {
    extern "C" fn run(argument: *mut c_void) {
        // SAFETY: `give_birth` gave this box away to the child.
        let body = *unsafe { Box::from_raw(argument.cast::<Body>()) };
        body();
    }
    let tell = |result: i64| {
        birth.result.store(result, Ordering::Relaxed);
        birth.told.store(1, Ordering::Release);
        futex(&birth.told, libc::FUTEX_WAKE, 1);
    };
    let Some(stack) = super::heap::map(STACK_SIZE) else { return tell(-i64::from(libc::EAGAIN)) };
    let argument = Box::into_raw(Box::new(body));
    let alive = AtomicU32::new(1);
    let flags = flags | libc::CLONE_CHILD_CLEARTID as u64;
    // SAFETY: the child has a stack of its own, and this thread's storage for itself until `alive` is cleared.
    let result =
        unsafe { qemu_lua_clone(flags, stack + STACK_SIZE, pidfd, &raw const alive, run, argument.cast()) };
    tell(result);
    if result < 0 {
        // SAFETY: the child that would have taken it does not exist.
        drop(unsafe { Box::from_raw(argument) });
    } else {
        while alive.load(Ordering::Acquire) != 0 {
            futex(&alive, libc::FUTEX_WAIT, 1);
        }
    }
    super::heap::unmap(stack, STACK_SIZE);
}
