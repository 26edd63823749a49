//! Messages, keys, asynchronous i/o, and the system as a whole.

use super::kinds::Kind::*;
use super::{commands as c, names as n, rows, shapes as s};
use crate::linux::{aio, fs, process, uring};

rows! { IPC:
    pass semget(key: Key, nsems: Int, semflg: Choice(&[], n::IPC));
    /// `struct semid64_ds` of AArch64 has another layout.
    translate(process::semctl) semctl(semid: Int, semnum: Int, cmd: By(&c::SEMCTL), arg: Hex);
    block semop(semid: Int, sops: Each(s::SEMBUF), nsops: Size);
    block semtimedop(semid: Int, tsops: Each(s::SEMBUF), nops: Size, timeout: Takes(s::TIMESPEC));
    pass msgget(key: Key, msgflg: Choice(&[], n::IPC));
    pass msgctl(msqid: Int, cmd: By(&c::MSGCTL), buf: Address);
    block msgsnd(msqid: Int, msgp: TakesMessage, msgsz: Size, msgflg: Bits(n::MSG));
    block msgrcv(msqid: Int, msgp: GivesMessage, msgsz: Size, msgtyp: Long, msgflg: Bits(n::MSG));
    /// Flags as open.
    translate(fs::mq_open) mq_open(name: Str, oflag: OpenFlags, mode: Mode, attr: Takes(s::MQ_ATTR)) -> Descriptor;
    pass mq_unlink(name: Str);
    block mq_timedsend(mqdes: Fd, msg_ptr: In, msg_len: Size, msg_prio: Int, abs_timeout: Takes(s::TIMESPEC));
    block mq_timedreceive(mqdes: Fd, msg_ptr: Out, msg_len: Size, msg_prio: Gives(s::INT), abs_timeout: Takes(s::TIMESPEC));
    pass mq_notify(mqdes: Fd, notification: Takes(s::SIGNAL_EVENT));
    pass mq_getsetattr(mqdes: Fd, mqstat: Takes(s::MQ_ATTR), omqstat: Gives(s::MQ_ATTR));
    pass add_key(kind: Str, description: Str, payload: In, plen: Size, ringid: Keyring);
    pass request_key(kind: Str, description: Str, callout_info: Str, destringid: Keyring);
    pass keyctl(option: By(&c::KEYCTL), arg2: Hex, arg3: Hex, arg4: Hex, arg5: Hex);
    pass io_setup(nr_events: Int, ctxp: Gives(s::POINTER));
    pass io_destroy(ctx_id: Hex);
    /// Tags are taken off the pointers in requests; events name requests without them.
    translate(aio::io_submit) io_submit(ctx_id: Hex, nr: Int, iocbpp: EachAt(s::IO_REQUEST));
    pass io_cancel(ctx_id: Hex, iocb: Takes(s::IO_REQUEST), result: Gives(s::IO_EVENT));
    block io_getevents(ctx_id: Hex, min_nr: Int, nr: Int, events: GivesEach(s::IO_EVENT), timeout: Takes(s::TIMESPEC));
    block io_pgetevents(ctx_id: Hex, min_nr: Int, nr: Int, events: GivesEach(s::IO_EVENT), timeout: Takes(s::TIMESPEC), usig: Takes(s::MASK_AND_SIZE));
    /// Its queue would go past rules; see --io-uring.
    emulate(uring::setup) io_uring_setup(entries: Int, params: Both(s::RING_PARAMETERS)) -> Descriptor;
    /// As io_uring_setup.
    emulate(uring::enter) io_uring_enter(fd: Fd, to_submit: Int, min_complete: Int, flags: Bits(n::RING_ENTER), argp: Address, argsz: Size);
    /// As io_uring_setup.
    emulate(uring::register) io_uring_register(fd: Fd, opcode: OneOf(n::RING_REGISTER), arg: Address, nr_args: Int);
}

rows! { SYSTEM:
    /// The machine is the guest's, the release what -r says.
    translate(process::uname) uname(name: Gives(s::UTSNAME));
    pass sysinfo(info: Gives(s::SYSINFO));
    pass syslog(kind: OneOf(n::SYSTEM_LOG), buf: Out, len: Size);
    /// With -seed, numbers from that seed.
    translate(process::getrandom) getrandom(ubuf: Random, len: Size, flags: Bits(n::GETRANDOM));
    pass sethostname(name: Str, len: Size);
    pass setdomainname(name: Str, len: Size);
    pass reboot(magic1: OneOf(n::REBOOT_MAGIC1), magic2: OneOf(n::REBOOT_MAGIC2), cmd: By(&c::REBOOT), arg: Address);
    pass perf_event_open(attr_uptr: Takes(s::PERF_ATTR), pid: Int, cpu: Int, group_fd: Int, flags: Bits(n::PERF_FLAGS)) -> Descriptor;
    pass bpf(cmd: By(&c::BPF), uattr: Address, size: Size) -> Descriptor;
    pass init_module(umod: Address, len: Size, uargs: Str);
    pass finit_module(fd: Fd, uargs: Str, flags: Bits(n::MODULE_INIT));
    pass delete_module(name_user: Str, flags: Bits(n::DELETE_MODULE));
    pass kexec_load(entry: Hex, nr_segments: Size, segments: Address, flags: Bits(n::KEXEC));
    pass kexec_file_load(kernel_fd: Fd, initrd_fd: Fd, cmdline_len: Size, cmdline: Str, flags: Bits(n::KEXEC_FILE));
    pass iopl(level: Int);
    pass ioperm(from: Hex, num: Hex, turn_on: Int);
    /// Segments of a descriptor table of its own are not emulated.
    refuse(ENOSYS) modify_ldt(func: Int, ptr: Address, bytecount: Size);
    /// Of 32-bit programs only.
    refuse(ENOSYS) set_thread_area(u_info: Address);
    /// Of 32-bit programs only.
    refuse(ENOSYS) get_thread_area(u_info: Address);
    /// For libraries of libc5; the kernels of distributions do not have it.
    refuse(ENOSYS) uselib(library: Str);
    /// For the kernel's own probes: no program calls it.
    refuse(ENOSYS) uretprobe();
    /// For the kernel's own probes: no program calls it.
    refuse(ENOSYS) uprobe();
    /// Gone from the kernel since 5.5.
    refuse(ENOSYS) _sysctl(args: Address);
    /// Gone from the kernel since 2.6.
    refuse(ENOSYS) create_module(name: Str, size: Size);
    /// Gone from the kernel since 2.6.
    refuse(ENOSYS) get_kernel_syms(table: Address);
    /// Gone from the kernel since 2.6.
    refuse(ENOSYS) query_module(name: Str, which: Int, buf: Address, bufsize: Size, ret: Address);
    /// Never implemented by the kernel.
    refuse(ENOSYS) getpmsg();
    /// Never implemented by the kernel.
    refuse(ENOSYS) putpmsg();
    /// Never implemented by the kernel.
    refuse(ENOSYS) afs_syscall();
    /// Never implemented by the kernel.
    refuse(ENOSYS) tuxcall();
    /// Never implemented by the kernel.
    refuse(ENOSYS) security();
    /// Never implemented by the kernel.
    refuse(ENOSYS) vserver();
}
