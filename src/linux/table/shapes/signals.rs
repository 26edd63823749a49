//! Signals and time.

use super::Field::{Bits32, I32, I64, Inner, Pointer, U64};
use super::{Field, Member, Shape, same};
use crate::linux::table::names as n;

pub const TIMESPEC_FIELDS: &[Member] = &[("tv_sec", 0, I64), ("tv_nsec", 8, I64)];
pub const TIMEVAL_FIELDS: &[Member] = &[("tv_sec", 0, I64), ("tv_usec", 8, I64)];

pub const TIMESPEC: Shape = same("struct timespec", 16, TIMESPEC_FIELDS);
pub const TIMEVAL: Shape = same("struct timeval", 16, TIMEVAL_FIELDS);
pub const ITIMERSPEC: Shape = same(
    "struct itimerspec",
    32,
    &[("it_interval", 0, Inner(TIMESPEC_FIELDS)), ("it_value", 16, Inner(TIMESPEC_FIELDS))],
);
pub const ITIMERVAL: Shape = same(
    "struct itimerval",
    32,
    &[("it_interval", 0, Inner(TIMEVAL_FIELDS)), ("it_value", 16, Inner(TIMEVAL_FIELDS))],
);
pub const TIMEZONE: Shape = same("struct timezone", 8, &[("tz_minuteswest", 0, I32), ("tz_dsttime", 4, I32)]);
pub const TIMEX: Shape = same(
    "struct timex",
    208,
    &[
        ("modes", 0, Bits32(n::ADJUST)),
        ("offset", 8, I64),
        ("freq", 16, I64),
        ("maxerror", 24, I64),
        ("esterror", 32, I64),
        ("status", 40, Bits32(n::TIME_STATUS)),
        ("constant", 48, I64),
        ("precision", 56, I64),
        ("tolerance", 64, I64),
        ("time", 72, Inner(TIMEVAL_FIELDS)),
        ("tick", 88, I64),
        ("ppsfreq", 96, I64),
        ("jitter", 104, I64),
        ("shift", 112, I32),
        ("stabil", 120, I64),
        ("jitcnt", 128, I64),
        ("calcnt", 136, I64),
        ("errcnt", 144, I64),
        ("stbcnt", 152, I64),
        ("tai", 160, I32),
    ],
);
pub const MOMENT: Shape = Shape::Single(8, &Field::Moment);
pub const SIGNAL_SET: Shape = same("sigset_t", 8, &[("", 0, Field::SignalSet)]);
pub const SIGNAL_NUMBER: Shape = Shape::Single(4, &Field::Signal);
pub const SIGINFO: Shape = Shape::SignalInfo;
pub const SIGNAL_EVENT: Shape = Shape::SignalEvent;
pub const SIGNAL_STACK: Shape = same(
    "stack_t",
    24,
    &[("ss_sp", 0, Pointer), ("ss_flags", 8, Bits32(n::SIGNAL_STACK)), ("ss_size", 16, U64)],
);
/// `pselect6`'s last argument.
pub const MASK_AND_SIZE: Shape =
    same("sigset and size", 16, &[("sigmask", 0, Field::SignalSetAt), ("sigsetsize", 8, U64)]);
