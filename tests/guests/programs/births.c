// clone3 by hand: what it refuses, ids of the caller's choice, threads with descriptors or names of their own, and a parent
// that waits for a child with memory of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static struct clone_args given(uint64_t flags, uint64_t exit_signal) {
    return (struct clone_args){.flags = flags, .exit_signal = exit_signal};
}

// Where it is not refused, the child is seen and gone before anybody notices.
static void refuse(const char *what, struct clone_args args, size_t size) {
    union {
        struct clone_args args;
        char bytes[5000];
    } *room = calloc(1, sizeof *room);
    room->args = args;
    if (size > sizeof args && size < 5000) room->bytes[size - 1] = size & 1;
    errno = 0;
    long pid = syscall(SYS_clone3, room, size);
    if (pid == 0) _exit(0);
    int error = errno;
    if (pid > 0) waitpid(pid, NULL, __WALL);
    printf("%s: %s\n", what, pid > 0 ? "born" : strerror(error));
    free(room);
}

static void refusals(void) {
    struct clone_args plain = given(0, SIGCHLD), with;
    refuse("plain", plain, sizeof plain);
    refuse("first size", plain, 64);
    refuse("too small", plain, 56);
    refuse("too large", plain, 4104);
    refuse("larger, zeros", plain, 96);
    refuse("larger, not zeros", plain, 97);
    refuse("signal 200", given(0, 200), sizeof plain);
    refuse("signal 65", given(0, 65), sizeof plain);
    refuse("signal of 64 bits", given(0, 1ull << 40), sizeof plain);
    refuse("unknown flag", given(1ull << 40, SIGCHLD), sizeof plain);
    refuse("detached", given(CLONE_DETACHED, SIGCHLD), sizeof plain);
    refuse("signal among the flags", given(SIGCHLD, 0), sizeof plain);
    refuse("parent with signal", given(CLONE_PARENT, SIGCHLD), sizeof plain);
    refuse("thread with signal", given(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, SIGCHLD), sizeof plain);
    refuse("clear and share handlers", given(CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND, 0), sizeof plain);
    refuse("memory and handlers", given(CLONE_SIGHAND, SIGCHLD), sizeof plain);
    refuse("own mounts, common root", given(CLONE_FS | CLONE_NEWNS, SIGCHLD), sizeof plain);
    with = plain, with.stack = (uintptr_t)&with;
    refuse("stack without size", with, sizeof plain);
    with = plain, with.stack_size = 4096;
    refuse("size without stack", with, sizeof plain);
    with = plain, with.set_tid = (uintptr_t)&with;
    refuse("ids, none", with, sizeof plain);
    with.set_tid_size = 33;
    refuse("too many ids", with, sizeof plain);
    with.set_tid_size = 1, with.set_tid = 8;
    refuse("ids nowhere", with, sizeof plain);
    with = given(CLONE_INTO_CGROUP, SIGCHLD), with.cgroup = 999;
    refuse("no cgroup", with, sizeof plain);
    refuse("no room for the cgroup", with, 80);
    with.cgroup = 1ull << 40;
    refuse("cgroup of 64 bits", with, sizeof plain);
}

static void own_id(void) {
    pid_t before = fork();
    if (!before) _exit(0);
    waitpid(before, NULL, 0);
    struct clone_args args = given(0, SIGCHLD);
    pid_t wanted = before;
    args.set_tid = (uintptr_t)&wanted, args.set_tid_size = 1;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) _exit(getpid() == wanted ? 7 : 8);
    int status = 0;
    if (pid > 0) waitpid(pid, &status, 0);
    printf("its id: %d, status %x\n", pid < 0 ? -errno : pid == wanted, status);
}

static void waits(void) {
    volatile int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct clone_args args = given(CLONE_VFORK, SIGCHLD);
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        usleep(50000);
        *word = 5;
        _exit(3);
    }
    printf("seen by the parent: %d\n", *word);
    int status;
    waitpid(pid, &status, 0);
    printf("status %x\n", status);
}

static volatile int over;

static void *another(void *unused) {
    while (!over)
        usleep(1000);
    return unused;
}

// As `waits`, with another thread that goes on; until the child executes something; and with a child of its own that lives on.
static void wait_beside_a_thread(char *own) {
    pthread_t beside;
    pthread_create(&beside, NULL, another, NULL);
    waits();
    volatile int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int life[2], status;
    if (pipe2(life, O_CLOEXEC)) _exit(1);
    struct clone_args args = given(CLONE_VFORK, SIGCHLD);
    pid_t pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        if (fork() == 0) {
            char byte;
            close(life[1]);
            _exit(read(life[0], &byte, 1) != 0);
        }
        usleep(50000);
        *word = 6;
        execl(own, own, "executed", NULL);
        _exit(1);
    }
    printf("before its execve: %d\n", *word);
    waitpid(pid, &status, 0);
    printf("status %x\n", status);
    close(life[0]), close(life[1]);
    over = 1;
    pthread_join(beside, NULL);
}

static int shared[2];

// What runs in a thread without libc's data may only make calls.
static int name_itself(void *unused) {
    (void)unused;
    shared[1] = syscall(SYS_sethostname, "other", 5L);
    __atomic_store_n(&shared[0], 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&shared[0], __ATOMIC_ACQUIRE) != 2)
        syscall(SYS_sched_yield);
    syscall(SYS_exit, 0);
    return 0;
}

#define A_THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

static void threads(void) {
    char *stack = malloc(1 << 16);
    int pidfd = -1;
    struct utsname before, after;
    uname(&before);
    long tid = clone(name_itself, stack + (1 << 16), A_THREAD | CLONE_NEWUTS | CLONE_PIDFD, NULL, &pidfd);
    printf("thread with a name of its own: %d, pidfd %d\n", tid < 0 ? errno : 0, pidfd >= 0);
    if (tid > 0) {
        while (!__atomic_load_n(&shared[0], __ATOMIC_ACQUIRE))
            sched_yield();
        uname(&after);
        printf("renamed: %d, the same here: %d\n", shared[1], !strcmp(before.nodename, after.nodename));
        struct pollfd gone = {.fd = pidfd, .events = POLLIN};
        printf("gone: %d\n", poll(&gone, 1, 0));
        __atomic_store_n(&shared[0], 2, __ATOMIC_RELEASE);
        printf("gone: %d\n", poll(&gone, 1, 60000));
    }
    printf("thread in a user space of its own: %d\n",
           clone(name_itself, stack + (1 << 16), A_THREAD | CLONE_NEWUSER, NULL));
    printf("pidfd nowhere: %d\n", clone(name_itself, stack + (1 << 16), A_THREAD | CLONE_PIDFD, NULL, (int *)8));
}

int main(int argc, char **argv) {
    if (argc > 1) return 4;
    setvbuf(stdout, NULL, _IONBF, 0);
    refusals();
    own_id();
    waits();
    wait_beside_a_thread(argv[0]);
    threads();
    return 0;
}
