// What each system call says to bad pointers, descriptors, flags, sizes and limits: the kernel's errno, in the kernel's
// order of checks. Calls of the generic table, so that both architectures print the same; "legacy" adds x86-64's own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BAD 8UL
#define NOFD 9999UL
#define HUGE 0x7fffffffffffffffUL

static int file, directory, pipes[2], internet, local, queue;
static char *readonly, *page, *edge, longname[PATH_MAX + 100];

static long call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e,
                 unsigned long f) {
    errno = 0;
    long got = syscall(number, a, b, c, d, e, f);
    return got == -1 && errno ? -errno : got;
}

static void show(const char *text, long got) {
    if (got < 0)
        printf("%-70s %s\n", text, strerrorname_np(-got));
    else
        printf("%-70s done\n", text);
}

#define FIRST(a, b, c, d, e, f, ...) \
    (unsigned long)(a), (unsigned long)(b), (unsigned long)(c), (unsigned long)(d), (unsigned long)(e), (unsigned long)(f)
#define TRY(name, ...) show(#name "(" #__VA_ARGS__ ")", call(SYS_##name, FIRST(__VA_ARGS__, 0, 0, 0, 0, 0, 0)))

static void files(void) {
    TRY(read, NOFD, BAD, 1);
    TRY(read, file, BAD, 1);
    TRY(read, file, BAD, 0);
    TRY(read, file, page, HUGE);
    TRY(read, file, edge, 2 * 4096);
    TRY(read, directory, page, 1);
    TRY(read, pipes[1], page, 1);
    TRY(write, NOFD, BAD, 1);
    TRY(write, file, BAD, 1);
    TRY(write, pipes[1], BAD, 1);
    TRY(write, pipes[0], page, 1);
    TRY(pread64, file, page, 1, -1);
    TRY(pread64, pipes[0], page, 1, 0);
    TRY(pwrite64, file, page, 1, -1);
    TRY(readv, file, BAD, 1);
    TRY(readv, file, page, 1025);
    TRY(readv, file, page, -1);
    TRY(writev, file, BAD, 1);
    TRY(writev, NOFD, BAD, 1025);
    TRY(preadv2, file, page, 0, 0, 0, 0x1000);
    TRY(openat, AT_FDCWD, BAD, O_RDONLY);
    TRY(openat, AT_FDCWD, "", O_RDONLY);
    TRY(openat, AT_FDCWD, longname, O_RDONLY);
    TRY(openat, AT_FDCWD, "/nowhere/at/all", O_RDONLY);
    TRY(openat, AT_FDCWD, "/dev/null/x", O_RDONLY);
    TRY(openat, AT_FDCWD, "/", O_WRONLY);
    TRY(openat, AT_FDCWD, "/dev/null", O_DIRECTORY);
    TRY(openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_NOFOLLOW);
    TRY(openat, NOFD, "x", O_RDONLY);
    TRY(openat, file, "x", O_RDONLY);
    TRY(openat2, AT_FDCWD, "/", BAD, 24);
    TRY(openat2, AT_FDCWD, "/", page, 8);
    TRY(openat2, AT_FDCWD, "/", page, 5000);
    TRY(close, NOFD);
    TRY(close_range, 5, 4, 0);
    TRY(close_range, 5000, 6000, 64);
    TRY(dup, NOFD);
    TRY(dup3, file, file, 0);
    TRY(dup3, file, 50, 1);
    TRY(dup3, NOFD, 50, 0);
    TRY(dup3, file, -1, 0);
    TRY(lseek, file, 0, 99);
    TRY(lseek, file, -1, SEEK_SET);
    TRY(lseek, pipes[0], 0, SEEK_SET);
    TRY(fcntl, NOFD, F_GETFL);
    TRY(fcntl, file, 9999);
    TRY(fcntl, file, F_DUPFD, -1);
    TRY(fcntl, file, F_GETLK, BAD);
    TRY(fcntl, pipes[0], F_SETPIPE_SZ, 0x80000000UL);
    TRY(ioctl, NOFD, 0x5401, BAD);
    TRY(ioctl, file, 0x5401, BAD);
    TRY(ioctl, pipes[0], 0x541b, BAD);
    TRY(flock, file, 99);
    TRY(flock, NOFD, 1);
    TRY(fsync, NOFD);
    TRY(fsync, pipes[0]);
    TRY(truncate, BAD, 0);
    TRY(truncate, "/", 0);
    TRY(truncate, "/dev/null", -1);
    TRY(ftruncate, NOFD, 0);
    TRY(ftruncate, pipes[0], 0);
    TRY(ftruncate, file, -1);
    TRY(fallocate, file, 0, 0, 0);
    TRY(fallocate, file, 0x1000, 0, 1);
    TRY(fadvise64, pipes[0], 0, 0, 0);
    TRY(fadvise64, file, 0, 0, 99);
    TRY(readahead, pipes[0], 0, 1);
    TRY(sync_file_range, file, 0, 0, 99);
    TRY(fstat, NOFD, BAD);
    TRY(fstat, file, BAD);
    TRY(fstat, file, readonly);
    TRY(newfstatat, AT_FDCWD, BAD, page, 0);
    TRY(newfstatat, AT_FDCWD, "/", BAD, 0);
    TRY(newfstatat, AT_FDCWD, "", page, 0);
    TRY(newfstatat, AT_FDCWD, "/", page, 0x40000);
    TRY(newfstatat, NOFD, "x", page, 0);
    TRY(statx, AT_FDCWD, "/", 0x40000, 0, page);
    TRY(statx, AT_FDCWD, "/", 0, 0x80000000UL, page);
    TRY(statx, AT_FDCWD, "/", 0, 0, BAD);
    TRY(statfs, BAD, page);
    TRY(statfs, "/", BAD);
    TRY(fstatfs, NOFD, page);
    TRY(faccessat, AT_FDCWD, "/", 99);
    TRY(faccessat2, AT_FDCWD, "/", 0, 0x40000);
    TRY(readlinkat, AT_FDCWD, "/", page, 10);
    TRY(readlinkat, AT_FDCWD, "/proc/self/exe", page, 0);
    TRY(readlinkat, AT_FDCWD, "/proc/self/cwd", BAD, 10);
    TRY(getcwd, page, 0);
    TRY(getcwd, BAD, 4096);
    TRY(getcwd, page, 1);
    TRY(chdir, BAD);
    TRY(chdir, "/dev/null");
    TRY(chdir, "");
    TRY(fchdir, file);
    TRY(fchdir, NOFD);
    TRY(mkdirat, AT_FDCWD, "/", 0);
    TRY(mkdirat, AT_FDCWD, BAD, 0);
    TRY(unlinkat, AT_FDCWD, "/", 0);
    TRY(unlinkat, AT_FDCWD, "/", 0x40000);
    TRY(unlinkat, AT_FDCWD, "/dev/null", AT_REMOVEDIR);
    TRY(renameat2, AT_FDCWD, "/dev/null", AT_FDCWD, "/dev", 99);
    TRY(renameat2, AT_FDCWD, BAD, AT_FDCWD, BAD, 0);
    TRY(linkat, AT_FDCWD, "/dev/null", AT_FDCWD, "/x", 0x40000);
    TRY(symlinkat, "", AT_FDCWD, "/x/y");
    TRY(symlinkat, "a", AT_FDCWD, "/");
    TRY(mknodat, AT_FDCWD, "/", S_IFREG, 0);
    TRY(fchmodat, AT_FDCWD, "/nowhere/at/all", 0);
    TRY(fchmod, NOFD, 0);
    TRY(fchownat, AT_FDCWD, "/", 0, 0, 0x40000);
    TRY(fchown, NOFD, 0, 0);
    TRY(utimensat, AT_FDCWD, "/dev/null", BAD, 0);
    TRY(utimensat, AT_FDCWD, "/dev/null", 0, 0x40000);
    TRY(getdents64, file, page, 4096);
    TRY(getdents64, directory, page, 1);
    TRY(getdents64, directory, BAD, 4096);
    TRY(getdents64, NOFD, page, 4096);
    TRY(sendfile, NOFD, file, 0, 1);
    TRY(sendfile, pipes[1], file, BAD, 1);
    TRY(splice, file, 0, file, 0, 1, 0);
    TRY(splice, pipes[0], page, pipes[1], 0, 1, 0);
    TRY(splice, NOFD, 0, pipes[1], 0, 1, 99);
    TRY(tee, file, file, 1, 0);
    TRY(vmsplice, file, page, 1, 0);
    TRY(copy_file_range, file, 0, file, 0, 1, 99);
    TRY(pipe2, BAD, 0);
    TRY(pipe2, page, 0x12345);
    TRY(getxattr, "/", BAD, page, 1);
    TRY(fsetxattr, file, "x", page, 1, 99);
    TRY(fgetxattr, NOFD, "user.x", page, 1);
    TRY(memfd_create, BAD, 0);
    TRY(memfd_create, "x", 0x8000);
    TRY(inotify_init1, 99);
    TRY(inotify_add_watch, file, "/", 1);
    TRY(inotify_add_watch, NOFD, "/", 1);
    TRY(inotify_rm_watch, file, 1);
}

