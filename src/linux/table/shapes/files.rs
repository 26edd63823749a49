//! Files, file systems, terminals.

use super::Field::{
    Bits32, Bits64, Bytes, Hex32, I16, I32, I64, Inner, Mode, More, OneOf16, OneOf32, OpenFlags, Permissions,
    U16, U32, U64,
};
use super::{Field, Fraction, Member, Shape, same};
use crate::linux::table::names as n;

pub const FILE_TIMESPECS: Shape = Shape::FileTimes(Fraction::Nanoseconds);
pub const FILE_TIMEVALS: Shape = Shape::FileTimes(Fraction::Microseconds);
pub const UTIMBUF: Shape =
    same("struct utimbuf", 16, &[("actime", 0, Field::Moment), ("modtime", 8, Field::Moment)]);
const LOCK: &[Member] = &[
    ("l_type", 0, OneOf16(n::LOCK_TYPE)),
    ("l_whence", 2, OneOf16(n::WHENCE)),
    ("l_start", 8, I64),
    ("l_len", 16, I64),
];
pub const FLOCK: Shape = same("struct flock", 32, LOCK);
pub const FLOCK_HELD: Shape = same(
    "struct flock",
    32,
    &[
        ("l_type", 0, OneOf16(n::LOCK_TYPE)),
        ("l_whence", 2, OneOf16(n::WHENCE)),
        ("l_start", 8, I64),
        ("l_len", 16, I64),
        ("l_pid", 24, I32),
    ],
);
pub const OWNER: Shape = same("struct f_owner_ex", 8, &[("type", 0, OneOf32(n::OWNER)), ("pid", 4, I32)]);
pub const STATFS: Shape = same(
    "struct statfs",
    120,
    &[
        ("f_type", 0, OneOf32(n::FILE_SYSTEM)),
        ("f_bsize", 8, I64),
        ("f_blocks", 16, U64),
        ("f_bfree", 24, U64),
        ("f_bavail", 32, U64),
        ("f_files", 40, U64),
        ("f_ffree", 48, U64),
        ("f_fsid", 56, Inner(&[("val", 0, Field::Array(2, 4, &Hex32))])),
        ("f_namelen", 64, I64),
        ("f_frsize", 72, I64),
        ("f_flags", 80, Bits64(n::FILE_SYSTEM_FLAGS)),
    ],
);
pub const STATX: Shape = same(
    "struct statx",
    256,
    &[
        ("stx_mask", 0, Bits32(n::STATX)),
        ("stx_attributes", 8, Bits64(n::STATX_ATTRIBUTES)),
        ("stx_mode", 28, Mode),
        ("stx_size", 40, U64),
        ("", 0, More),
    ],
);
pub const OPEN_HOW: Shape = same(
    "struct open_how",
    24,
    &[
        ("flags", 0, OpenFlags),
        ("mode", 8, Field::Unless0(&Permissions(&[]))),
        ("resolve", 16, Bits64(n::RESOLVE)),
    ],
);
pub const FILE_HANDLE: Shape = same(
    "struct file_handle",
    16,
    &[("handle_bytes", 0, U32), ("handle_type", 4, I32), ("f_handle", 8, Bytes(8))],
);
pub const MOUNT_ATTRIBUTES: Shape = same(
    "struct mount_attr",
    32,
    &[
        ("attr_set", 0, Bits64(n::MOUNT_ATTRIBUTES)),
        ("attr_clr", 8, Bits64(n::MOUNT_ATTRIBUTES)),
        ("propagation", 16, Bits64(n::MOUNT)),
        ("userns_fd", 24, U64),
    ],
);
pub const CACHE_RANGE: Shape = same("struct cachestat_range", 16, &[("off", 0, U64), ("len", 8, U64)]);
pub const CACHE_STATE: Shape = same(
    "struct cachestat",
    40,
    &[
        ("nr_cache", 0, U64),
        ("nr_dirty", 8, U64),
        ("nr_writeback", 16, U64),
        ("nr_evicted", 24, U64),
        ("nr_recently_evicted", 32, U64),
    ],
);
pub const CHARACTER: Shape = Shape::Character;
pub const TERMIOS: Shape = Shape::Termios;
pub const WINDOW_SIZE: Shape = same(
    "struct winsize",
    8,
    &[("ws_row", 0, U16), ("ws_col", 2, U16), ("ws_xpixel", 4, U16), ("ws_ypixel", 6, U16)],
);
pub const MODEM: Shape = Shape::Single(4, &Bits32(n::MODEM));
pub const INODE_FLAGS: Shape = Shape::Single(4, &Bits32(n::INODE_FLAGS));
pub const SEMBUF: Shape = same(
    "struct sembuf",
    6,
    &[("sem_num", 0, U16), ("sem_op", 2, I16), ("sem_flg", 4, Field::Bits16(n::SEM_OP))],
);
