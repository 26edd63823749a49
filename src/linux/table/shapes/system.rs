//! Messages, rings, programs of the kernel, and the system as a whole.

use super::Field::{
    Array, Bits32, Hex32, Hex64, I32, I64, Inner, More, OneOf16, OneOf32, Permissions, Pointer, Text, U16,
    U32, U64,
};
use super::{Member, Shape, same};
use crate::linux::table::names as n;

pub const UTSNAME: Shape =
    same("struct utsname", 390, &[("sysname", 0, Text(65)), ("nodename", 65, Text(65)), ("", 0, More)]);
pub const SYSINFO: Shape = same(
    "struct sysinfo",
    112,
    &[
        ("uptime", 0, I64),
        ("loads", 8, Array(3, 8, &U64)),
        ("totalram", 32, U64),
        ("freeram", 40, U64),
        ("sharedram", 48, U64),
        ("bufferram", 56, U64),
        ("totalswap", 64, U64),
        ("freeswap", 72, U64),
        ("procs", 80, U16),
        ("totalhigh", 88, U64),
        ("freehigh", 96, U64),
        ("mem_unit", 104, U32),
    ],
);
pub const MQ_ATTR: Shape = same(
    "struct mq_attr",
    64,
    &[("mq_flags", 0, Hex64), ("mq_maxmsg", 8, I64), ("mq_msgsize", 16, I64), ("mq_curmsgs", 24, I64)],
);

/// `struct ipc64_perm`, the same on both architectures but for the room around its mode.
const OWNED: &[Member] = &[
    ("uid", 4, U32),
    ("gid", 8, U32),
    ("mode", 20, Permissions(n::SHM_MODE)),
    ("key", 0, I32),
    ("cuid", 12, U32),
    ("cgid", 16, U32),
];
const OWNER_SET: &[Member] = &[("uid", 4, U32), ("gid", 8, U32), ("mode", 20, Permissions(&[]))];
pub const SEMAPHORES_X86_64: &[Member] =
    &[("sem_perm", 0, Inner(OWNED)), ("sem_otime", 48, I64), ("sem_ctime", 64, I64), ("sem_nsems", 80, U64)];
pub const SEMAPHORES_GENERIC: &[Member] =
    &[("sem_perm", 0, Inner(OWNED)), ("sem_otime", 48, I64), ("sem_ctime", 56, I64), ("sem_nsems", 64, U64)];
pub const SEMAPHORES_SET: &[Member] = &[("sem_perm", 0, Inner(OWNER_SET))];
pub const SEMAPHORE_LIMITS: Shape = same(
    "struct seminfo",
    40,
    &[
        ("semmap", 0, I32),
        ("semmni", 4, I32),
        ("semmns", 8, I32),
        ("semmnu", 12, I32),
        ("semmsl", 16, I32),
        ("semopm", 20, I32),
        ("semume", 24, I32),
        ("semusz", 28, I32),
        ("semvmx", 32, I32),
        ("semaem", 36, I32),
    ],
);
pub const SHARED_MEMORY: Shape = same(
    "struct shmid_ds",
    112,
    &[
        ("shm_perm", 0, Inner(OWNED)),
        ("shm_segsz", 48, U64),
        ("shm_cpid", 80, I32),
        ("shm_lpid", 84, I32),
        ("shm_nattch", 88, U64),
        ("shm_atime", 56, I64),
        ("shm_dtime", 64, I64),
        ("shm_ctime", 72, I64),
    ],
);
pub const SHARED_MEMORY_SET: Shape = same("struct shmid_ds", 112, &[("shm_perm", 0, Inner(OWNER_SET))]);
pub const SHARED_MEMORY_LIMITS: Shape = same(
    "struct shminfo",
    72,
    &[("shmmax", 0, U64), ("shmmin", 8, U64), ("shmmni", 16, U64), ("shmseg", 24, U64), ("shmall", 32, U64)],
);
pub const SHARED_MEMORY_USE: Shape = same(
    "struct shm_info",
    48,
    &[
        ("used_ids", 0, I32),
        ("shm_tot", 8, U64),
        ("shm_rss", 16, U64),
        ("shm_swp", 24, U64),
        ("swap_attempts", 32, U64),
        ("swap_successes", 40, U64),
    ],
);
pub const MESSAGE_QUEUE: Shape = same(
    "struct msqid_ds",
    120,
    &[
        ("msg_perm", 0, Inner(OWNED)),
        ("msg_stime", 48, I64),
        ("msg_rtime", 56, I64),
        ("msg_ctime", 64, I64),
        ("msg_qnum", 80, U64),
        ("msg_qbytes", 88, U64),
        ("msg_lspid", 96, I32),
        ("msg_lrpid", 100, I32),
    ],
);
pub const MESSAGE_QUEUE_SET: Shape =
    same("struct msqid_ds", 120, &[("msg_perm", 0, Inner(OWNER_SET)), ("msg_qbytes", 88, U64)]);
