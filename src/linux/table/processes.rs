//! Processes and threads: birth, death, identity, limits, scheduling.

use super::kinds::Kind::*;
use super::{commands as c, names as n, rows, shapes as s};
use crate::linux::{clone, exec, futex, limits, process, seccomp};

rows! { PROCESSES:
    /// A thread or process of the host that stays under the emulator.
    emulate(clone::clone) clone(flags: Birth, newsp: Verbatim, parent_tidptr: Address, child_tidptr: Address, tls: Address) -> Birth;
    /// As clone.
    emulate(clone::clone3) clone3(uargs: Births, size: Size) -> Birth;
    /// As clone.
    emulate(clone::fork) fork() -> Birth;
    /// As clone; the memory is really shared.
    emulate(clone::vfork) vfork() -> Birth;
    /// The emulator executes itself with the new program (see --exec).
    emulate(exec::execve) execve(filename: Path, argv: Strings, envp: Environment);
    /// As execve.
    emulate(exec::execveat) execveat(dfd: DirFd, filename: Path, argv: Strings, envp: Environment, flags: Bits(n::AT));
    /// Ends the guest's thread and ours.
    emulate(process::exit) exit(error_code: Int) -> Never;
    /// Lets rules finish their files first.
    emulate(process::exit_group) exit_group(error_code: Int) -> Never;
    block wait4(upid: Int, stat_addr: Gives(s::STATUS), options: Bits(n::WAIT), ru: Gives(s::RUSAGE));
    block waitid(which: OneOf(n::WAIT_ID), upid: Int, infop: Gives(s::SIGINFO), options: Bits(n::WAIT), ru: Gives(s::RUSAGE));
    pass getpid();
    pass getppid();
    pass gettid();
    /// The address is cleared when the guest's thread ends.
    emulate(process::set_tid_address) set_tid_address(tidptr: Verbatim);
    pass set_robust_list(head: Address, len: Size);
    pass get_robust_list(pid: Int, head_ptr: Gives(s::POINTER), len_ptr: Gives(s::LONG));
    /// ENOSYS: a restartable sequence would have to be aborted at every preemption, which the host does not tell of.
    emulate(process::rseq) rseq(rseq: Address, rseq_len: Size, flags: Hex, sig: Hex);
    /// Futexes are the host's: guest addresses are host addresses.
    translate(futex::futex) futex(uaddr: Address, op: By(&c::FUTEX), val: Int, utime: Address, uaddr2: Address, val3: Hex);
    block futex_wait(uaddr: Address, val: Hex, mask: Hex, flags: Choice(n::FUTEX2, n::FUTEX2_FLAGS), timeout: Takes(s::TIMESPEC), clockid: OneOf(n::CLOCK));
    pass futex_wake(uaddr: Address, mask: Hex, nr: Int, flags: Choice(n::FUTEX2, n::FUTEX2_FLAGS));
    pass futex_requeue(waiters: Takes(s::TWO_WAITERS), flags: Hex, nr_wake: Int, nr_requeue: Int);
    block futex_waitv(waiters: Each(s::FUTEX_WAITER), nr_futexes: Size, flags: Hex, timeout: Takes(s::TIMESPEC), clockid: OneOf(n::CLOCK));
    pass process_mrelease(pidfd: Fd, flags: Hex);
    pass listns(req: Address, ns_ids: Address, nr_ns_ids: Size, flags: Hex);
    pass pidfd_open(pid: Int, flags: Bits(n::PIDFD)) -> Descriptor;
    pass pidfd_send_signal(pidfd: Fd, sig: Signal, info: Takes(s::SIGINFO), flags: Hex);
    pass pidfd_getfd(pidfd: Fd, fd: Int, flags: Hex) -> Descriptor;
    pass getpgid(pid: Int);
    pass setpgid(pid: Int, pgid: Int);
    pass getpgrp();
    pass getsid(pid: Int);
    pass setsid();
    pass getuid();
    pass geteuid();
    pass getgid();
    pass getegid();
    pass getresuid(ruid: Gives(s::INT), euid: Gives(s::INT), suid: Gives(s::INT));
    pass getresgid(rgid: Gives(s::INT), egid: Gives(s::INT), sgid: Gives(s::INT));
    alone setuid(uid: Int);
    alone setgid(gid: Int);
    alone setreuid(ruid: Int, euid: Int);
    alone setregid(rgid: Int, egid: Int);
    alone setresuid(ruid: Int, euid: Int, suid: Int);
    alone setresgid(rgid: Int, egid: Int, sgid: Int);
    alone setfsuid(uid: Int);
    alone setfsgid(gid: Int);
    pass getgroups(gidsetsize: Int, grouplist: GivesEach(s::GROUP));
    alone setgroups(gidsetsize: Int, grouplist: Groups);
    pass capget(header: Both(s::CAP_HEADER), dataptr: Gives(s::CAP_DATA));
    alone capset(header: Takes(s::CAP_HEADER), data: Takes(s::CAP_DATA));
    /// After background threads of ours were stopped.
    translate(process::unshare) unshare(unshare_flags: Bits(n::UNSHARE));
    alone setns(fd: Fd, flags: Bits(n::UNSHARE));
    /// System call filters are ours; the layout of memory (PR_SET_MM), dispatch by signals, PR_SET_MDWE and a time stamp
    /// counter that faults are refused; the rest is the host's.
    translate(process::prctl) prctl(option: By(&c::PRCTL), arg2: Hex, arg3: Hex, arg4: Hex, arg5: Hex);
    /// Segment bases are the guest's registers.
    emulate(process::arch_specific) arch_prctl(option: By(&c::ARCH_PRCTL), arg2: Hex);
    /// RLIMIT_AS is the guest's own: what the emulator maps does not count.
    translate(limits::getrlimit) getrlimit(resource: OneOf(n::RESOURCE), rlim: Gives(s::RLIMIT));
    /// As getrlimit.
    translate(limits::setrlimit) setrlimit(resource: OneOf(n::RESOURCE), rlim: Takes(s::RLIMIT));
    /// As getrlimit, where it is about the calling process.
    translate(limits::prlimit64) prlimit64(pid: Int, resource: OneOf(n::RESOURCE), new_rlim: Takes(s::RLIMIT), old_rlim: Gives(s::RLIMIT));
    pass getrusage(who: OneOf(n::RUSAGE), ru: Gives(s::RUSAGE));
    pass times(tbuf: Gives(s::TMS));
    pass getpriority(which: OneOf(n::PRIORITY), who: Int);
    pass setpriority(which: OneOf(n::PRIORITY), who: Int, niceval: Int);
    pass ioprio_get(which: OneOf(n::IO_PRIORITY), who: Int) -> IoPriority;
    pass ioprio_set(which: OneOf(n::IO_PRIORITY), who: Int, ioprio: IoPriority);
    pass sched_yield();
    pass sched_setaffinity(pid: Int, len: Size, mask: TakesCpus);
    pass sched_getaffinity(pid: Int, len: Size, mask: GivesCpus);
    pass sched_setscheduler(pid: Int, policy: Choice(n::SCHEDULER, n::RESET_ON_FORK), param: Takes(s::SCHED_PARAM));
    pass sched_getscheduler(pid: Int) -> Named(n::SCHEDULER);
    pass sched_setparam(pid: Int, param: Takes(s::SCHED_PARAM));
    pass sched_getparam(pid: Int, param: Gives(s::SCHED_PARAM));
    pass sched_setattr(pid: Int, uattr: Takes(s::SCHED_ATTR), flags: Hex);
    pass sched_getattr(pid: Int, uattr: Gives(s::SCHED_ATTR), usize: Size, flags: Hex);
    pass sched_get_priority_max(policy: OneOf(n::SCHEDULER));
    pass sched_get_priority_min(policy: OneOf(n::SCHEDULER));
    pass sched_rr_get_interval(pid: Int, interval: Gives(s::TIMESPEC));
    pass getcpu(cpup: Gives(s::INT), nodep: Gives(s::INT), unused: Address);
    pass personality(personality: Personality) -> Personality;
    /// Tracing among guest processes is not there yet: a tracer would see the emulator's registers.
    refuse(EPERM) ptrace(request: By(&c::PTRACE), pid: Int, addr: Hex, data: Hex);
    pass kcmp(pid1: Int, pid2: Int, kind: OneOf(n::COMPARISON), idx1: Hex, idx2: Hex);
    /// Filters are run by the emulator, on the guest's calls, before rules. A listener does not learn the pc.
    emulate(seccomp::seccomp) seccomp(op: By(&c::SECCOMP), flags: Hex, uargs: Address) -> Descriptor;
    pass landlock_create_ruleset(attr: Takes(s::LANDLOCK_RULESET), size: Size, flags: Bits(n::LANDLOCK_CREATE)) -> Descriptor;
    pass landlock_add_rule(ruleset_fd: Fd, rule_type: By(&c::LANDLOCK_RULES), rule_attr: Address, flags: Hex);
    alone landlock_restrict_self(ruleset_fd: Fd, flags: Hex);
    pass lsm_get_self_attr(attr: Hex, ctx: Address, size: Address, flags: Hex);
    pass lsm_set_self_attr(attr: Hex, ctx: Address, size: Size, flags: Hex);
    pass lsm_list_modules(ids: Address, size: Address, flags: Hex);
    pass vhangup();
}
