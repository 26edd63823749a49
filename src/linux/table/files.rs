//! Files, directories, attributes, mounts.

use super::kinds::Kind::*;
use super::{commands as c, names as n, rows, shapes as s};
use crate::linux::{fs, procfs};

rows! { FILES:
    block read(fd: Fd, buf: Out, count: Size);
    block write(fd: ChangedFd, buf: In, count: Size);
    block pread64(fd: Fd, buf: Out, count: Size, pos: Long);
    block pwrite64(fd: ChangedFd, buf: In, count: Size, pos: Long);
    block readv(fd: Fd, vec: OutVec, vlen: Size);
    block writev(fd: ChangedFd, vec: InVec, vlen: Size);
    block preadv(fd: Fd, vec: OutVec, vlen: Size, pos_l: Long, pos_h: Unused);
    block pwritev(fd: ChangedFd, vec: InVec, vlen: Size, pos_l: Long, pos_h: Unused);
    block preadv2(fd: Fd, vec: OutVec, vlen: Size, pos_l: Long, pos_h: Unused, flags: Bits(n::RWF));
    block pwritev2(fd: ChangedFd, vec: InVec, vlen: Size, pos_l: Long, pos_h: Unused, flags: Bits(n::RWF));
    /// Flags of AArch64 have other values; the program's own files in /proc show the guest.
    translate(fs::open) open(filename: Path, flags: OpenFlags, mode: Mode) -> Descriptor;
    /// As open.
    translate(fs::openat) openat(dfd: DirFd, filename: Path, flags: OpenFlags, mode: Mode) -> Descriptor;
    /// As open.
    translate(fs::openat2) openat2(dfd: DirFd, filename: Path, how: Takes(s::OPEN_HOW), size: Size) -> Descriptor;
    /// As open.
    translate(fs::creat) creat(pathname: Path, mode: Mode) -> Descriptor;
    /// The emulator's own descriptors are not open for the guest (EBADF).
    translate(fs::close) close(fd: Fd);
    /// Leaves the emulator's own descriptors open.
    translate(fs::close_range) close_range(fd: Int, max_fd: Int, flags: Bits(n::CLOSE_RANGE));
    /// Our own descriptors move out of the way of the guest's.
    translate(fs::dup) dup(fildes: Fd) -> Descriptor;
    /// Our own descriptors move out of the way of the guest's.
    translate(fs::dup2) dup2(oldfd: Fd, newfd: Int) -> Descriptor;
    /// As dup2; flags as open.
    translate(fs::dup3) dup3(oldfd: Fd, newfd: Int, flags: DescriptorFlags) -> Descriptor;
    pass lseek(fd: Fd, offset: Long, whence: OneOf(n::WHENCE));
    /// Status flags of AArch64 have other values.
    translate(fs::fcntl) fcntl(fd: Fd, cmd: By(&c::FCNTL), arg: Hex) -> Descriptor;
    /// Request codes are the same on both architectures; those that reach into memory release translations first.
    translate(fs::ioctl) ioctl(fd: ChangedFd, cmd: By(&c::IOCTL), arg: Hex) -> Descriptor;
    pass flock(fd: Fd, cmd: Bits(n::FLOCK));
    block fsync(fd: Fd);
    block fdatasync(fd: Fd);
    pass sync();
    pass syncfs(fd: Fd);
    block sync_file_range(fd: Fd, offset: Long, nbytes: Long, flags: Bits(n::SYNC_RANGE));
    pass truncate(path: Path, length: Long);
    pass ftruncate(fd: ChangedFd, length: Long);
    block fallocate(fd: ChangedFd, mode: Bits(n::FALLOCATE), offset: Long, len: Long);
    pass fadvise64(fd: Fd, offset: Long, len: Long, advice: OneOf(n::FADVISE));
    pass readahead(fd: Fd, offset: Long, count: Size);
    /// `struct stat` of AArch64 has another layout.
    translate(fs::stat) stat(filename: Path, statbuf: Gives(s::Shape::Stat));
    /// As stat.
    translate(fs::lstat) lstat(filename: Path, statbuf: Gives(s::Shape::Stat));
    /// As stat.
    translate(fs::fstat) fstat(fd: Fd, statbuf: Gives(s::Shape::Stat));
    /// As stat.
    translate(fs::newfstatat) newfstatat(dfd: DirFd, filename: Path, statbuf: Gives(s::Shape::Stat), flag: Bits(n::AT));
    /// /proc/self/exe is the guest's program.
    translate(procfs::statx) statx(dfd: DirFd, filename: Path, flags: Choice(n::AT_STATX, n::AT), mask: Bits(n::STATX), buffer: Gives(s::STATX));
    pass statfs(path: Path, buf: Gives(s::STATFS));
    pass fstatfs(fd: Fd, buf: Gives(s::STATFS));
    pass access(filename: Path, mode: Bits(n::ACCESS));
    pass faccessat(dfd: DirFd, filename: Path, mode: Bits(n::ACCESS));
    pass faccessat2(dfd: DirFd, filename: Path, mode: Bits(n::ACCESS), flags: Bits(n::AT_ACCESS));
    /// /proc/self/exe is the guest's program.
    translate(procfs::readlink) readlink(path: Path, buf: Out, bufsiz: Size);
    /// As readlink.
    translate(procfs::readlinkat) readlinkat(dfd: DirFd, path: Path, buf: Out, bufsiz: Size);
    pass getcwd(buf: OutText, size: Size);
    /// A directory that only the sysroot has is entered there.
    translate(fs::chdir) chdir(filename: Str);
    pass fchdir(fd: Fd);
    alone chroot(filename: Str);
    alone pivot_root(new_root: Str, put_old: Str);
    pass mkdir(pathname: Path, mode: Mode);
    pass mkdirat(dfd: DirFd, pathname: Path, mode: Mode);
    pass rmdir(pathname: Path);
    pass unlink(pathname: Path);
    pass unlinkat(dfd: DirFd, pathname: Path, flag: Bits(n::AT));
    pass rename(oldname: Path, newname: Path);
    pass renameat(olddfd: DirFd, oldname: Path, newdfd: DirFd, newname: Path);
    pass renameat2(olddfd: DirFd, oldname: Path, newdfd: DirFd, newname: Path, flags: Bits(n::RENAME));
    pass link(oldname: Path, newname: Path);
    pass linkat(olddfd: DirFd, oldname: Path, newdfd: DirFd, newname: Path, flags: Bits(n::AT));
    pass symlink(oldname: Str, newname: Path);
    pass symlinkat(oldname: Str, newdfd: DirFd, newname: Path);
    pass mknod(filename: Path, mode: NodeMode, dev: Device);
    pass mknodat(dfd: DirFd, filename: Path, mode: NodeMode, dev: Device);
    pass chmod(filename: Path, mode: Mode);
    pass fchmod(fd: Fd, mode: Mode);
    pass fchmodat(dfd: DirFd, filename: Path, mode: Mode);
    pass fchmodat2(dfd: DirFd, filename: Path, mode: Mode, flags: Bits(n::AT));
    pass chown(filename: Path, user: Int, group: Int);
    pass lchown(filename: Path, user: Int, group: Int);
    pass fchown(fd: Fd, user: Int, group: Int);
    pass fchownat(dfd: DirFd, filename: Path, user: Int, group: Int, flag: Bits(n::AT));
    pass umask(mask: Mode) -> Octal;
    pass utime(filename: Path, times: Takes(s::UTIMBUF));
    pass utimes(filename: Path, utimes: Takes(s::FILE_TIMEVALS));
    pass futimesat(dfd: DirFd, filename: Path, utimes: Takes(s::FILE_TIMEVALS));
    pass utimensat(dfd: DirFd, filename: Path, utimes: Takes(s::FILE_TIMESPECS), flags: Bits(n::AT));
    /// The emulator's own descriptors, threads and mapped files are left out of /proc.
    translate(procfs::getdents64) getdents64(fd: Fd, dirent: Entries, count: Size);
    /// As getdents64.
    translate(procfs::getdents) getdents(fd: Fd, dirent: Entries, count: Size);
    block sendfile(out_fd: ChangedFd, in_fd: Fd, offset: Both(s::LONG), count: Size);
    block splice(fd_in: Fd, off_in: Both(s::LONG), fd_out: ChangedFd, off_out: Both(s::LONG), len: Size, flags: Bits(n::SPLICE));
    block tee(fdin: Fd, fdout: Fd, len: Size, flags: Bits(n::SPLICE));
    block vmsplice(fd: Fd, iov: InVec, nr_segs: Size, flags: Bits(n::SPLICE));
    block copy_file_range(fd_in: Fd, off_in: Both(s::LONG), fd_out: ChangedFd, off_out: Both(s::LONG), len: Size, flags: Hex);
    /// Our own descriptors move out of the way of the guest's.
    translate(fs::pipe) pipe(fildes: Gives(s::TWO_INTS));
    /// Flags as open.
    translate(fs::pipe2) pipe2(fildes: Gives(s::TWO_INTS), flags: DescriptorFlags);
    pass getxattr(pathname: Path, name: Str, value: Out, size: Size);
    pass lgetxattr(pathname: Path, name: Str, value: Out, size: Size);
    pass fgetxattr(fd: Fd, name: Str, value: Out, size: Size);
    pass setxattr(pathname: Path, name: Str, value: In, size: Size, flags: Bits(n::XATTR));
    pass lsetxattr(pathname: Path, name: Str, value: In, size: Size, flags: Bits(n::XATTR));
    pass fsetxattr(fd: Fd, name: Str, value: In, size: Size, flags: Bits(n::XATTR));
    pass listxattr(pathname: Path, list: Out, size: Size);
    pass llistxattr(pathname: Path, list: Out, size: Size);
    pass flistxattr(fd: Fd, list: Out, size: Size);
    pass removexattr(pathname: Path, name: Str);
    pass lremovexattr(pathname: Path, name: Str);
    pass fremovexattr(fd: Fd, name: Str);
    pass getxattrat(dfd: DirFd, pathname: Path, at_flags: Bits(n::AT), name: Str, args: Address, size: Size);
    pass setxattrat(dfd: DirFd, pathname: Path, at_flags: Bits(n::AT), name: Str, args: Address, size: Size);
    pass listxattrat(dfd: DirFd, pathname: Path, at_flags: Bits(n::AT), list: Out, size: Size);
    pass removexattrat(dfd: DirFd, pathname: Path, at_flags: Bits(n::AT), name: Str);
    pass file_getattr(dfd: DirFd, filename: Path, attr: Out, usize: Size, at_flags: Bits(n::AT));
    pass file_setattr(dfd: DirFd, filename: Path, attr: In, usize: Size, at_flags: Bits(n::AT));
    pass name_to_handle_at(dfd: DirFd, name: Path, handle: Both(s::FILE_HANDLE), mnt_id: Gives(s::INT), flag: Bits(n::AT));
    /// Flags as open.
    translate(fs::open_by_handle_at) open_by_handle_at(mountdirfd: Fd, handle: Takes(s::FILE_HANDLE), flags: OpenFlags) -> Descriptor;
    pass memfd_create(uname: Str, flags: Bits(n::MEMFD)) -> Descriptor;
    pass memfd_secret(flags: Bits(n::CLOEXEC)) -> Descriptor;
    pass inotify_init() -> Descriptor;
    pass inotify_init1(flags: Bits(n::INOTIFY_INIT)) -> Descriptor;
    pass inotify_add_watch(fd: Fd, pathname: Path, mask: Bits(n::INOTIFY));
    pass inotify_rm_watch(fd: Fd, wd: Int);
    pass fanotify_init(flags: Choice(n::FANOTIFY_CLASS, n::FANOTIFY_INIT), event_f_flags: OpenFlags) -> Descriptor;
    pass fanotify_mark(fd: Fd, flags: Bits(n::FANOTIFY_MARK), mask: Bits(n::FANOTIFY_EVENTS), dfd: DirFd, pathname: Path);
    alone mount(dev_name: Str, dir_name: Str, kind: Str, flags: Bits(n::MOUNT), data: Str);
    alone umount2(name: Str, flags: Bits(n::UMOUNT));
    pass open_tree(dfd: DirFd, path: Path, flags: Bits(n::OPEN_TREE)) -> Descriptor;
    pass open_tree_attr(dfd: DirFd, path: Path, flags: Bits(n::OPEN_TREE), uattr: Takes(s::MOUNT_ATTRIBUTES), usize: Size) -> Descriptor;
    pass move_mount(from_dfd: DirFd, from_path: Path, to_dfd: DirFd, to_path: Path, ms_flags: Bits(n::MOVE_MOUNT));
    pass fsopen(fs_name: Str, flags: Bits(n::FSOPEN)) -> Descriptor;
    pass fsconfig(fs_fd: Fd, cmd: By(&c::FSCONFIG), key: Str, value: Address, aux: Int);
    pass fsmount(fs_fd: Fd, flags: Bits(n::FSMOUNT), ms_flags: Bits(n::MOUNT_ATTRIBUTES)) -> Descriptor;
    pass fspick(dfd: DirFd, path: Path, flags: Bits(n::FSPICK)) -> Descriptor;
    pass mount_setattr(dfd: DirFd, path: Path, flags: Bits(n::AT), uattr: Takes(s::MOUNT_ATTRIBUTES), usize: Size);
    pass statmount(req: Address, buf: Out, bufsize: Size, flags: Hex);
    pass listmount(req: Address, mnt_ids: Address, nr_mnt_ids: Size, flags: Hex);
    pass swapon(specialfile: Path, swap_flags: Bits(n::SWAP));
    pass swapoff(specialfile: Path);
    pass quotactl(cmd: Quota, special: Path, id: Int, addr: Address);
    pass quotactl_fd(fd: Fd, cmd: Quota, id: Int, addr: Address);
    pass cachestat(fd: Fd, range: Takes(s::CACHE_RANGE), cstat: Gives(s::CACHE_STATE), flags: Hex);
    pass acct(name: Path);
    pass sysfs(option: Int, arg1: Hex, arg2: Hex);
    pass ustat(dev: Hex, ubuf: Address);
    /// Gone from the kernel since 6.7.
    refuse(ENOSYS) lookup_dcookie(cookie: Hex, buf: Address, len: Size);
    /// Gone from the kernel since 3.1.
    refuse(ENOSYS) nfsservctl(cmd: Int, argp: Address, resp: Address);
}
