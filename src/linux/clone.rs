//! How guest threads and processes are born.
//!
//! - `CLONE_VM | CLONE_THREAD`: a host thread made by pthread_create (it needs thread-local storage), which
//!   fits because libc's flags are those that libc uses.
//! - `CLONE_VM | CLONE_VFORK` (vfork, posix_spawn): a host child that really shares memory. It runs a run
//!   loop of its own on the parent's host stack, below the parent's frames, while the kernel keeps the
//!   parent waiting: so the child's error is seen in the parent's memory, as natively.
//! - `CLONE_VM` alone: a host child that shares memory while we go on. It needs thread-local storage of its own, so
//!   a host thread is made for it, gives birth to it, and then only waits, its storage being the child's.
//! - No `CLONE_VM`: fork, with our locks held around it.

use super::clone_args::{
    CHILD_CLEARTID, CHILD_SETTID, CLEAR_SIGHAND, OWN_SPACES, PARENT_SETTID, PIDFD, Request, SETTLS, SIGHAND,
    THREAD, VFORK, VM,
};
use super::signal::Actions;
use super::table::Done;
use super::thread::Thread;
use super::{seccomp, write_guest};
use crate::debug::perf;
use crate::exec::cache::Cache;
use crate::exec::vcpu::Vcpu;
use crate::exec::{Env, jit, offspring};
use crate::host::hidden_fd::HiddenFd;
use crate::host::{files, kept, random, signals, spawn, sys};
use crate::log;
use crate::mem::space;
use guest::GuestAddr;
use guest::state::GuestState;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What a host thread shares with the others by birth; a guest thread that shall not takes its own copy.
const UNSHARED_LATER: u64 = (libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SYSVSEM) as u64;
/// Flags that are carried out here, not by the host kernel.
const OURS: u64 = SETTLS | PARENT_SETTID | CHILD_SETTID | CHILD_CLEARTID | CLEAR_SIGHAND;

pub fn clone(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let request = Request::of_clone(thread.vcpu.env.arch.linux(), args);
    start(thread, &request)
}

pub fn clone3(thread: &mut Thread, &[addr, size, ..]: &[u64; 6]) -> Done {
    match Request::of_clone3(addr, size) {
        Ok(request) => start(thread, &request),
        Err(errno) => Done::errno(errno),
    }
}

pub fn fork(thread: &mut Thread, _args: &[u64; 6]) -> Done {
    start(thread, &Request { exit_signal: libc::SIGCHLD as u64, ..Request::default() })
}

pub fn vfork(thread: &mut Thread, _args: &[u64; 6]) -> Done {
    start(thread, &Request { flags: VM | VFORK, exit_signal: libc::SIGCHLD as u64, ..Request::default() })
}

fn start(thread: &mut Thread, request: &Request) -> Done {
    let flags = request.flags;
    // Only a child with memory of its own is made by clone3: the others would need it where the host's clone puts theirs.
    if request.is_contradiction() || (flags & VM != 0 && request.needs_clone3()) {
        return Done::errno(libc::EINVAL);
    }
    match (flags & VM != 0, flags & VFORK != 0) {
        _ if flags & THREAD != 0 => new_thread(thread, request),
        (true, true) => new_vfork_child(thread, request),
        (true, false) => new_sharing_process(thread, request),
        (false, _) => new_process(thread, request),
    }
}

/// The signal actions of a child: the parent's own table, or a copy.
fn childs_actions(thread: &Thread, flags: u64) -> Arc<Mutex<Actions>> {
    if flags & SIGHAND != 0 {
        return Arc::clone(&thread.actions);
    }
    let copy = thread.actions.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Arc::new(Mutex::new(copy))
}

/// In a new process, before any guest code: what `CLONE_CLEAR_SIGHAND` asks for.
fn clear_actions(child: &Thread, flags: u64) {
    if flags & CLEAR_SIGHAND != 0 {
        super::signal::reset_handlers(child);
    }
}

