// Children that get busy in memory that is not theirs, and then leave it: the owner must not notice.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned sum;

// Each is a loop of its own, hot when it has run.
#define WORK(n) \
    static __attribute__((noinline)) void work##n(void) { \
        for (unsigned i = 0; i < 20000; i++) \
            sum += sum & n ? i ^ n : i; \
    }
WORK(1) WORK(2) WORK(3) WORK(4) WORK(5) WORK(6) WORK(7) WORK(8)
static void (*const works[])(void) = {work1, work2, work3, work4, work5, work6, work7, work8};

static int busy(void *work) {
    ((void (*)(void))work)();
    return 5;
}

static int status_of(pid_t pid) {
    int status = -1;
    return waitpid(pid, &status, __WALL) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Forking ends whatever works in the background; the next to get busy is a child in borrowed memory.
static int forked(void) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    return status_of(pid);
}

int main(int argc, char **argv) {
    if (argc > 1)
        return 6;
    static char stack[1 << 16] __attribute__((aligned(16)));
    char *arguments[] = {argv[0], "again", NULL};
    for (int i = 0; i < 8; i += 2) {
        printf("forked %d", forked());
        printf(", beside its owner %d", status_of(clone(busy, stack + sizeof stack, CLONE_VM | SIGCHLD, works[i])));
        printf(", forked %d", forked());
        pid_t pid = vfork();
        if (pid == 0) {
            works[i + 1]();
            execv("/proc/self/exe", arguments);
            _exit(1);
        }
        printf(", before its owner %d\n", status_of(pid));
        free(malloc(100000));
    }
    return 0;
}
