// Calls whose trace lines the test knows: flags, structures, results and signals.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void handler(int signal) { (void)signal; }

int main(void) {
    syscall(SYS_openat, AT_FDCWD, "/nonexistent", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    syscall(SYS_openat, AT_FDCWD, "/nonexistent/x", O_WRONLY | O_CREAT | O_TRUNC, 0640);
    int pipes[2];
    syscall(SYS_pipe2, pipes, O_NONBLOCK);
    struct iovec parts[2] = {{"ab", 2}, {"cde", 3}};
    syscall(SYS_writev, pipes[1], parts, 2);
    struct pollfd waiting = {pipes[0], POLLIN | POLLHUP, 0};
    syscall(SYS_ppoll, &waiting, 1, NULL, NULL, 8);
    char buffer[16];
    syscall(SYS_read, pipes[0], buffer, sizeof buffer);
    syscall(SYS_read, pipes[0], buffer, sizeof buffer);
    struct stat status;
    syscall(SYS_fstat, pipes[0], &status);
    int queue = syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLOUT | EPOLLET, {.u64 = 0x1234}};
    syscall(SYS_epoll_ctl, queue, EPOLL_CTL_ADD, pipes[1], &event);
    syscall(SYS_epoll_pwait, queue, &event, 1, 0, NULL, 8);
    signal(SIGUSR1, handler);
    syscall(SYS_kill, getpid(), SIGUSR1);
    int unbound = syscall(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(0)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    syscall(SYS_bind, unbound, &address, sizeof address);
    struct timespec moment = {0, 1000};
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &moment, NULL);
    struct rlimit limit;
    syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &limit);
    syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fork() == 0)
        syscall(SYS_exit_group, 3);
    int end;
    syscall(SYS_wait4, -1, &end, 0, NULL);
    syscall(1000, 7);
    *(volatile int *)8 = 1;
    return 0;
}
