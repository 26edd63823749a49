// A supervisor decides on its child's system calls: values, errors, descriptors, "let it be made", and across execve.
#define _GNU_SOURCE
#include "filter.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

static void show_status(const char *who) {
    FILE *file = fopen("/proc/thread-self/status", "r");
    char line[256];
    printf("%s:", who);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "Seccomp", 7) == 0 || strncmp(line, "NoNewPrivs", 10) == 0) {
            line[strcspn(line, "\n")] = 0;
            printf(" %s", line);
        }
    }
    putchar('\n');
    fclose(file);
}

static void send_descriptor(int socket, int fd) {
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    sendmsg(socket, &message, 0);
}

static int receive_descriptor(int socket) {
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(socket, &message, 0) == 1) memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

// What a call gives.
static void ask(const char *what, long argument) {
    errno = 0;
    long got = syscall(SYS_getpriority, 4711, argument, 3, 4, 5, 6);
    printf("%s: %ld %s\n", what, got, strerror(errno));
}

static void *in_thread(void *unused) {
    ask("of a thread", 6);
    return unused;
}

static void interrupted(int signal) { (void)signal; }

static void child(int socket, char **argv) {
    show_status("before");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long both = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC, SYS_getpriority, 0);
    printf("flags that exclude each other: %ld %s\n", both, strerror(errno));
    int listener = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getpriority, SECCOMP_RET_USER_NOTIF);
    long second = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, SYS_getpgid, SECCOMP_RET_USER_NOTIF);
    printf("listener %d, another: %ld %s\n", listener >= 0, second, strerror(errno));
    install_filter(0, SYS_getpgid, SECCOMP_RET_USER_NOTIF);
    long unheard = syscall(SYS_getpgid, 0);
    printf("reported to nobody: %ld %s\n", unheard, strerror(errno));
    show_status("after");
    send_descriptor(socket, listener);
    close(listener);
    ask("value", 1);
    ask("error", 2);
    ask("made", 3);
    ask("large value", 4);
    ask("descriptor", 5);
    int flags = fcntl(100, F_GETFD);
    printf("which is there: %d\n", flags >= 0 && write(100, "", 0) == 0);
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    ask("interrupted", 7);
    fflush(stdout);
    execl(argv[0], argv[0], "executed", NULL);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        ask("executed", 8);
        show_status("executed");
        return 0;
    }
    int sockets[2], status, both = -1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
    struct seccomp_notif_sizes sizes;
    printf("sizes: %ld", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
    printf(" %d %d\n", sizes.seccomp_notif >= sizeof(struct seccomp_notif), sizes.seccomp_data == sizeof(struct seccomp_data));
    pid_t pid = fork();
    if (pid == 0) {
        child(sockets[1], argv);
        _exit(1);
    }
    int listener = receive_descriptor(sockets[0]);
    for (int wanted = 1; wanted <= 8; wanted++) {
        struct pollfd ready = {listener, POLLIN, 0};
        poll(&ready, 1, 60000);
        struct seccomp_notif report = {0};
        struct seccomp_notif_resp answer = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &report) != 0) {
            printf("not received: %s\n", strerror(errno));
            break;
        }
        int as_made = report.data.nr == SYS_getpriority && report.data.arch == ARCH && report.data.args[0] == 4711 &&
            report.data.args[1] == (unsigned)wanted && report.data.args[5] == 6;
        int valid = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &report.id) == 0;
        if (!as_made || !valid || (wanted != 6 && report.pid != (unsigned)pid))
            printf("report %d is wrong: %d %d\n", wanted, as_made, valid);
        answer.id = report.id;
        switch (wanted) {
        case 2: answer.error = -EOWNERDEAD; break;
        case 3: answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE; break;
        case 4: answer.val = 0x123456789abcdefll; break;
        case 5: {
            struct seccomp_notif_addfd add = {.id = report.id, .flags = SECCOMP_ADDFD_FLAG_SETFD, .srcfd = 1, .newfd = 100};
            answer.val = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
            break;
        }
        case 7:
            while (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &report.id) == 0) usleep(1000);
            continue;
        default: answer.val = 100 + wanted;
        }
        struct seccomp_notif_resp wrong = {.id = report.id, .val = 1, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        if (wanted == 1) both = ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &wrong) == -1 ? errno : 0;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) != 0) printf("not sent: %s\n", strerror(errno));
    }
    waitpid(pid, &status, 0);
    printf("a value and a flag: %s\n", strerror(both));
    printf("ended with %d\n", status);
    return 0;
}
