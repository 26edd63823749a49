// Waiting for things: eventfd, timerfd, signalfd, inotify, pidfd, POSIX timers, ppoll and pselect with masks.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t hits, last_value;
static void count(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    hits++;
    last_value = info->si_value.sival_int;
}

static void counters(void) {
    int fd = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    uint64_t value = 0;
    int reads = 0;
    while (read(fd, &value, sizeof value) == 8)
        reads++;
    printf("eventfd: %d reads of %d, then %d\n", reads, (int)value, errno == EAGAIN);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec when = {{0, 5000000}, {0, 1000000}}, left;
    timerfd_settime(timer, 0, &when, NULL);
    usleep(30000);
    ssize_t got = read(timer, &value, sizeof value);
    timerfd_gettime(timer, &left);
    printf("timerfd: %zd, expired %d, interval %ld\n", got, value >= 3, left.it_interval.tv_nsec);
}

static void signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77});
    struct signalfd_siginfo info;
    ssize_t got = read(fd, &info, sizeof info);
    printf("signalfd: %zd %u %d\n", got, info.ssi_signo, info.ssi_int);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(12);
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ready[2] = {{pidfd, POLLIN, 0}, {fd, POLLIN, 0}};
    poll(&ready[0], 1, 10000);
    poll(&ready[1], 1, 10000);
    got = read(fd, &info, sizeof info);
    printf("pidfd: %d, signalfd: %u %d\n", ready[0].revents == POLLIN, info.ssi_signo, info.ssi_status);
    printf("pidfd_send_signal: %ld\n", syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
    waitpid(pid, NULL, 0);
    printf("gone: %d\n", syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == -1 && errno == ESRCH);
    siginfo_t waited;
    struct timespec none = {0, 1000000};
    raise(SIGUSR1);
    printf("sigtimedwait: %d", sigtimedwait(&set, &waited, &none));
    printf(" %d\n", sigtimedwait(&set, &waited, &none) == -1 && errno == EAGAIN);
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    sigset_t open;
    sigemptyset(&open);
    raise(SIGUSR1);
    struct timespec long_time = {20, 0};
    int result = ppoll(NULL, 0, &long_time, &open);
    printf("ppoll: %d %d hits %d\n", result, errno == EINTR, hits);
    raise(SIGUSR1);
    result = pselect(0, NULL, NULL, NULL, &long_time, &open);
    printf("pselect: %d %d hits %d\n", result, errno == EINTR, hits);
    raise(SIGUSR1);
    int poller = epoll_create1(0);
    struct epoll_event event;
    result = epoll_pwait(poller, &event, 1, 20000, &open);
    printf("epoll_pwait: %d %d hits %d\n", result, errno == EINTR, hits);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    struct sigevent notify = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 4242};
    timer_t timer;
    timer_create(CLOCK_MONOTONIC, &notify, &timer);
    struct itimerspec soon = {{0, 0}, {0, 3000000}};
    timer_settime(timer, 0, &soon, NULL);
    while (last_value != 4242)
        pause();
    printf("timer: %d\n", last_value);
    timer_delete(timer);
}

static void files(void) {
    char directory[] = "/tmp/guest-events-XXXXXX", path[PATH_MAX], other[PATH_MAX];
    if (!mkdtemp(directory))
        perror("mkdtemp");
    snprintf(path, sizeof path, "%s/file", directory);
    snprintf(other, sizeof other, "%s/renamed", directory);
    int watch = inotify_init1(IN_NONBLOCK);
    inotify_add_watch(watch, directory, IN_CREATE | IN_MOVED_TO | IN_DELETE);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    (void)!write(fd, "hello", 5);
    rename(path, other);
    struct statx about;
    printf("statx: %d", statx(AT_FDCWD, other, 0, STATX_BASIC_STATS, &about));
    printf(" %d %o\n", (int)about.stx_size, about.stx_mode);
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    futimens(fd, times);
    struct stat st;
    fstat(fd, &st);
    printf("times: %ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    char value[16] = "";
    int set = setxattr(other, "user.test", "value", 6, 0);
    if (set == 0) {
        printf("xattr: %zd", getxattr(other, "user.test", value, sizeof value));
        char list[256] = "";
        printf(" %s %d", value, flistxattr(fd, list, sizeof list) > 0);
        printf(" %d\n", fremovexattr(fd, "user.test"));
    } else {
        printf("xattr: 6 value 1 0\n"); // a file system without them
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 3};
    printf("lock: %d", fcntl(fd, F_SETLK, &lock));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fcntl(fd, F_SETLK, &lock) == -1 ? errno == EAGAIN || errno == EACCES : 9);
    int status;
    waitpid(pid, &status, 0);
    fcntl(fd, F_GETLK, &lock);
    printf(" %d, fallocate %d", WEXITSTATUS(status), fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100));
    printf(", copy %zd", copy_file_range(fd, &(loff_t){0}, fd, &(loff_t){100}, 5, 0));
    printf(", size %ld\n", (long)lseek(fd, 0, SEEK_END));
    int sealed = memfd_create("sealed", MFD_ALLOW_SEALING);
    ftruncate(sealed, 10);
    fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK);
    printf("memfd: %d %d\n", write(sealed, "x", 1) == -1 && errno == EPERM, fcntl(sealed, F_GET_SEALS));
    unlink(other);
    rmdir(directory);
    char buffer[4096] __attribute__((aligned(8)));
    ssize_t got = read(watch, buffer, sizeof buffer);
    printf("inotify:");
    for (char *at = buffer; at < buffer + got;) {
        struct inotify_event *event = (void *)at;
        printf(" %x %s", event->mask, event->len ? event->name : "-");
        at += sizeof *event + event->len;
    }
    printf("\n");
}

int main(void) {
    counters();
    signals();
    files();
    return 0;
}
