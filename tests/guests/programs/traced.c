// Calls whose trace lines the test knows (traced.txt): flags, structures, results and signals, by subject. What is not to
// happen is asked of descriptors that are not open, or of names that there are none of.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/times.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { CLOSED = 99 };

#define CALL(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

static char buffer[4096];

static void handler(int signal) { (void)signal; }

static void files(void) {
    CALL(openat, AT_FDCWD, "/nonexistent", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    CALL(openat, AT_FDCWD, "/nonexistent/x", O_WRONLY | O_CREAT | O_TRUNC, 0640);
    CALL(openat, CLOSED, "x", O_TMPFILE | O_RDWR, 0600);
    CALL(openat, CLOSED, "\1\177ab\0012\n\"\\", O_RDONLY | O_NONBLOCK | O_APPEND | O_SYNC);
    long how[3] = {O_RDONLY | O_CLOEXEC, 0, 8 | 1};
    CALL(openat2, CLOSED, "x", how, sizeof how);
    int pipes[2];
    CALL(pipe2, pipes, O_NONBLOCK);
    struct iovec parts[2] = {{"ab", 2}, {"cde", 3}};
    CALL(writev, pipes[1], parts, 2);
    CALL(read, pipes[0], buffer, 16);
    CALL(read, pipes[0], buffer, 16);
    CALL(write, pipes[1], "\177ELF\2\1\1\0\0", 9);
    CALL(write, pipes[1], "0123456789012345678901234567890123456789", 40);
    struct iovec halves[2] = {{buffer, 4}, {buffer + 4, 100}};
    CALL(readv, pipes[0], halves, 2);
    CALL(readv, pipes[0], halves, 2);
    CALL(preadv2, CLOSED, halves, 1, 5L, 0L, RWF_HIPRI);
    struct stat status;
    CALL(fstat, pipes[0], &status);
    CALL(newfstatat, AT_FDCWD, "/dev/null", &status, AT_SYMLINK_NOFOLLOW);
    CALL(newfstatat, CLOSED, "", &status, AT_EMPTY_PATH);
    CALL(statx, AT_FDCWD, "/dev/null", AT_SYMLINK_NOFOLLOW, 0x7ff, buffer);
    CALL(statx, CLOSED, "x", AT_STATX_FORCE_SYNC, 0xfff, buffer);
    CALL(faccessat, CLOSED, "x", F_OK);
    CALL(faccessat2, CLOSED, "x", R_OK | X_OK, AT_EACCESS);
    CALL(unlinkat, CLOSED, "x", AT_REMOVEDIR);
    CALL(renameat2, CLOSED, "x", CLOSED, "y", RENAME_NOREPLACE);
    CALL(linkat, CLOSED, "x", CLOSED, "y", AT_SYMLINK_FOLLOW);
    CALL(mkdirat, CLOSED, "x", 0);
    CALL(mknodat, CLOSED, "x", S_IFIFO | 0644, 0);
    CALL(mknodat, CLOSED, "x", S_IFCHR | 0600, 0x103);
    CALL(fchownat, CLOSED, "x", -1, 5, 0);
    CALL(fchmodat, CLOSED, "x", 04755);
    struct timespec times[2] = {{1000000000, 5}, {0, UTIME_OMIT}};
    CALL(utimensat, CLOSED, "x", times, AT_SYMLINK_NOFOLLOW);
    CALL(umask, 022);
    CALL(umask, 0);
    CALL(lseek, pipes[0], -5L, SEEK_END);
    CALL(lseek, pipes[0], 0L, 9);
    int root = CALL(openat, AT_FDCWD, "/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
    CALL(getdents64, root, buffer, sizeof buffer);
    CALL(getdents64, root, buffer, sizeof buffer);
    CALL(statfs, "/proc", buffer);
    CALL(getcwd, buffer, sizeof buffer);
    CALL(flock, CLOSED, LOCK_EX | LOCK_NB);
    CALL(fallocate, CLOSED, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0L, 1L);
    CALL(fadvise64, CLOSED, 0L, 0L, POSIX_FADV_WILLNEED);
    CALL(sync_file_range, CLOSED, 0L, 0L, SYNC_FILE_RANGE_WRITE);
    long offset = 5;
    CALL(splice, CLOSED, &offset, CLOSED - 1, NULL, 1L, SPLICE_F_MOVE | SPLICE_F_MORE);
    CALL(sendfile, CLOSED, CLOSED - 1, &offset, 3L);
    CALL(setxattr, "/nonexistent", "user.x", "value", 5, XATTR_CREATE);
    CALL(getxattr, "/nonexistent", "user.x", buffer, 10);
    CALL(close_range, 1000, 2000, 4);
    CALL(dup3, CLOSED, CLOSED - 1, O_CLOEXEC);
    CALL(mount, "a", "/nonexistent", "c", MS_RDONLY | MS_NOSUID | MS_BIND, "d");
    CALL(umount2, "/nonexistent", MNT_DETACH);
    CALL(inotify_add_watch, CLOSED, "x", IN_CREATE | IN_DELETE | IN_ONLYDIR);
    CALL(fanotify_mark, CLOSED, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN | FAN_CLOSE_WRITE, CLOSED, "x");
#ifdef SYS_open
    CALL(open, "/nonexistent", O_RDWR | O_CLOEXEC);
    CALL(access, "/nonexistent", W_OK);
    CALL(mknod, "/nonexistent/x", S_IFBLK | 0600, 0x800);
    CALL(stat, "/dev/null", buffer);
    CALL(dup2, CLOSED, CLOSED - 1);
#endif
}

static void commands(void) {
    int file = CALL(memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CALL(fcntl, file, F_GETFD);
    CALL(fcntl, file, F_SETFD, 0L);
    CALL(fcntl, file, F_GETFD);
    CALL(fcntl, file, F_SETFD, FD_CLOEXEC);
    CALL(fcntl, file, F_SETFL, O_NONBLOCK | O_APPEND);
    CALL(fcntl, file, F_GETFL);
    CALL(fcntl, file, F_DUPFD_CLOEXEC, 70);
    struct flock lock = {F_WRLCK, SEEK_SET, 5, 10, 0};
    CALL(fcntl, file, F_SETLK, &lock);
    CALL(fcntl, file, F_GETLK, &lock);
    CALL(fcntl, file, F_OFD_SETLK, &lock);
    CALL(fcntl, file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_GROW);
    CALL(fcntl, file, F_GET_SEALS);
    CALL(fcntl, file, 10, SIGUSR1);
    CALL(fcntl, file, 11);
    CALL(fcntl, CLOSED, F_SETOWN, -5);
    CALL(fcntl, CLOSED, F_GETPIPE_SZ);
    CALL(fcntl, CLOSED, F_NOTIFY, DN_CREATE | DN_MULTISHOT);
    CALL(fcntl, CLOSED, F_SETLEASE, F_RDLCK);
    CALL(fcntl, CLOSED, 98, 5);
    int pipes[2], value = 0;
    CALL(pipe2, pipes, 0);
    CALL(ioctl, pipes[0], FIONREAD, &value);
    CALL(ioctl, pipes[0], FIONBIO, &value);
    CALL(ioctl, pipes[0], FIOCLEX);
    CALL(ioctl, CLOSED, TIOCSCTTY, 1L);
    CALL(ioctl, CLOSED, TIOCSPGRP, &value);
    CALL(ioctl, CLOSED, 0x80085678, 5L);
    int master = CALL(openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY);
    CALL(ioctl, master, TIOCSPTLCK, &value);
    struct winsize size = {25, 80, 0, 0};
    CALL(ioctl, master, TIOCSWINSZ, &size);
    CALL(ioctl, master, TIOCGWINSZ, &size);
    struct termios modes;
    CALL(ioctl, master, TCGETS, buffer);
    CALL(ioctl, master, TCGETS, &modes);
    CALL(ioctl, pipes[0], TCGETS, &modes);
    CALL(prctl, PR_SET_NAME, "a name that is too long");
    CALL(prctl, PR_GET_NAME, buffer);
    CALL(prctl, PR_SET_PDEATHSIG, SIGTERM);
    CALL(prctl, PR_GET_PDEATHSIG, buffer);
    CALL(prctl, PR_GET_DUMPABLE);
    CALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CALL(prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    CALL(prctl, PR_CAPBSET_READ, 1);
    CALL(prctl, PR_SET_CHILD_SUBREAPER, 1);
    CALL(prctl, PR_GET_CHILD_SUBREAPER, buffer);
    CALL(prctl, 999, 1, 2, 3, 4);
    CALL(keyctl, 5, 1, 0x3f000000);
    CALL(keyctl, 99, 1, 2, 3, 4);
    int action = 0x7fff0000;
    CALL(seccomp, 2, 0, &action);
    long ruleset = 3;
    CALL(landlock_create_ruleset, &ruleset, 8, 1);
    int map[5] = {1, 4, 4, 0, 0};
    CALL(bpf, 0, map, sizeof map);
#ifdef SYS_arch_prctl
    CALL(arch_prctl, 0x1003, buffer);
    CALL(arch_prctl, 0x3001, 0L);
#endif
}

static void memory(void) {
    CALL(brk, NULL);
    char *page = (char *)CALL(mmap, NULL, 8192L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);
    CALL(mmap, NULL, 0L, PROT_NONE, MAP_SHARED, CLOSED, 0x1000L);
    CALL(mprotect, page, 4096L, PROT_READ | PROT_EXEC);
    CALL(mremap, page, 4096L, 4096L, MREMAP_MAYMOVE);
    CALL(mremap, page, 4096L, 4096L, MREMAP_FIXED, NULL);
    CALL(madvise, page, 4096L, MADV_DONTNEED);
    CALL(madvise, page, 4096L, 99);
    CALL(msync, page, 4096L, MS_SYNC | MS_INVALIDATE);
    CALL(munmap, page, 8192L);
    CALL(mlock2, 0x1000L, 0L, 1);
    CALL(membarrier, 99, 0);
}

static void futexes(void) {
    int *word = (int *)buffer;
    struct timespec moment = {0, 1};
    *word = 5;
    CALL(futex, word, FUTEX_WAIT, 4, NULL);
    CALL(futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 5, &moment);
    CALL(futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 7, 7, 7);
    CALL(futex, word, FUTEX_REQUEUE, 1, 2L, word + 1);
    CALL(futex, word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, 2L, word + 1, 5);
    CALL(futex, word, FUTEX_WAKE_OP, 1, 2L, word + 1, 0x12345001);
    CALL(futex, word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, &moment);
    CALL(futex, word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG);
    CALL(futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 4, &moment, NULL, -1);
    CALL(futex, word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 3);
    CALL(futex, word, 98, 1, 2L, 3L, 4);
    struct { long value, address; int flags, rest; } waiter = {4, 0x1000, 2 | 128, 0};
    CALL(futex_waitv, &waiter, 1, 1, &moment, CLOCK_MONOTONIC);
}

static void waiting(void) {
    int pipes[2];
    CALL(pipe2, pipes, 0);
    CALL(write, pipes[1], "x", 1);
    struct timespec second = {1, 0}, moment = {0, 1};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    struct pollfd waited[3] = {{-1, POLLIN, 0}, {pipes[0], POLLIN | POLLHUP, 0}, {pipes[1], POLLIN, 0}};
    CALL(ppoll, waited, 3, NULL, &set, 8);
    CALL(ppoll, waited, 2, &second, NULL, 8);
    CALL(ppoll, waited + 2, 1, &moment, NULL, 8);
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pipes[0], &in);
    FD_SET(pipes[1], &in);
    FD_SET(pipes[1], &out);
    second = (struct timespec){1, 0};
    struct { sigset_t *set; long size; } mask = {&set, 8};
    CALL(pselect6, 64, &in, &out, NULL, &second, &mask);
    CALL(pselect6, 0, NULL, NULL, NULL, &moment, NULL);
    int queue = CALL(epoll_create1, EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLOUT | EPOLLET, {.u64 = 0x500000003}};
    CALL(epoll_ctl, queue, EPOLL_CTL_ADD, pipes[1], &event);
    CALL(epoll_pwait, queue, &event, 1, 0, NULL, 8);
    CALL(epoll_pwait, queue, &event, 1, 0, &set, 8);
    CALL(epoll_ctl, queue, EPOLL_CTL_DEL, pipes[1], &event);
    CALL(eventfd2, 3, EFD_SEMAPHORE | EFD_NONBLOCK);
    CALL(signalfd4, -1, &set, 8, SFD_CLOEXEC);
    int timer = CALL(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec interval = {{0, 0}, {100, 0}};
    CALL(timerfd_settime, timer, 0, &interval, buffer);
#ifdef SYS_poll
    CALL(poll, waited + 1, 1, -1);
    CALL(poll, NULL, 0, 0);
    struct timeval wait = {1, 0};
    CALL(select, 64, &in, NULL, NULL, &wait);
    CALL(epoll_wait, queue, &event, 1, 0);
#endif
}

static void sockets(void) {
    int pair[2], one = 1;
    socklen_t length = 128;
    CALL(socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
    CALL(getsockname, pair[0], buffer, &length);
    length = 128;
    CALL(getpeername, CLOSED, buffer, &length);
    struct sockaddr_un name = {AF_UNIX, "/nonexistent/socket"};
    CALL(connect, pair[0], &name, sizeof name);
    memcpy(name.sun_path, "\0abstract", 9);
    CALL(connect, CLOSED, &name, 11);
    int unbound = CALL(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(0)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CALL(bind, unbound, &address, sizeof address);
    length = sizeof address;
    CALL(getsockname, unbound, buffer, &length);
    struct sockaddr_in6 address6 = {AF_INET6, htons(80), 0, IN6ADDR_LOOPBACK_INIT, 3};
    CALL(connect, CLOSED, &address6, sizeof address6);
    CALL(socket, AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
    struct sockaddr_nl group = {AF_NETLINK, 0, 7, 5};
    CALL(bind, CLOSED, &group, sizeof group);
    CALL(setsockopt, unbound, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    length = 4;
    CALL(getsockopt, unbound, SOL_SOCKET, SO_TYPE, buffer, &length);
    struct linger linger = {1, 5};
    CALL(setsockopt, unbound, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    length = 16;
    CALL(getsockopt, unbound, SOL_SOCKET, SO_LINGER, buffer, &length);
    CALL(setsockopt, CLOSED, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    CALL(setsockopt, CLOSED, IPPROTO_TCP, TCP_CONGESTION, "reno!", 5);
    CALL(setsockopt, CLOSED, IPPROTO_IP, IP_TTL, &one, sizeof one);
    CALL(setsockopt, CLOSED, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    CALL(setsockopt, CLOSED, SOL_SOCKET, 98, &one, sizeof one);
    length = 4;
    CALL(getsockopt, CLOSED, SOL_SOCKET, SO_ERROR, buffer, &length);
    union { char bytes[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr header; } control = {{0}};
    struct iovec parts[2] = {{"hello", 5}, {"x", 1}}, whole = {buffer, 100};
    struct msghdr message = {NULL, 0, parts, 2, &control, sizeof control, 0};
    control.header = (struct cmsghdr){CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), (int[]){0, 1}, 2 * sizeof(int));
    CALL(sendmsg, pair[0], &message, MSG_NOSIGNAL);
    char room[100];
    struct msghdr received = {&name, sizeof name, &whole, 1, room, sizeof room, 0};
    CALL(recvmsg, pair[1], &received, MSG_CMSG_CLOEXEC);
    CALL(recvmsg, pair[1], &received, MSG_DONTWAIT);
    CALL(sendto, pair[0], "abc", 3, MSG_DONTWAIT, NULL, 0);
    length = sizeof name;
    CALL(recvfrom, pair[1], buffer, 100, 0, &name, &length);
    struct mmsghdr many[2] = {{{NULL, 0, parts, 2}, 0}, {{NULL, 0, parts, 1}, 0}};
    CALL(sendmmsg, pair[0], many, 2, 0);
    struct mmsghdr back[2] = {{{NULL, 0, &whole, 1}, 0}, {{NULL, 0, &whole, 1}, 0}};
    CALL(recvmmsg, pair[1], back, 2, MSG_WAITFORONE, NULL);
    CALL(accept4, unbound, buffer, &length, SOCK_CLOEXEC);
    CALL(shutdown, CLOSED, SHUT_RDWR);
    struct ifreq interface = {.ifr_name = "lo"};
    CALL(ioctl, unbound, SIOCGIFFLAGS, &interface);
    CALL(ioctl, unbound, SIOCGIFINDEX, &interface);
    CALL(ioctl, unbound, 0x8916, ((struct ifreq *)0x10));
}

static void signals(void) {
    signal(SIGUSR1, handler);
    CALL(kill, getpid(), SIGUSR1);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2), sigaddset(&set, 34);
    CALL(rt_sigprocmask, SIG_BLOCK, &set, buffer, 8);
    CALL(tgkill, getpid(), getpid(), SIGUSR2);
    CALL(rt_sigpending, buffer, 8);
    CALL(rt_sigtimedwait, &set, buffer, NULL, 8);
    siginfo_t info = {.si_signo = 34, .si_code = SI_QUEUE};
    info.si_pid = 1, info.si_uid = 2, info.si_value.sival_int = 7;
    CALL(rt_sigqueueinfo, getpid(), 34, &info);
    struct timespec now = {0, 0}, moment = {0, 1000};
    CALL(rt_sigtimedwait, &set, buffer, &now, 8);
    CALL(rt_sigtimedwait, &set, buffer, &now, 8);
    stack_t stack = {(void *)0x1000, SS_DISABLE, 4096};
    CALL(sigaltstack, &stack, NULL);
    CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &moment, NULL);
    CALL(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &moment, &now);
    CALL(clock_getres, CLOCK_MONOTONIC, buffer);
    struct sigevent event = {.sigev_notify = SIGEV_NONE, .sigev_signo = SIGALRM, .sigev_value.sival_int = 5};
    int timer = 0;
    CALL(timer_create, CLOCK_MONOTONIC, &event, &timer);
    struct itimerspec interval = {{0, 0}, {50, 0}};
    CALL(timer_settime, timer, 0, &interval, buffer);
    CALL(timer_delete, timer);
    struct itimerval alarm = {{0, 0}, {50, 0}};
    CALL(setitimer, ITIMER_REAL, &alarm, NULL);
    CALL(setitimer, ITIMER_REAL, memset(buffer, 0, 32), &alarm);
}

static void processes(void) {
    int end, pid;
    pid = CALL(clone, CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        CALL(exit_group, 3);
    CALL(wait4, -1, &end, 0, NULL);
    pid = CALL(clone, CLONE_PARENT_SETTID | SIGCHLD, NULL, buffer, NULL, NULL);
    if (pid == 0) {
        CALL(kill, getpid(), SIGTERM);
        for (;;)
            pause();
    }
    memset(buffer, 0, sizeof buffer);
    CALL(waitid, P_PID, pid, buffer, WEXITED | WNOWAIT, NULL);
    CALL(wait4, pid, &end, __WALL, buffer);
    long birth[8] = {CLONE_PARENT_SETTID, 0, 0, (long)buffer, SIGCHLD, 0, 0, 0};
    if (CALL(clone3, birth, sizeof birth) == 0)
        CALL(exit_group, 0);
    CALL(wait4, -1, NULL, 0, NULL);
    CALL(wait4, -1, &end, WNOHANG, NULL);
    CALL(execve, "/nonexistent", ((char *[]){"a", "0123456789012345678901234567890123456789", NULL}), ((char *[]){"A=1", NULL}));
    CALL(execve, "/nonexistent", NULL, NULL);
    CALL(unshare, 0);
    CALL(setns, CLOSED, CLONE_NEWNS);
    long cpus[16] = {1};
    CALL(sched_setaffinity, 0, sizeof cpus, cpus);
    CALL(sched_getaffinity, 0, sizeof cpus, cpus);
    CALL(sched_getscheduler, 0);
    CALL(sched_getparam, 0, buffer);
    struct rlimit limit = {1024 * 1024, RLIM_INFINITY};
    CALL(prlimit64, 0, RLIMIT_CORE, NULL, &limit);
    CALL(prlimit64, 1 << 30, RLIMIT_STACK, &((struct rlimit){8 << 20, RLIM_INFINITY}), NULL);
    CALL(getrusage, RUSAGE_SELF, buffer);
    CALL(times, buffer);
    CALL(uname, buffer);
    CALL(sysinfo, buffer);
    CALL(getpriority, PRIO_PROCESS, 0);
    CALL(ioprio_set, 1, 1 << 30, 0x4003);
    CALL(personality, -1);
    CALL(getrandom, buffer, 4, GRND_NONBLOCK);
    CALL(process_vm_readv, getpid(), (&(struct iovec){buffer, 5}), 1, (&(struct iovec){"hello", 5}), 1, 0);
    CALL(pidfd_open, -1, 0);
}

static void queues(void) {
    int semaphores = CALL(semget, IPC_PRIVATE, 2, IPC_CREAT | 0600);
    struct sembuf steps[2] = {{0, 1, SEM_UNDO | IPC_NOWAIT}, {1, -1, IPC_NOWAIT}};
    CALL(semop, semaphores, steps, 2);
    CALL(semctl, semaphores, 0, IPC_STAT, buffer);
    CALL(semctl, semaphores, 0, IPC_RMID, NULL);
    int queue = CALL(msgget, IPC_PRIVATE, 0600);
    struct { long kind; char text[8]; } message = {3, "abc"};
    CALL(msgsnd, queue, &message, 4, IPC_NOWAIT);
    CALL(msgctl, queue, IPC_STAT, buffer);
    CALL(msgctl, queue, IPC_RMID, NULL);
    int segment = CALL(shmget, IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    CALL(shmctl, segment, IPC_STAT, buffer);
    void *place = (void *)CALL(shmat, segment, NULL, SHM_RDONLY);
    CALL(shmdt, place);
    CALL(shmctl, segment, IPC_RMID, NULL);
    aio_context_t context = 0;
    CALL(io_setup, 4, &context);
    int file = CALL(memfd_create, "requests", 0);
    struct iocb request = {.aio_data = 7, .aio_fildes = file, .aio_buf = (long)buffer, .aio_nbytes = 4};
    CALL(io_submit, context, 1, (&(struct iocb *){&request}));
    struct io_event events[2];
    CALL(io_getevents, context, 0, 2, events, NULL);
    CALL(io_destroy, context);
    CALL(mq_open, "nonexistent", O_RDWR, 0, NULL);
}

// Addresses where nothing is.
static void nowhere(void) {
    void *page = (void *)0x10;
    CALL(write, CLOSED, page, 5);
    CALL(writev, CLOSED, page, 2);
    CALL(openat, CLOSED, page, O_RDONLY);
    CALL(ppoll, page, 3, page, page, 8);
    CALL(pselect6, 9, page, NULL, NULL, NULL, page);
    CALL(sendmsg, CLOSED, page, 0);
    CALL(connect, CLOSED, page, 16);
    CALL(setsockopt, CLOSED, SOL_SOCKET, SO_LINGER, page, 8);
    CALL(getsockname, CLOSED, page, page);
    CALL(rt_sigprocmask, SIG_SETMASK, page, NULL, 8);
    CALL(execve, "/nonexistent", page, page);
    CALL(clone3, page, 88);
    CALL(sched_setaffinity, 0, 8, page);
}

int main(void) {
    close_range(3, ~0U, 0); // Whoever started this may have left some open.
    files();
    commands();
    memory();
    futexes();
    waiting();
    sockets();
    signals();
    processes();
    queues();
    nowhere();
    syscall(1000, 7);
    int *volatile nothing = (int *)8;
    *nothing = 1;
    return 0;
}
