//! Signals and time.

use super::kinds::Kind::*;
use super::{names as n, rows, shapes as s};
use crate::linux::{alt_stack, signal};

rows! { SIGNALS:
    /// The action is ours; the host's handler queues for it.
    emulate(signal::rt_sigaction) rt_sigaction(sig: Signal, act: Takes(s::Shape::SignalAction), oact: Gives(s::Shape::SignalAction), sigsetsize: Size);
    /// The guest's mask is the host thread's, but for the signals of traps.
    emulate(signal::rt_sigprocmask) rt_sigprocmask(how: OneOf(n::HOW), nset: Takes(s::SIGNAL_SET), oset: Gives(s::SIGNAL_SET), sigsetsize: Size);
    /// The frame is the guest's.
    emulate(signal::rt_sigreturn) rt_sigreturn();
    /// As rt_sigprocmask.
    emulate(signal::rt_sigsuspend) rt_sigsuspend(unewset: Takes(s::SIGNAL_SET), sigsetsize: Size);
    /// Signals that we hold count as pending.
    translate(signal::rt_sigpending) rt_sigpending(uset: Gives(s::SIGNAL_SET), sigsetsize: Size);
    block rt_sigtimedwait(uthese: Takes(s::SIGNAL_SET), uinfo: Gives(s::SIGINFO), uts: Takes(s::TIMESPEC), sigsetsize: Size) -> Signal;
    pass rt_sigqueueinfo(pid: Int, sig: Signal, uinfo: Takes(s::SIGINFO));
    pass rt_tgsigqueueinfo(tgid: Int, pid: Int, sig: Signal, uinfo: Takes(s::SIGINFO));
    /// The guest's alternate stack is ours to switch to.
    emulate(alt_stack::sigaltstack) sigaltstack(uss: Takes(s::SIGNAL_STACK), uoss: Gives(s::SIGNAL_STACK));
    pass kill(pid: Int, sig: Signal);
    pass tkill(pid: Int, sig: Signal);
    pass tgkill(tgid: Int, pid: Int, sig: Signal);
    block pause();
    pass alarm(seconds: Size);
    pass signalfd(ufd: Int, user_mask: Takes(s::SIGNAL_SET), sizemask: Size) -> Descriptor;
    pass signalfd4(ufd: Int, user_mask: Takes(s::SIGNAL_SET), sizemask: Size, flags: Bits(n::SIGNALFD)) -> Descriptor;
    block restart_syscall();
}

rows! { TIME:
    pass time(tloc: Gives(s::MOMENT)) -> Moment;
    pass gettimeofday(tv: Gives(s::TIMEVAL), tz: Gives(s::TIMEZONE));
    pass settimeofday(tv: Takes(s::TIMEVAL), tz: Takes(s::TIMEZONE));
    pass clock_gettime(which_clock: OneOf(n::CLOCK), tp: Gives(s::TIMESPEC));
    pass clock_settime(which_clock: OneOf(n::CLOCK), tp: Takes(s::TIMESPEC));
    pass clock_getres(which_clock: OneOf(n::CLOCK), tp: Gives(s::TIMESPEC));
    pass clock_adjtime(which_clock: OneOf(n::CLOCK), tx: Both(s::TIMEX)) -> Named(n::TIME_STATE);
    pass adjtimex(txc_p: Both(s::TIMEX)) -> Named(n::TIME_STATE);
    block nanosleep(rqtp: Takes(s::TIMESPEC), rmtp: Remaining(s::TIMESPEC));
    block clock_nanosleep(which_clock: OneOf(n::CLOCK), flags: Bits(n::TIMER), rqtp: Takes(s::TIMESPEC), rmtp: Remaining(s::TIMESPEC));
    pass getitimer(which: OneOf(n::ITIMER), value: Gives(s::ITIMERVAL));
    pass setitimer(which: OneOf(n::ITIMER), value: Takes(s::ITIMERVAL), ovalue: Gives(s::ITIMERVAL));
    pass timer_create(which_clock: OneOf(n::CLOCK), timer_event_spec: Takes(s::SIGNAL_EVENT), created_timer_id: Gives(s::INT));
    pass timer_settime(timer_id: Int, flags: Bits(n::TIMER), new_setting: Takes(s::ITIMERSPEC), old_setting: Gives(s::ITIMERSPEC));
    pass timer_gettime(timer_id: Int, setting: Gives(s::ITIMERSPEC));
    pass timer_getoverrun(timer_id: Int);
    pass timer_delete(timer_id: Int);
    pass timerfd_create(clockid: OneOf(n::CLOCK), flags: Bits(n::TIMERFD)) -> Descriptor;
    pass timerfd_settime(ufd: Fd, flags: Bits(n::TIMERFD_SET), utmr: Takes(s::ITIMERSPEC), otmr: Gives(s::ITIMERSPEC));
    pass timerfd_gettime(ufd: Fd, otmr: Gives(s::ITIMERSPEC));
}
