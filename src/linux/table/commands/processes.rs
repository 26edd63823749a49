//! Futexes, `prctl` and its like, filters.

use crate::linux::table::kinds::Kind::*;
use crate::linux::table::{names as n, shapes as s};

commands! {
    FUTEX("FUTEX_", n::FUTEX_FLAGS, (128, "_PRIVATE")):
        [FUTEX_WAIT](Int, Takes(s::TIMESPEC));
        [FUTEX_WAKE FUTEX_FD](Int);
        [FUTEX_REQUEUE](Int, Int, Address);
        [FUTEX_CMP_REQUEUE FUTEX_CMP_REQUEUE_PI](Int, Int, Address, Int);
        [FUTEX_WAKE_OP](Int, Int, Address, WakeOp);
        [FUTEX_LOCK_PI FUTEX_LOCK_PI2](Unused, Takes(s::TIMESPEC));
        [FUTEX_UNLOCK_PI FUTEX_TRYLOCK_PI]();
        [FUTEX_WAIT_BITSET](Int, Takes(s::TIMESPEC), Unused, OneOf(n::FUTEX_ANY));
        [FUTEX_WAKE_BITSET](Int, Unused, Unused, OneOf(n::FUTEX_ANY));
        [FUTEX_WAIT_REQUEUE_PI](Int, Takes(s::TIMESPEC), Address);

    PRCTL("PR_"):
        [PR_SET_PDEATHSIG](Signal);
        [PR_GET_PDEATHSIG](Gives(s::SIGNAL_NUMBER));
        [PR_GET_DUMPABLE]() -> Named(n::DUMPABLE);
        [PR_SET_DUMPABLE](OneOf(n::DUMPABLE));
        [PR_GET_KEEPCAPS PR_GET_TIMING PR_GET_TIMERSLACK PR_GET_SECCOMP PR_TASK_PERF_EVENTS_DISABLE
         PR_TASK_PERF_EVENTS_ENABLE PR_SVE_GET_VL = 51 PR_SME_GET_VL = 64]();
        [PR_SET_KEEPCAPS PR_SET_TIMING PR_SET_TIMERSLACK PR_SET_CHILD_SUBREAPER](Size);
        [PR_SVE_SET_VL = 50 PR_SME_SET_VL = 63](Hex);
        [PR_SET_NAME](Name);
        [PR_GET_NAME](GivesText);
        [PR_SET_SECCOMP](By(&SECCOMP_MODES));
        [PR_CAPBSET_READ PR_CAPBSET_DROP](OneOf(n::CAPABILITY));
        [PR_GET_TSC](Gives(s::TIME_STAMPS));
        [PR_SET_TSC](OneOf(n::TIME_STAMPS));
        [PR_GET_SECUREBITS]() -> Flags("", n::SECURE_BITS);
        [PR_SET_SECUREBITS](Bits(n::SECURE_BITS));
        [PR_MCE_KILL](OneOf(n::MACHINE_CHECK), OneOf(n::MACHINE_CHECK_POLICY), Rest);
        [PR_SET_MM](OneOf(n::MEMORY_LAYOUT), Rest);
        [PR_GET_CHILD_SUBREAPER](Gives(s::INT));
        [PR_SET_NO_NEW_PRIVS PR_SET_THP_DISABLE PR_SET_IO_FLUSHER = 57](Size, Rest);
        [PR_MCE_KILL_GET PR_GET_NO_NEW_PRIVS PR_GET_THP_DISABLE PR_GET_TAGGED_ADDR_CTRL = 56 PR_GET_IO_FLUSHER = 58
         PR_SET_MDWE = 65 PR_GET_MDWE = 66 PR_GET_UNALIGN = 5 PR_SET_UNALIGN = 6 PR_GET_FPEMU = 9 PR_SET_FPEMU = 10
         PR_GET_FPEXC = 11 PR_SET_FPEXC = 12 PR_GET_ENDIAN = 19 PR_SET_ENDIAN = 20 PR_MPX_ENABLE_MANAGEMENT = 43
         PR_MPX_DISABLE_MANAGEMENT = 44 PR_SET_FP_MODE = 45 PR_GET_FP_MODE = 46 PR_PAC_GET_ENABLED_KEYS = 61](Rest);
        [PR_PAC_SET_ENABLED_KEYS = 60](Bits(n::POINTER_KEYS), Bits(n::POINTER_KEYS), Rest);
        [PR_GET_TID_ADDRESS](Gives(s::POINTER));
        [PR_CAP_AMBIENT](OneOf(n::AMBIENT), OneOf(n::CAPABILITY), Rest);
        [PR_GET_SPECULATION_CTRL = 52](OneOf(n::SPECULATION)) -> Flags("", n::SPECULATION_STATE);
        [PR_SET_SPECULATION_CTRL = 53](OneOf(n::SPECULATION), OneOf(n::SPECULATION_STATE));
        [PR_PAC_RESET_KEYS = 54](Bits(n::POINTER_KEYS), Rest);
        [PR_SET_TAGGED_ADDR_CTRL = 55](Bits(n::TAGGED_ADDRESSES), Rest);
        [PR_SET_SYSCALL_USER_DISPATCH = 59](OneOf(n::DISPATCH), Hex, Hex, Address);
        [PR_SCHED_CORE = 62](OneOf(n::SCHEDULING_CORE), Int, OneOf(n::CORE_SCOPE), Address);
        [PR_SET_VMA = 0x53564d41](OneOf(n::VMA), Address, Size, Str);
        [PR_SET_PTRACER](OneOf(n::ANY_TRACER));

    SECCOMP_MODES("SECCOMP_MODE_"):
        [SECCOMP_MODE_STRICT = 1](Rest);
        [SECCOMP_MODE_FILTER = 2](Takes(s::BPF_PROGRAM));

    ARCH_PRCTL("ARCH_"):
        [ARCH_SET_GS = 0x1001 ARCH_SET_FS = 0x1002](Hex);
        [ARCH_GET_FS = 0x1003 ARCH_GET_GS = 0x1004](Gives(s::POINTER));
        [ARCH_GET_CPUID = 0x1011]();
        [ARCH_SET_CPUID = 0x1012](Hex);
        [ARCH_GET_XCOMP_SUPP = 0x1021 ARCH_GET_XCOMP_PERM = 0x1022](Gives(s::LONG));
        [ARCH_REQ_XCOMP_PERM = 0x1023](OneOf(n::STATE_COMPONENT));
        [ARCH_SHSTK_ENABLE = 0x5001 ARCH_SHSTK_DISABLE = 0x5002 ARCH_SHSTK_STATUS = 0x5005](Rest);

    SECCOMP("SECCOMP_"):
        [SECCOMP_SET_MODE_STRICT = 0](Hex, Address);
        [SECCOMP_SET_MODE_FILTER = 1](Bits(n::SECCOMP_FLAGS), Takes(s::BPF_PROGRAM));
        [SECCOMP_GET_ACTION_AVAIL = 2](Hex, Takes(s::FILTER_ACTION));
        [SECCOMP_GET_NOTIF_SIZES = 3](Hex, Gives(s::NOTIFICATION_SIZES));

    LANDLOCK_RULES("LANDLOCK_RULE_"):
        [LANDLOCK_RULE_PATH_BENEATH = 1](Takes(s::LANDLOCK_PATH), Rest);
        [LANDLOCK_RULE_NET_PORT = 2](Takes(s::LANDLOCK_PORT), Rest);
}