/// The child's registers: those of the parent, with its own stack, thread pointer and a result of 0.
fn child_state(thread: &Thread, request: &Request) -> Box<GuestState> {
    let mut state = thread.vcpu.state.clone();
    become_childs(&mut state, thread.vcpu.env, request);
    state
}

/// Makes the parent's registers the child's.
fn become_childs(state: &mut GuestState, env: &Env, request: &Request) {
    let arch = env.arch;
    arch.linux().set_syscall_result(state, 0);
    if request.stack != 0 {
        arch.set_stack_pointer(state, GuestAddr(request.stack));
    }
    if request.flags & SETTLS != 0 {
        arch.linux().set_thread_pointer(state, request.tls);
    }
}

/// Where a new thread tells its id, or why it is none.
type Birth = Arc<(Mutex<Option<i64>>, Condvar)>;

fn new_thread(thread: &mut Thread, request: &Request) -> Done {
    thread.save_fp();
    let vcpu = Vcpu::new(thread.vcpu.env, child_state(thread, request), thread.vcpu.policy());
    let birth: Birth = Arc::default();
    let (theirs, request, process, mask) = (Arc::clone(&birth), *request, thread.process, thread.mask);
    let (actions, limit) = (Arc::clone(&thread.actions), Arc::clone(&thread.space_limit));
    let filters = seccomp::attach(thread.seccomp.get());
    let started = spawn::thread(move || {
        // Made here: a rule's machine belongs to the thread that runs it.
        let mut child = Thread::new(process, vcpu, actions, limit);
        child.mask = mask;
        seccomp::name(&filters);
        child.seccomp = filters;
        if request.flags & CHILD_CLEARTID != 0 {
            child.clear_child_tid = request.child_tid;
        }
        let born = set_apart(&child, &request);
        announce(&child, &request, born, &theirs);
        if born.is_ok() {
            child.run();
        }
    });
    if let Err(errno) = started {
        return Done::errno(errno);
    }
    let (lock, told) = &*birth;
    let mut tid = lock.lock().unwrap_or_else(PoisonError::into_inner);
    while tid.is_none() {
        tid = told.wait(tid).unwrap_or_else(PoisonError::into_inner);
    }
    Done::raw(tid.unwrap_or(0))
}

/// In the new thread: gives it what it does not share, and its pidfd to the one that it comes from.
fn set_apart(child: &Thread, request: &Request) -> Result<(), i32> {
    if request.flags & PIDFD != 0 {
        const PIDFD_THREAD: u64 = libc::O_EXCL as u64;
        let pidfd = sys::syscall(libc::SYS_pidfd_open, [child.tid() as u64, PIDFD_THREAD, 0, 0, 0, 0]);
        errno_of(pidfd)?;
        write_guest(request.pidfd, &(pidfd as i32).to_le_bytes())?;
    }
    if request.flags & libc::CLONE_FILES as u64 == 0 {
        kept::fix();
    }
    let apart = UNSHARED_LATER & !request.flags | OWN_SPACES & request.flags;
    if apart == 0 { Ok(()) } else { errno_of(sys::syscall(libc::SYS_unshare, [apart, 0, 0, 0, 0, 0])) }
}

fn errno_of(result: i64) -> Result<(), i32> {
    if result < 0 { Err(-result as i32) } else { Ok(()) }
}

/// In the new thread, before any guest code: its id goes where it was asked for.
fn announce(child: &Thread, request: &Request, born: Result<(), i32>, birth: &Birth) {
    let tid = child.tid();
    let result = born.map_or_else(|errno| -i64::from(errno), |()| i64::from(tid));
    parent_tid(request, result);
    if born.is_ok() && request.flags & CHILD_SETTID != 0 {
        let _ = write_guest(request.child_tid, &tid.to_le_bytes());
    }
    let (lock, told) = &**birth;
    *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    told.notify_one();
}

