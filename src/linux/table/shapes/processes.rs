//! Processes, limits, scheduling, filters.

use super::Field::{
    Bits32, Bits64, Capabilities, Hex64, I32, Inner, Limit, More, OneOf32, Pointer, Ticks, U16, U32, U64,
};
use super::signals::TIMEVAL_FIELDS;
use super::{Shape, same};
use crate::linux::table::names as n;

pub const TMS: Shape = same(
    "struct tms",
    32,
    &[("tms_utime", 0, Ticks), ("tms_stime", 8, Ticks), ("tms_cutime", 16, Ticks), ("tms_cstime", 24, Ticks)],
);
pub const RLIMIT: Shape = same("struct rlimit", 16, &[("rlim_cur", 0, Limit), ("rlim_max", 8, Limit)]);
pub const RUSAGE: Shape = same(
    "struct rusage",
    144,
    &[("ru_utime", 0, Inner(TIMEVAL_FIELDS)), ("ru_stime", 16, Inner(TIMEVAL_FIELDS)), ("", 0, More)],
);
pub const STATUS: Shape = Shape::Status;
pub const SCHED_PARAM: Shape = Shape::Single(4, &I32);
pub const SCHED_ATTR: Shape = same(
    "struct sched_attr",
    48,
    &[
        ("size", 0, U32),
        ("sched_policy", 4, OneOf32(n::SCHEDULER)),
        ("sched_flags", 8, Bits64(n::SCHEDULER_ATTRIBUTES)),
        ("sched_nice", 16, I32),
        ("sched_priority", 20, U32),
        ("sched_runtime", 24, U64),
        ("sched_deadline", 32, U64),
        ("sched_period", 40, U64),
    ],
);
pub const CAP_HEADER: Shape =
    same("cap_user_header_t", 8, &[("version", 0, OneOf32(n::CAPABILITY_VERSION)), ("pid", 4, I32)]);
pub const CAP_DATA: Shape = same(
    "cap_user_data_t",
    24,
    &[("effective", 0, Capabilities), ("permitted", 4, Capabilities), ("inheritable", 8, Capabilities)],
);
pub const FUTEX_WAITER: Shape = same(
    "struct futex_waitv",
    24,
    &[("val", 0, Hex64), ("uaddr", 8, Pointer), ("flags", 16, Bits32(n::FUTEX_WAITER))],
);
pub const TWO_WAITERS: Shape = Shape::Row(2, &FUTEX_WAITER);
pub const BPF_PROGRAM: Shape = same("struct sock_fprog", 16, &[("len", 0, U16), ("filter", 8, Pointer)]);
pub const TIME_STAMPS: Shape = Shape::Single(4, &OneOf32(n::TIME_STAMPS));
pub const FILTER_ACTION: Shape = Shape::Single(4, &OneOf32(n::SECCOMP_ACTION));
pub const NOTIFICATION_SIZES: Shape = same(
    "struct seccomp_notif_sizes",
    6,
    &[("seccomp_notif", 0, U16), ("seccomp_notif_resp", 2, U16), ("seccomp_data", 4, U16)],
);
pub const LANDLOCK_RULESET: Shape =
    same("struct landlock_ruleset_attr", 8, &[("handled_access_fs", 0, Bits64(n::LANDLOCK_FILES))]);
pub const LANDLOCK_PATH: Shape = same(
    "struct landlock_path_beneath_attr",
    12,
    &[("allowed_access", 0, Bits64(n::LANDLOCK_FILES)), ("parent_fd", 8, I32)],
);
pub const LANDLOCK_PORT: Shape = same(
    "struct landlock_net_port_attr",
    16,
    &[("allowed_access", 0, Bits64(n::LANDLOCK_PORTS)), ("port", 8, U64)],
);
pub const POLICY: Shape = Shape::Single(4, &OneOf32(n::POLICY));
pub const NODES: Shape = Shape::Single(8, &Hex64);
pub const GROUP: Shape = same("gid_t", 4, &[("", 0, U32)]);
