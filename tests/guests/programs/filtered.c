// System call filters of the program's own: errno, trap, inheritance, strict mode, and what is refused.
#define _GNU_SOURCE
#include "filter.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// 0, or what was refused.
static int filter(unsigned flags, int number, unsigned action) {
    return install_filter(flags, number, action) ? errno : 0;
}

// What a call gives, and its errno.
static void show(const char *what, long number) {
    errno = 0;
    long got = syscall(number, 0);
    printf("%s: %ld %s\n", what, got, strerror(errno));
}

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)context;
    printf("trapped: signal %d code %d errno %d number as called %d here %d\n", signal == SIGSYS, info->si_code,
           info->si_errno, info->si_syscall == SYS_getsid, info->si_call_addr != NULL);
}

static void *in_thread(void *unused) {
    (void)unused;
    show("thread", SYS_getpgid);
    return NULL;
}

static void *waiting(void *pipe_end) {
    char byte;
    (void)!read(*(int *)pipe_end, &byte, 1);
    errno = 0;
    long got = syscall(SYS_getpriority, 0, 0);
    printf("thread from before: %ld %s\n", got, strerror(errno));
    return NULL;
}

static void end_of(const char *what, pid_t child) {
    int status;
    waitpid(child, &status, 0);
    printf("%s: exited %d with %d, signal %d\n", what, WIFEXITED(status), WIFEXITED(status) ? WEXITSTATUS(status) : 0,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        show("executed", SYS_getpgid);
        printf("mode %d\n", prctl(PR_GET_SECCOMP));
        return 0;
    }
    unsigned action = SECCOMP_RET_ERRNO, unknown = 0x12340000;
    long known = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    long strange = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown);
    printf("available: %ld %ld %s\n", known, strange, strerror(errno));
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    struct sock_filter wrong[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 1), BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog bad = {2, wrong}, empty = {0, wrong}, unreadable = {1, (void *)8};
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &bad);
    printf("bad: %s", strerror(errno));
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty);
    printf(", empty: %s", strerror(errno));
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &unreadable);
    printf(", unreadable: %s", strerror(errno));
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8);
    printf(", nowhere: %s\n", strerror(errno));
    printf("mode %d, ", prctl(PR_GET_SECCOMP));
    printf("filter %d, ", filter(0, SYS_getpgid, SECCOMP_RET_ERRNO | ELOOP));
    printf("mode %d\n", prctl(PR_GET_SECCOMP));
    show("filtered", SYS_getpgid);
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    struct sigaction handler = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &handler, NULL);
    filter(0, SYS_getsid, SECCOMP_RET_TRAP | 7);
    syscall(SYS_getsid, 0);
    int pipes[2];
    (void)!pipe(pipes);
    pthread_create(&thread, NULL, waiting, &pipes[0]);
    printf("all threads: %d\n", filter(SECCOMP_FILTER_FLAG_TSYNC, SYS_getpriority, SECCOMP_RET_ERRNO | EDOM));
    (void)!write(pipes[1], "x", 1);
    pthread_join(thread, NULL);
    pid_t child = fork();
    if (child == 0) {
        show("child", SYS_getpgid);
        execl(argv[0], argv[0], "again", NULL);
        _exit(9);
    }
    end_of("executed", child);
    if ((child = fork()) == 0) {
        filter(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS);
        syscall(SYS_getppid);
        _exit(9);
    }
    end_of("killed", child);
    if ((child = fork()) == 0) {
        filter(0, SYS_getppid, SECCOMP_RET_TRACE);
        int untraced = syscall(SYS_getppid) == -1 && errno == ENOSYS;
        filter(0, SYS_getppid, SECCOMP_RET_ERRNO | 3);
        _exit(10 * untraced + (syscall(SYS_getppid) == -1 && errno == 3));
    }
    end_of("no tracer, then an older filter outdone", child);
    return 0;
}