fn new_vfork_child(thread: &mut Thread, request: &Request) -> Done {
    thread.save_fp();
    let vcpu = Vcpu::new(thread.vcpu.env, child_state(thread, request), thread.vcpu.policy());
    let (actions, limit) = (childs_actions(thread, request.flags), thread.space_limit.copy());
    let mut child = Thread::new(thread.process, vcpu, actions, limit);
    child.mask = thread.mask;
    child.alt_stack = thread.alt_stack;
    child.owns_host_thread = true;
    child.seccomp = seccomp::apart(thread.seccomp.get());
    let parents_port = signals::attached();
    // Everything is blocked across the birth: a signal for the parent must not find the child's port.
    let before = block_all();
    let mut life = || {
        child_tids(&mut child, request);
        clear_actions(&child, request.flags);
        child.run();
        sys::syscall(libc::SYS_exit, [0; 6]);
    };
    let result = kept::lent(|| spawn::vfork(host_flags(request), request.pidfd, &mut life));
    signals::reattach(parents_port);
    restore_mask(before);
    thread.load_fp();
    parent_tid(request, result);
    drop(child);
    Done::Value(result)
}

fn new_sharing_process(thread: &mut Thread, request: &Request) -> Done {
    thread.save_fp();
    let vcpu = Vcpu::new(thread.vcpu.env, child_state(thread, request), thread.vcpu.policy());
    let (cache, port) = (vcpu.cache(), Arc::clone(&vcpu.port));
    let (request, process, mask) = (*request, thread.process, thread.mask);
    let (actions, limit) = (childs_actions(thread, request.flags), thread.space_limit.copy());
    let filters = seccomp::apart(thread.seccomp.get());
    process.memory_is_shared();
    kept::fix();
    let life = move || {
        let mut child = Thread::new(process, vcpu, actions, limit);
        child.mask = mask;
        child.seccomp = filters;
        child.owns_host_thread = true;
        child_tids(&mut child, &request);
        clear_actions(&child, request.flags);
        child.run();
        sys::syscall(libc::SYS_exit, [0; 6]);
    };
    let result =
        spawn::sharing(host_flags(&request), request.pidfd, Box::new(life), move || cache.unregister(&port));
    parent_tid(&request, result);
    Done::Value(result)
}

/// In the child: its id goes where it was asked for, and where it is to be cleared from is noted.
fn child_tids(child: &mut Thread, request: &Request) {
    child.clear_child_tid = if request.flags & CHILD_CLEARTID != 0 { request.child_tid } else { 0 };
    if request.flags & CHILD_SETTID != 0 {
        let _ = write_guest(request.child_tid, &child.tid().to_le_bytes());
    }
}

/// In the parent: the child's id goes where it was asked for. The kernel does not care whether it can be written.
fn parent_tid(request: &Request, result: i64) {
    if result > 0 && request.flags & PARENT_SETTID != 0 {
        let _ = write_guest(request.parent_tid, &(result as i32).to_le_bytes());
    }
}

fn block_all() -> u64 {
    signals::replace_mask(u64::MAX)
}

fn restore_mask(mask: u64) {
    signals::set_mask(mask);
}

fn new_process(thread: &mut Thread, request: &Request) -> Done {
    thread.save_fp();
    let (cache, dispatch) = (thread.vcpu.cache(), thread.process.dispatch);
    thread.vcpu.prepare_for_children(|number| _ = dispatch.entry(number));
    let before = block_all();
    let rules = thread.process.rules.clone();
    let guard = rules.as_ref().map(|rules| rules.before_fork());
    // Other threads cannot do without the locks until the child has gone: then the kernel does not wait for that.
    let by_kernel = Cache::running_threads() == 1;
    let departure = match Departure::of_child(request, by_kernel) {
        Ok(departure) => departure,
        Err(errno) => {
            restore_mask(before);
            return Done::errno(errno);
        }
    };
    if request.flags & libc::CLONE_FILES as u64 != 0 {
        kept::fix();
    }
    let flags = request.flags & !OURS & if by_kernel { u64::MAX } else { !VFORK };
    let born = |alone: bool| {
        if request.needs_clone3() {
            spawn::fork3(flags, request.exit_signal, request.pidfd, &request.wishes)
        } else if alone || flags != 0 || request.exit_signal != libc::SIGCHLD as u64 {
            spawn::raw_fork(flags | request.exit_signal, request.pidfd)
        } else {
            spawn::fork()
        }
    };
    let result = crate::exec::tier::without_background(|| {
        // Nobody else could hold a lock: then none is written to, in the parent's memory or its child's.
        match by_kernel && spawn::is_alone() {
            true => born(true),
            false => with_all_locks(thread, || cache.with_locked(|| born(false))),
        }
    });
    if result == 0 {
        if let Some(guard) = guard {
            guard.child();
        }
        become_child(thread, request);
        if let Some(departure) = departure {
            departure.kept_by_child();
        }
        // Nothing waits in the child's port.
        restore_mask(thread.mask);
        // A value, so that a rule that made the call goes on in the child too.
        return Done::Value(0);
    }
    drop(guard);
    parent_tid(request, result);
    if let Some(departure) = departure {
        departure.wait();
    }
    restore_mask(before);
    Done::Value(result)
}

