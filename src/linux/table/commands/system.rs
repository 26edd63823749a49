//! System V IPC, keys, programs of the kernel.

use crate::linux::table::kinds::Kind::*;
use crate::linux::table::{names as n, shapes as s};

commands! {
    SEMCTL("IPC_"):
        [IPC_RMID = 0 GETPID = 11 GETVAL = 12 GETNCNT = 14 GETZCNT = 15 GETALL = 13 SETALL = 17 SETVAL = 16](Address);
        [IPC_SET = 1](Takes(s::Shape::SemaphoresSet));
        [IPC_STAT = 2 SEM_STAT = 18 SEM_STAT_ANY = 20](Gives(s::Shape::Semaphores));
        [IPC_INFO = 3 SEM_INFO = 19](Gives(s::SEMAPHORE_LIMITS));

    SHMCTL("IPC_"):
        [IPC_RMID = 0 SHM_LOCK = 11 SHM_UNLOCK = 12](Address);
        [IPC_SET = 1](Takes(s::SHARED_MEMORY_SET));
        [IPC_STAT = 2 SHM_STAT = 13 SHM_STAT_ANY = 15](Gives(s::SHARED_MEMORY));
        [IPC_INFO = 3](Gives(s::SHARED_MEMORY_LIMITS));
        [SHM_INFO = 14](Gives(s::SHARED_MEMORY_USE));

    MSGCTL("IPC_"):
        [IPC_RMID = 0](Address);
        [IPC_SET = 1](Takes(s::MESSAGE_QUEUE_SET));
        [IPC_STAT = 2 MSG_STAT = 11 MSG_STAT_ANY = 13](Gives(s::MESSAGE_QUEUE));
        [IPC_INFO = 3 MSG_INFO = 12](Gives(s::MESSAGE_LIMITS));

    KEYCTL("KEYCTL_"):
        [KEYCTL_GET_KEYRING_ID = 0](Keyring, Int);
        [KEYCTL_JOIN_SESSION_KEYRING = 1](Str);
        [KEYCTL_UPDATE = 2](Keyring, In, Size);
        [KEYCTL_REVOKE = 3 KEYCTL_CLEAR = 7 KEYCTL_ASSUME_AUTHORITY = 16 KEYCTL_INVALIDATE = 21](Keyring);
        [KEYCTL_CHOWN = 4](Keyring, Int, Int);
        [KEYCTL_SETPERM = 5](Keyring, Bits(n::KEY_PERMISSIONS));
        [KEYCTL_DESCRIBE = 6 KEYCTL_GET_SECURITY = 17](Keyring, OutText, Size);
        [KEYCTL_LINK = 8 KEYCTL_UNLINK = 9](Keyring, Keyring);
        [KEYCTL_SEARCH = 10](Keyring, Str, Str, Keyring);
        [KEYCTL_READ = 11](Keyring, Out, Size);
        [KEYCTL_INSTANTIATE = 12](Keyring, In, Size, Keyring);
        [KEYCTL_NEGATE = 13](Keyring, Size, Keyring);
        [KEYCTL_SET_REQKEY_KEYRING = 14](OneOf(n::DEFAULT_KEYRING));
        [KEYCTL_SET_TIMEOUT = 15](Keyring, Size);
        [KEYCTL_SESSION_TO_PARENT = 18]();
        [KEYCTL_REJECT = 19](Keyring, Size, Errno, Keyring);
        [KEYCTL_INSTANTIATE_IOV = 20](Keyring, InVec, Size, Keyring);
        [KEYCTL_GET_PERSISTENT = 22](Int, Keyring);
        [KEYCTL_DH_COMPUTE = 23 KEYCTL_PKEY_QUERY = 24 KEYCTL_CAPABILITIES = 31](Rest);

    REBOOT("LINUX_REBOOT_CMD_"):
        [LINUX_REBOOT_CMD_CAD_OFF = 0 LINUX_REBOOT_CMD_RESTART = 0x01234567 LINUX_REBOOT_CMD_HALT = 0xcdef0123
         LINUX_REBOOT_CMD_CAD_ON = 0x89abcdef LINUX_REBOOT_CMD_POWER_OFF = 0x4321fedc
         LINUX_REBOOT_CMD_SW_SUSPEND = 0xd000fce2 LINUX_REBOOT_CMD_KEXEC = 0x45584543]();
        [LINUX_REBOOT_CMD_RESTART2 = 0xa1b2c3d4](Str);

    BPF("BPF_"):
        [BPF_MAP_CREATE = 0](Takes(s::BPF_MAP), Size);
        [BPF_MAP_LOOKUP_ELEM = 1 BPF_MAP_UPDATE_ELEM = 2](Takes(s::BPF_ELEMENT), Size);
        [BPF_MAP_DELETE_ELEM = 3](Takes(s::BPF_DELETED), Size);
        [BPF_MAP_GET_NEXT_KEY = 4](Takes(s::BPF_NEXT), Size);
        [BPF_PROG_LOAD = 5](Takes(s::BPF_LOADED), Size);
        [BPF_OBJ_PIN = 6 BPF_OBJ_GET = 7 BPF_PROG_ATTACH = 8 BPF_PROG_DETACH = 9 BPF_PROG_TEST_RUN = 10
         BPF_PROG_GET_NEXT_ID = 11 BPF_MAP_GET_NEXT_ID = 12 BPF_PROG_GET_FD_BY_ID = 13 BPF_MAP_GET_FD_BY_ID = 14
         BPF_OBJ_GET_INFO_BY_FD = 15 BPF_PROG_QUERY = 16 BPF_RAW_TRACEPOINT_OPEN = 17 BPF_BTF_LOAD = 18](Rest);

    PTRACE("PTRACE_"):
        [PTRACE_TRACEME](Rest);
        [PTRACE_PEEKTEXT PTRACE_PEEKDATA PTRACE_PEEKUSER PTRACE_GETREGSET PTRACE_SETREGSET](Int, Hex, Address);
        [PTRACE_POKETEXT PTRACE_POKEDATA PTRACE_POKEUSER](Int, Hex, Hex);
        [PTRACE_CONT PTRACE_SINGLESTEP PTRACE_DETACH PTRACE_SYSCALL PTRACE_LISTEN](Int, Address, Signal);
        [PTRACE_KILL PTRACE_INTERRUPT PTRACE_ATTACH](Int, Rest);
        [PTRACE_SETOPTIONS PTRACE_SEIZE](Int, Address, Hex);
        [PTRACE_GETREGS = 12 PTRACE_SETREGS = 13 PTRACE_GETFPREGS = 14 PTRACE_SETFPREGS = 15 PTRACE_GETEVENTMSG
         PTRACE_GETSIGINFO PTRACE_SETSIGINFO PTRACE_PEEKSIGINFO = 0x4209 PTRACE_GETSIGMASK = 0x420a
         PTRACE_SETSIGMASK = 0x420b PTRACE_GET_SYSCALL_INFO = 0x420e](Int, Address, Address);
}