static void memory(void) {
    TRY(mmap, 0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(mmap, 0, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, NOFD, 0);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file, 1);
    TRY(mmap, 0, 4096, PROT_READ, MAP_PRIVATE, pipes[0], 0);
    TRY(mmap, 1, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    TRY(mmap, 0, HUGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TRY(mmap, page, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    TRY(munmap, 1, 4096);
    TRY(munmap, page, 0);
    TRY(munmap, HUGE & -4096, 4096);
    TRY(mprotect, 1, 4096, PROT_READ);
    TRY(mprotect, 4096, 4096, PROT_READ);
    TRY(mprotect, page, 0, PROT_READ);
    TRY(mprotect, page, HUGE, PROT_READ);
    TRY(mremap, 1, 4096, 8192, 0);
    TRY(mremap, page, 4096, 0, 0);
    TRY(mremap, 4096, 4096, 8192, MREMAP_MAYMOVE);
    TRY(mremap, page, 4096, 8192, 99);
    TRY(mremap, page, 4096, 8192, MREMAP_FIXED, 4096);
    TRY(madvise, 1, 4096, MADV_NORMAL);
    TRY(madvise, page, 4096, 9999);
    TRY(madvise, 4096, 4096, MADV_DONTNEED);
    TRY(madvise, page, 0, MADV_DONTNEED);
    TRY(msync, 1, 4096, MS_SYNC);
    TRY(msync, page, 4096, 99);
    TRY(msync, page, 4096, MS_SYNC | MS_ASYNC);
    TRY(msync, 4096, 4096, MS_SYNC);
    TRY(mlock, 4096, 4096);
    TRY(mlock2, page, 4096, 99);
    TRY(munlock, 4096, 4096);
    TRY(mlockall, 99);
    TRY(mincore, 1, 4096, page);
    TRY(mincore, 4096, 4096, page);
    TRY(mincore, page, 4096, BAD);
    TRY(shmget, 0, 0, 01000);
    TRY(shmat, -1, 0, 0);
    TRY(shmdt, page);
    TRY(shmctl, -1, 2, page);
    TRY(membarrier, 9999, 0);
    TRY(process_vm_readv, getpid(), BAD, 1, page, 1, 0);
    TRY(process_vm_readv, getpid(), page, 0, page, 0, 1);
    TRY(process_vm_readv, 0x7ffffffe, page, 0, page, 1025, 0);
}

static void processes(void) {
    TRY(clone, 0x00000800, 0, 0, 0, 0);
    TRY(clone, 0x00010000, 0, 0, 0, 0);
    TRY(clone3, BAD, 88);
    TRY(clone3, page, 8);
    TRY(execve, BAD, 0, 0);
    TRY(execve, "/nowhere/at/all", 0, 0);
    TRY(execve, "/", 0, 0);
    TRY(execve, "/dev/null", 0, 0);
    TRY(execve, "/proc/self/exe", BAD, 0);
    TRY(execveat, NOFD, "x", 0, 0, 0);
    TRY(execveat, AT_FDCWD, "/", 0, 0, 99);
    TRY(wait4, -1, 0, 0, 0);
    TRY(wait4, -1, 0, 0x1000000, 0);
    TRY(waitid, 99, 0, page, 4, 0);
    TRY(waitid, 0, 0, page, 0, 0);
    TRY(waitid, 0, 0, page, 4, 0);
    TRY(futex, BAD, 0, 0, 0, 0, 0);
    TRY(futex, page + 1, 0, 0, 0, 0, 0);
    TRY(futex, page, 99, 0, 0, 0, 0);
    TRY(futex, page, 0, 1, 0, 0, 0);
    TRY(futex, page, 0, 0, BAD, 0, 0);
    TRY(futex, page, 9, 0, 0, 0, 0);
    TRY(set_robust_list, page, 23);
    TRY(get_robust_list, 0x7ffffffe, page, page);
    TRY(pidfd_open, 0x7ffffffe, 0);
    TRY(pidfd_open, getpid(), 99);
    TRY(pidfd_send_signal, file, 0, 0, 0);
    TRY(getpgid, 0x7ffffffe);
    TRY(setpgid, 0, -1);
    TRY(getsid, 0x7ffffffe);
    TRY(getresuid, BAD, BAD, BAD);
    TRY(getgroups, -1, page);
    TRY(capget, BAD, page);
    TRY(capget, page, page);
    TRY(prctl, 9999, 0, 0, 0, 0);
    TRY(prctl, 15, BAD);
    TRY(prlimit64, 0, 99, 0, page);
    TRY(prlimit64, 0, RLIMIT_NOFILE, BAD, 0);
    TRY(prlimit64, 0, RLIMIT_NOFILE, 0, BAD);
    TRY(prlimit64, 0x7ffffffe, RLIMIT_NOFILE, 0, 0);
    TRY(getrusage, 99, page);
    TRY(getrusage, RUSAGE_SELF, BAD);
    TRY(times, BAD);
    TRY(getpriority, 99, 0);
    TRY(setpriority, 99, 0, 0);
    TRY(ioprio_get, 99, 0);
    TRY(sched_setaffinity, 0, 8, BAD);
    TRY(sched_getaffinity, 0, 1, page);
    TRY(sched_setscheduler, 0, 99, page);
    TRY(sched_getparam, 0, BAD);
    TRY(sched_getattr, 0, page, 1, 0);
    TRY(sched_get_priority_max, 99);
    TRY(sched_rr_get_interval, 0, BAD);
    TRY(getcpu, BAD, 0, 0);
    TRY(kcmp, 0x7ffffffe, getpid(), 0, 0, 0);
    TRY(unshare, 1);
    TRY(setns, file, 0);
}

static void signals(void) {
    TRY(rt_sigaction, 0, 0, 0, 8);
    TRY(rt_sigaction, 65, 0, 0, 8);
    TRY(rt_sigaction, 9, page, 0, 8);
    TRY(rt_sigaction, 10, BAD, 0, 8);
    TRY(rt_sigaction, 10, 0, BAD, 8);
    TRY(rt_sigaction, 10, 0, 0, 4);
    TRY(rt_sigprocmask, 99, page, 0, 8);
    TRY(rt_sigprocmask, 0, BAD, 0, 8);
    TRY(rt_sigprocmask, 0, 0, BAD, 8);
    TRY(rt_sigprocmask, 0, 0, 0, 4);
    TRY(rt_sigsuspend, BAD, 8);
    TRY(rt_sigsuspend, page, 4);
    TRY(rt_sigpending, BAD, 8);
    TRY(rt_sigpending, page, 16);
    TRY(rt_sigtimedwait, BAD, 0, 0, 8);
    TRY(rt_sigtimedwait, page, 0, BAD, 8);
    TRY(rt_sigtimedwait, page, 0, 0, 4);
    TRY(rt_sigqueueinfo, getpid(), 10, BAD);
    TRY(sigaltstack, BAD, 0);
    TRY(sigaltstack, 0, BAD);
    TRY(kill, getpid(), 99);
    TRY(kill, 0x7ffffffe, 0);
    TRY(tgkill, -1, 1, 0);
    TRY(tgkill, getpid(), 0x7ffffffe, 0);
    TRY(tkill, 0, 0);
    TRY(signalfd4, -1, BAD, 8, 0);
    TRY(signalfd4, -1, page, 4, 0);
    TRY(signalfd4, -1, page, 8, 99);
    TRY(signalfd4, file, page, 8, 0);
}

static void moments(void) {
    TRY(clock_gettime, 99, page);
    TRY(clock_gettime, 0, BAD);
    TRY(clock_getres, 99, page);
    TRY(clock_settime, 1, page);
    TRY(nanosleep, BAD, 0);
    TRY(clock_nanosleep, 99, 0, page, 0);
    TRY(clock_nanosleep, 1, 0, BAD, 0);
    TRY(gettimeofday, BAD, 0);
    TRY(getitimer, 99, page);
    TRY(setitimer, 0, BAD, 0);
    TRY(timer_create, 99, 0, page);
    TRY(timer_create, 1, BAD, page);
    TRY(timer_create, 1, 0, BAD);
    TRY(timer_settime, 99, 0, page, 0);
    TRY(timer_gettime, 99, page);
    TRY(timer_delete, 99);
    TRY(timerfd_create, 99, 0);
    TRY(timerfd_create, 1, 99);
    TRY(timerfd_settime, file, 0, page, 0);
    TRY(timerfd_gettime, NOFD, page);
}

static void waiting(void) {
    TRY(ppoll, BAD, 1, 0, 0, 8);
    TRY(ppoll, page, -1, 0, 0, 8);
    TRY(ppoll, page, 0, BAD, 0, 8);
    TRY(ppoll, page, 0, 0, BAD, 8);
    TRY(ppoll, page, 0, 0, page, 4);
    TRY(pselect6, -1, 0, 0, 0, 0, 0);
    TRY(pselect6, 1, BAD, 0, 0, 0, 0);
    TRY(pselect6, 0, 0, 0, 0, BAD, 0);
    TRY(pselect6, 0, 0, 0, 0, 0, BAD);
    TRY(epoll_create1, 99);
    TRY(epoll_ctl, queue, 99, pipes[0], page);
    TRY(epoll_ctl, queue, EPOLL_CTL_ADD, NOFD, page);
    TRY(epoll_ctl, queue, EPOLL_CTL_ADD, pipes[0], BAD);
    TRY(epoll_ctl, queue, EPOLL_CTL_ADD, queue, page);
    TRY(epoll_ctl, queue, EPOLL_CTL_ADD, file, page);
    TRY(epoll_ctl, queue, EPOLL_CTL_DEL, pipes[0], 0);
    TRY(epoll_ctl, file, EPOLL_CTL_ADD, pipes[0], page);
    TRY(epoll_pwait, queue, page, 0, 0, 0, 8);
    TRY(epoll_pwait, queue, page, -1, 0, 0, 8);
    TRY(epoll_pwait, file, page, 1, 0, 0, 8);
    TRY(epoll_pwait, NOFD, page, 1, 0, 0, 8);
    TRY(epoll_pwait, queue, BAD, 1, 0, 0, 8);
    TRY(epoll_pwait, queue, page, 1, 0, BAD, 8);
    TRY(eventfd2, 0, 99);
}

static void sockets(void) {
    TRY(socket, 99, SOCK_STREAM, 0);
    TRY(socket, AF_INET, 99, 0);
    TRY(socket, AF_UNIX, SOCK_STREAM | 0x100000, 0);
    TRY(socketpair, AF_UNIX, SOCK_STREAM, 0, BAD);
    TRY(socketpair, AF_INET, SOCK_STREAM, 0, page);
    TRY(bind, NOFD, page, 16);
    TRY(bind, file, page, 16);
    TRY(bind, internet, BAD, 16);
    TRY(bind, internet, page, 1);
    TRY(bind, internet, page, 9999);
    TRY(listen, file, 1);
    TRY(listen, NOFD, 1);
    TRY(accept4, internet, 0, 0, 99);
    TRY(accept4, internet, 0, 0, 0);
    TRY(accept4, file, 0, 0, 0);
    TRY(connect, internet, BAD, 16);
    TRY(connect, local, page, 1);
    TRY(getsockname, internet, page, BAD);
    TRY(getsockname, file, page, page);
    TRY(getpeername, internet, page, page + 64);
    TRY(sendto, internet, page, 1, 0x4000, 0, 0);
    TRY(sendto, file, page, 1, 0, 0, 0);
    TRY(sendto, local, BAD, 1, 0, 0, 0);
    TRY(recvfrom, local, page, 1, MSG_DONTWAIT, 0, 0);
    TRY(recvfrom, NOFD, page, 1, 0, 0, 0);
    TRY(sendmsg, local, BAD, 0);
    TRY(sendmsg, file, page, 0);
    TRY(recvmsg, local, BAD, MSG_DONTWAIT);
    TRY(recvmmsg, local, page, 0, 0, BAD);
    TRY(shutdown, internet, 99);
    TRY(shutdown, file, 0);
    TRY(setsockopt, internet, SOL_SOCKET, 9999, page, 4);
    TRY(setsockopt, internet, SOL_SOCKET, SO_REUSEADDR, BAD, 4);
    TRY(setsockopt, internet, SOL_SOCKET, SO_REUSEADDR, page, 1);
    TRY(getsockopt, internet, SOL_SOCKET, SO_TYPE, page, BAD);
    TRY(getsockopt, internet, 99, 1, page, page + 64);
}

static void others(void) {
    TRY(semget, 0, -1, 01000);
    TRY(semctl, -1, 0, 2, page);
    TRY(semop, -1, page, 1);
    TRY(semtimedop, 0, page, 0, 0);
    TRY(msgctl, -1, 2, page);
    TRY(msgsnd, -1, page, 1, 0);
    TRY(msgrcv, -1, page, 1, 0, 0);
    TRY(mq_open, "noslash", 0, 0, 0);
    TRY(mq_open, BAD, 0, 0, 0);
    TRY(mq_unlink, "/nowhere-to-be-found");
    TRY(mq_timedsend, file, page, 1, 0, 0);
    TRY(mq_getsetattr, file, 0, page);
    TRY(keyctl, 9999, 0, 0, 0, 0);
    TRY(io_destroy, 1);
    TRY(io_setup, 0, page);
    TRY(uname, BAD);
    TRY(sysinfo, BAD);
    TRY(getrandom, BAD, 8, 0);
    TRY(getrandom, page, 8, 99);
    TRY(syslog, 99, page, 1);
}

#ifdef __x86_64__
static void legacy(void) {
    TRY(open, BAD, O_RDONLY);
    TRY(stat, "/", BAD);
    TRY(lstat, BAD, page);
    TRY(access, "/", 99);
    TRY(pipe, BAD);
    TRY(dup2, file, -1);
    TRY(dup2, NOFD, NOFD);
    TRY(poll, BAD, 1, 0);
    TRY(select, -1, 0, 0, 0, 0);
    TRY(rename, BAD, BAD);
    TRY(mkdir, "/", 0);
    TRY(rmdir, "/dev/null");
    TRY(readlink, "/", page, 10);
    TRY(getdents, file, page, 100);
    TRY(time, BAD);
    TRY(epoll_create, 0);
    TRY(signalfd, -1, page, 4);
    TRY(arch_prctl, 9999, 0);
    TRY(arch_prctl, 0x1003, BAD);
    TRY(getrlimit, 99, page);
    TRY(utimes, "/dev/null", BAD);
    TRY(create_module, 0);
    TRY(get_thread_area, 0);
    TRY(uselib, 0);
    TRY(_sysctl, 0);
}
#endif

int main(int argc, char **argv) {
    file = open("/proc/self/exe", O_RDONLY);
    directory = open("/proc/self", O_RDONLY | O_DIRECTORY);
    (void)!pipe(pipes);
    internet = socket(AF_INET, SOCK_STREAM, 0);
    local = socket(AF_UNIX, SOCK_DGRAM, 0);
    queue = epoll_create1(0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(edge + 4096, 4096);
    memset(longname, 'x', sizeof longname - 1);
    void (*const all[])(void) = {files, memory, processes, signals, moments, waiting, sockets, others};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        all[i]();
#ifdef __x86_64__
    if (argc > 1)
        legacy();
#endif
    (void)argv;
    return 0;
}