/// How a parent with other threads waits until a child has executed something or ended (`CLONE_VFORK`): a pipe that only
/// the child has open then.
struct Departure([HiddenFd; 2]);

/// The end of the pipe that a process's parent waits at, or -1.
static AWAITED: AtomicI32 = AtomicI32::new(-1);

impl Departure {
    /// For a child that is waited for, but not by the kernel. With one table of descriptors for both there is no end that
    /// only the child has: then nobody waits.
    fn of_child(request: &Request, by_kernel: bool) -> Result<Option<Self>, i32> {
        let waits = request.flags & (VFORK | libc::CLONE_FILES as u64) == VFORK;
        if by_kernel || !waits {
            return Ok(None);
        }
        let ends = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(Errno::raw_os_error)?;
        Ok(Some(Self([ends.0, ends.1].map(HiddenFd::hide))))
    }

    fn kept_by_child(self) {
        let [_, kept] = self.0;
        AWAITED.store(kept.into_raw(), Ordering::Relaxed);
    }

    /// A child's child is not waited for.
    fn forget() {
        // A child copies a page that is written to.
        if AWAITED.load(Ordering::Relaxed) < 0 {
            return;
        }
        let kept = AWAITED.swap(-1, Ordering::Relaxed);
        files::release(kept);
        drop(files::OwnedFile::from_raw(kept));
    }

    fn wait(self) {
        let [read, kept] = self.0;
        drop(kept);
        let mut none = [0; 1];
        while rustix::io::read(&read, &mut none) == Err(Errno::INTR) {}
    }
}

/// Runs `f` while no other thread holds a lock of ours that a forked child will need. (The cache's are the
/// innermost, and the caller's business.)
fn with_all_locks<T>(thread: &Thread, f: impl FnOnce() -> T) -> T {
    let _actions = thread.actions.lock().unwrap_or_else(PoisonError::into_inner);
    perf::with_locked(|| {
        spawn::with_locked(|| {
            space().with_locked(|| {
                log::with_locked(|| {
                    random::with_locked(|| {
                        seccomp::with_locked(|| kept::with_locked(|| jit::entry::with_locked(f)))
                    })
                })
            })
        })
    })
}

/// The flags that the host kernel shall see.
fn host_flags(request: &Request) -> u64 {
    (request.flags & !OURS) | request.exit_signal
}

/// In the forked child: one thread is left, with nothing pending.
fn become_child(thread: &mut Thread, request: &Request) {
    become_childs(&mut thread.vcpu.state, thread.vcpu.env, request);
    while thread.vcpu.port.take().is_some() {}
    thread.deferred.clear();
    thread.vcpu.cache().forget_other_threads(&thread.vcpu.port);
    thread.owns_host_thread = true;
    Departure::forget();
    spawn::forget_threads();
    offspring::born(jit::slots());
    if request.flags & libc::CLONE_FILES as u64 == 0 {
        kept::forked();
    }
    seccomp::forked(&thread.seccomp);
    perf::forked();
    child_tids(thread, request);
    clear_actions(thread, request.flags);
    thread.state_replaced();
}