pub const MESSAGE_LIMITS: Shape = same(
    "struct msginfo",
    32,
    &[
        ("msgpool", 0, I32),
        ("msgmap", 4, I32),
        ("msgmax", 8, I32),
        ("msgmnb", 12, I32),
        ("msgmni", 16, I32),
        ("msgssz", 20, I32),
        ("msgtql", 24, I32),
        ("msgseg", 28, U16),
    ],
);
pub const PERF_ATTR: Shape = same(
    "struct perf_event_attr",
    64,
    &[
        ("type", 0, OneOf32(n::PERF_TYPE)),
        ("size", 4, U32),
        ("config", 8, Hex64),
        ("sample_period", 16, U64),
        ("sample_type", 24, Hex64),
        ("read_format", 32, Hex64),
        ("", 0, More),
    ],
);
pub const IO_REQUEST: Shape = same(
    "struct iocb",
    64,
    &[
        ("aio_data", 0, Hex64),
        ("aio_lio_opcode", 16, OneOf16(n::IO_COMMAND)),
        ("aio_fildes", 20, I32),
        ("aio_buf", 24, Pointer),
        ("aio_nbytes", 32, U64),
        ("aio_offset", 40, I64),
    ],
);
pub const IO_EVENT: Shape = same(
    "struct io_event",
    32,
    &[("data", 0, Hex64), ("obj", 8, Pointer), ("res", 16, I64), ("res2", 24, I64)],
);
pub const RING_PARAMETERS: Shape = same(
    "struct io_uring_params",
    120,
    &[
        ("flags", 8, Bits32(n::RING_SETUP)),
        ("sq_thread_cpu", 12, U32),
        ("sq_thread_idle", 16, U32),
        ("sq_entries", 0, U32),
        ("cq_entries", 4, U32),
        ("features", 20, Bits32(n::RING_FEATURES)),
        (
            "sq_off",
            40,
            Inner(&[
                ("head", 0, U32),
                ("tail", 4, U32),
                ("ring_mask", 8, U32),
                ("ring_entries", 12, U32),
                ("flags", 16, U32),
                ("dropped", 20, U32),
                ("array", 24, U32),
            ]),
        ),
        (
            "cq_off",
            80,
            Inner(&[
                ("head", 0, U32),
                ("tail", 4, U32),
                ("ring_mask", 8, U32),
                ("ring_entries", 12, U32),
                ("overflow", 16, U32),
                ("cqes", 20, U32),
                ("flags", 24, U32),
            ]),
        ),
    ],
);
pub const BPF_MAP: Shape = same(
    "union bpf_attr",
    20,
    &[
        ("map_type", 0, OneOf32(n::BPF_MAP)),
        ("key_size", 4, U32),
        ("value_size", 8, U32),
        ("max_entries", 12, U32),
        ("map_flags", 16, Hex32),
    ],
);
pub const BPF_ELEMENT: Shape = same(
    "union bpf_attr",
    32,
    &[("map_fd", 0, I32), ("key", 8, Pointer), ("value", 16, Pointer), ("flags", 24, Hex64)],
);
pub const BPF_DELETED: Shape = same("union bpf_attr", 16, &[("map_fd", 0, I32), ("key", 8, Pointer)]);
pub const BPF_NEXT: Shape =
    same("union bpf_attr", 24, &[("map_fd", 0, I32), ("key", 8, Pointer), ("next_key", 16, Pointer)]);
pub const BPF_LOADED: Shape = same(
    "union bpf_attr",
    48,
    &[
        ("prog_type", 0, OneOf32(n::BPF_PROGRAM_TYPE)),
        ("insn_cnt", 4, U32),
        ("insns", 8, Pointer),
        ("license", 16, Pointer),
        ("log_level", 24, U32),
        ("log_size", 28, U32),
        ("log_buf", 32, Pointer),
        ("", 0, More),
    ],
);
