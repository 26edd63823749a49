// Ways to be born: what a child shares with its parent and what it has of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

extern char **environ;
static volatile sig_atomic_t hits;
static volatile int shared;
static int number;

static void count(int signal) { (void)signal; hits++; }

static int status_of(pid_t pid) {
    int status = 0;
    if (waitpid(pid, &status, __WALL) != pid)
        return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int store(void *argument) {
    signal(SIGUSR1, SIG_DFL);
    shared = *(int *)argument;
    return getppid() == getpid() ? 99 : *(int *)argument;
}

static int look(void *unused) {
    (void)unused;
    struct stat st;
    struct sigaction one, two;
    sigaction(SIGUSR1, NULL, &one);
    sigaction(SIGUSR2, NULL, &two);
    chdir("/");
    close(number);
    return (one.sa_handler == SIG_DFL) + 2 * (two.sa_handler == SIG_IGN) + 4 * (fstat(0, &st) == 0);
}

static int spin(void *unused) {
    while (!shared)
        *(volatile char *)&unused = 1;
    return 5;
}

static int start(int (*body)(void *), long flags, void *argument) {
    char *stack = malloc(1 << 16);
    return clone(body, stack + (1 << 16), flags, argument);
}

static void *idle(void *unused) {
    usleep(1000);
    return unused;
}

static void show_place(const char *what) {
    char place[256] = "";
    struct stat st;
    (void)!getcwd(place, sizeof place);
    printf("%s: %d %d\n", what, strcmp(place, "/") == 0, fstat(number, &st) == 0);
}

int main(void) {
    signal(SIGUSR1, count);
    signal(SIGUSR2, SIG_IGN);
    char *arguments[] = {"true", NULL};
    pid_t pid = 0;
    posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ);
    printf("spawned %d", status_of(pid));
    raise(SIGUSR1);
    printf(", handled %d\n", hits);
    fflush(stdout);

    int seven = 7, nine = 9, pidfd = -1;
    pid = start(store, CLONE_VM | SIGCHLD, &seven);
    int status = status_of(pid);
    printf("sharing %d %d\n", status, shared);
    raise(SIGUSR1);
    printf("handled %d\n", hits);
    shared = 0;
    pid = start(spin, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, NULL);
    usleep(20000);
    shared = 1;
    printf("beside %d\n", status_of(pid));
    shared = 0;
    pid = start(spin, CLONE_VM | SIGCHLD, NULL);
    usleep(5000);
    kill(pid, SIGKILL);
    printf("killed %d\n", status_of(pid));
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, idle, NULL);
        pid = start(store, CLONE_VM | SIGCHLD, &nine);
        if (status_of(pid) != 9)
            printf("lost\n");
        pthread_join(thread, NULL);
    }
    printf("with SIGHAND %d\n", status_of(start(store, CLONE_VM | CLONE_SIGHAND | SIGCHLD, &seven)));
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    printf("handler is default: %d\n", now.sa_handler == SIG_DFL);
    signal(SIGUSR1, count);
    fflush(stdout);

    for (int kind = 0; kind < 3; kind++) {
        static const uint64_t kinds[] = {0, CLONE_VM, CLONE_VM | CLONE_VFORK};
        char *stack = malloc(1 << 16);
        shared = 0;
        pid = clone(store, stack + (1 << 16), kinds[kind] | CLONE_PIDFD | SIGCHLD, &nine, &pidfd);
        siginfo_t info = {0};
        int got = waitid(P_PIDFD, pidfd, &info, WEXITED);
        printf("pidfd %d: %d %d, shared %d\n", kind, got, info.si_status, shared);
        close(pidfd);
    }
    struct clone_args arguments3 = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    fflush(stdout);
    pid = syscall(SYS_clone3, &arguments3, sizeof arguments3);
    if (pid == 0)
        _exit(look(NULL));
    printf("cleared: %d\n", status_of(pid));
    arguments3.flags |= CLONE_SIGHAND | CLONE_VM;
    printf("contradiction: %d\n", (int)syscall(SYS_clone3, &arguments3, sizeof arguments3));

    number = dup(1);
    char *stack = malloc(1 << 16);
    pid_t cleared = 1;
    clone(look, stack + (1 << 16), CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID, NULL, NULL,
          NULL, &cleared);
    while (__atomic_load_n(&cleared, __ATOMIC_ACQUIRE))
        sched_yield();
    show_place("a thread with its own directory and files");
    return 0;
}
