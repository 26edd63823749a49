//! Structures that system calls take and give, as far as a trace line shows them.
//!
//! Every shape is a list of fields with their offsets; those that differ between architectures have a list for each.

/// How a field of a structure is shown.
#[derive(Clone, Copy)]
pub enum Field {
    I32,
    U32,
    U64,
    I64,
    U16,
    I16,
    /// `F_RDLCK` and so on.
    I16Lock,
    Hex32,
    Hex64,
    Mode,
    Signal,
    /// A set of signals, 64 bits.
    SignalSet,
    /// Text of up to so many bytes, ended by NUL.
    Text(u16),
    /// Bits with names, of 16, 32 or 64 bits.
    Bits16(super::kinds::Names),
    Bits32(super::kinds::Names),
    Bits64(super::kinds::Names),
    /// One of some values, of 32 bits.
    OneOf32(super::kinds::Names),
    /// A structure within.
    Inner(&'static [Member]),
}

/// A field: its name, offset in bytes, and kind.
pub type Member = (&'static str, u16, Field);

/// A structure.
#[derive(Clone, Copy)]
pub enum Shape {
    /// The same on all architectures: name, size in bytes, fields.
    Same(&'static str, u16, &'static [Member]),
    /// A number without a name, of that many bytes.
    Number(u16),
    /// Several in brackets: their count and size.
    Row(u16, &'static Shape),
    /// What `wait` says of a child's end.
    Status,
    /// `struct stat`, whose layout differs.
    Stat,
    /// `struct epoll_event`, whose layout differs.
    EpollEvent,
    /// `struct sigaction` of the kernel.
    SignalAction,
    /// `struct iovec`, with what it points to.
    Iovec,
    /// `struct msghdr`: buffers are shown if they are read.
    Message,
    /// `struct mmsghdr`: the same with a length.
    MessageOfMany,
}

impl Shape {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Same(name, ..) => name,
            Self::Number(_) => "number",
            Self::Row(..) => "array",
            Self::Status => "wait status",
            Self::Stat => "struct stat",
            Self::EpollEvent => "struct epoll_event",
            Self::SignalAction => "struct sigaction",
            Self::Iovec => "struct iovec",
            Self::Message => "struct msghdr",
            Self::MessageOfMany => "struct mmsghdr",
        }
    }
}

use super::names as n;
use Field::{
    Bits16, Bits32, Bits64, Hex32, Hex64, I32, I64, Inner, OneOf32, Signal as Sig, SignalSet, Text, U16, U32,
    U64,
};

const fn same(name: &'static str, size: u16, fields: &'static [Member]) -> Shape {
    Shape::Same(name, size, fields)
}

const TIMESPEC_FIELDS: &[Member] = &[("tv_sec", 0, I64), ("tv_nsec", 8, I64)];
const TIMEVAL_FIELDS: &[Member] = &[("tv_sec", 0, I64), ("tv_usec", 8, I64)];
const STATX_TIME: &[Member] = &[("tv_sec", 0, I64), ("tv_nsec", 8, U32)];

pub const INT: Shape = Shape::Number(4);
pub const LONG: Shape = Shape::Number(8);
pub const TWO_INTS: Shape = Shape::Row(2, &INT);
pub const TWO_LONGS: Shape = Shape::Row(2, &LONG);
pub const TWO_TIMESPECS: Shape = Shape::Row(2, &TIMESPEC);
pub const TWO_TIMEVALS: Shape = Shape::Row(2, &TIMEVAL);
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
pub const UTIMBUF: Shape = same("struct utimbuf", 16, &[("actime", 0, I64), ("modtime", 8, I64)]);
pub const TMS: Shape = same(
    "struct tms",
    32,
    &[("tms_utime", 0, I64), ("tms_stime", 8, I64), ("tms_cutime", 16, I64), ("tms_cstime", 24, I64)],
);
pub const TIMEX: Shape = same(
    "struct timex",
    208,
    &[
        ("modes", 0, Hex32),
        ("offset", 8, I64),
        ("freq", 16, I64),
        ("maxerror", 24, I64),
        ("status", 40, Hex32),
    ],
);
pub const RLIMIT: Shape = same("struct rlimit", 16, &[("rlim_cur", 0, U64), ("rlim_max", 8, U64)]);
pub const RUSAGE: Shape = same(
    "struct rusage",
    144,
    &[
        ("ru_utime", 0, Inner(TIMEVAL_FIELDS)),
        ("ru_stime", 16, Inner(TIMEVAL_FIELDS)),
        ("ru_maxrss", 32, I64),
        ("ru_minflt", 64, I64),
        ("ru_majflt", 72, I64),
    ],
);
pub const STATUS: Shape = Shape::Status;
pub const SIGNAL_SET: Shape = same("sigset_t", 8, &[("", 0, SignalSet)]);
pub const SIGINFO: Shape = same(
    "siginfo_t",
    128,
    &[
        ("si_signo", 0, Sig),
        ("si_errno", 4, I32),
        ("si_code", 8, OneOf32(n::SIGNAL_CODE)),
        ("si_pid", 16, I32),
        ("si_uid", 20, U32),
    ],
);
pub const SIGNAL_STACK: Shape = same(
    "stack_t",
    24,
    &[("ss_sp", 0, Hex64), ("ss_flags", 8, Bits32(n::SIGNAL_STACK)), ("ss_size", 16, U64)],
);
pub const SIGNALFD_SIGEVENT: Shape = same(
    "struct sigevent",
    64,
    &[("sigev_value", 0, Hex64), ("sigev_signo", 8, Sig), ("sigev_notify", 12, OneOf32(n::SIGEV))],
);
pub const POLLFD: Shape = same(
    "struct pollfd",
    8,
    &[("fd", 0, I32), ("events", 4, Bits16(n::POLL)), ("revents", 6, Bits16(n::POLL))],
);
/// The first 64 descriptors of an `fd_set`.
pub const FD_SET: Shape = same("fd_set", 8, &[("fds", 0, Hex64)]);
/// `pselect6`'s last argument.
pub const MASK_AND_SIZE: Shape = same("sigset and size", 16, &[("ss", 0, Hex64), ("ss_len", 8, U64)]);
pub const STATFS: Shape = same(
    "struct statfs",
    120,
    &[
        ("f_type", 0, Hex64),
        ("f_bsize", 8, I64),
        ("f_blocks", 16, U64),
        ("f_bfree", 24, U64),
        ("f_bavail", 32, U64),
        ("f_files", 40, U64),
        ("f_ffree", 48, U64),
        ("f_namelen", 64, I64),
        ("f_flags", 80, Hex64),
    ],
);
pub const STATX: Shape = same(
    "struct statx",
    256,
    &[
        ("stx_mask", 0, Bits32(n::STATX)),
        ("stx_nlink", 16, U32),
        ("stx_uid", 20, U32),
        ("stx_gid", 24, U32),
        ("stx_mode", 28, Field::Mode),
        ("stx_ino", 32, U64),
        ("stx_size", 40, U64),
        ("stx_mtime", 112, Inner(STATX_TIME)),
    ],
);
pub const OPEN_HOW: Shape = same(
    "struct open_how",
    24,
    &[("flags", 0, Hex64), ("mode", 8, Hex64), ("resolve", 16, Bits64(n::RESOLVE))],
);
pub const UTSNAME: Shape = same(
    "struct utsname",
    390,
    &[
        ("sysname", 0, Text(65)),
        ("nodename", 65, Text(65)),
        ("release", 130, Text(65)),
        ("machine", 260, Text(65)),
    ],
);
pub const SYSINFO: Shape = same(
    "struct sysinfo",
    112,
    &[
        ("uptime", 0, I64),
        ("totalram", 32, U64),
        ("freeram", 40, U64),
        ("totalswap", 64, U64),
        ("procs", 80, U16),
        ("mem_unit", 104, U32),
    ],
);
pub const CLONE_ARGS: Shape = same(
    "struct clone_args",
    64,
    &[
        ("flags", 0, Bits64(n::CLONE)),
        ("pidfd", 8, Hex64),
        ("child_tid", 16, Hex64),
        ("parent_tid", 24, Hex64),
        ("exit_signal", 32, Sig),
        ("stack", 40, Hex64),
        ("stack_size", 48, Hex64),
        ("tls", 56, Hex64),
    ],
);
pub const SCHED_PARAM: Shape = same("struct sched_param", 4, &[("sched_priority", 0, I32)]);
pub const SCHED_ATTR: Shape = same(
    "struct sched_attr",
    48,
    &[
        ("size", 0, U32),
        ("sched_policy", 4, OneOf32(n::SCHEDULER)),
        ("sched_flags", 8, Hex64),
        ("sched_nice", 16, I32),
        ("sched_priority", 20, U32),
        ("sched_runtime", 24, U64),
        ("sched_deadline", 32, U64),
        ("sched_period", 40, U64),
    ],
);
pub const CAP_HEADER: Shape = same("cap_user_header_t", 8, &[("version", 0, Hex32), ("pid", 4, I32)]);
pub const CAP_DATA: Shape = same(
    "cap_user_data_t",
    24,
    &[("effective", 0, Hex32), ("permitted", 4, Hex32), ("inheritable", 8, Hex32)],
);
pub const FLOCK: Shape = same(
    "struct flock",
    32,
    &[("l_type", 0, Field::I16Lock), ("l_start", 8, I64), ("l_len", 16, I64), ("l_pid", 24, I32)],
);
pub const MQ_ATTR: Shape = same(
    "struct mq_attr",
    64,
    &[("mq_flags", 0, Hex64), ("mq_maxmsg", 8, I64), ("mq_msgsize", 16, I64), ("mq_curmsgs", 24, I64)],
);
pub const SEMBUF: Shape = same(
    "struct sembuf",
    6,
    &[("sem_num", 0, U16), ("sem_op", 2, Field::I16), ("sem_flg", 4, Bits16(n::IPC))],
);
pub const WINDOW_SIZE: Shape = same(
    "struct winsize",
    8,
    &[("ws_row", 0, U16), ("ws_col", 2, U16), ("ws_xpixel", 4, U16), ("ws_ypixel", 6, U16)],
);
pub const TERMIOS: Shape = same(
    "struct termios",
    36,
    &[("c_iflag", 0, Hex32), ("c_oflag", 4, Hex32), ("c_cflag", 8, Hex32), ("c_lflag", 12, Hex32)],
);
pub const FUTEX_WAITER: Shape =
    same("struct futex_waitv", 24, &[("val", 0, U64), ("uaddr", 8, Hex64), ("flags", 16, Hex32)]);
pub const PERF_ATTR: Shape = same(
    "struct perf_event_attr",
    64,
    &[("type", 0, U32), ("size", 4, U32), ("config", 8, Hex64), ("sample_period", 16, U64)],
);
pub const BPF_PROGRAM: Shape = same("struct sock_fprog", 16, &[("len", 0, U16), ("filter", 8, Hex64)]);
