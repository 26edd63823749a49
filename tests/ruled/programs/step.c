// Does one thing per line of standard input (or per argument), and says what came of it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static const char read_only[] = "read only";
static char *self;
static volatile sig_atomic_t hits;
static long in_handler;

static void say(const char *what, long value) {
    char line[128];
    int length = snprintf(line, sizeof line, "%s %ld\n", what, value);
    (void)!write(1, line, length);
}

static void on_signal(int signal) { (void)signal; hits++; in_handler = syscall(SYS_getpid); }

// A page of which the first bytes are "hello\0world\0" and the last "end", with nothing mapped behind it.
static char *page(void) {
    static char *area;
    if (!area) {
        area = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(area + 12288, 4096);
        memcpy(area, "hello\0world", 12);
        memset(area + 4096, 'x', 8192 - 3);
        memcpy(area + 12288 - 3, "end", 3);
    }
    return area;
}

static void *call_often(void *result) {
    for (int i = 0; i < 100; i++)
        *(long *)result = syscall(SYS_getpid);
    return NULL;
}

static void threads(void) {
    pthread_t ids[4];
    long results[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&ids[i], NULL, call_often, &results[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < 4; i++)
        say("thread", results[i]);
}

static void *leave_after(void *argument) {
    usleep(100000);
    syscall(SYS_exit_group, (long)argument);
    return NULL;
}

static void forked(void) {
    pid_t child = fork();
    if (child == 0) {
        say("child", syscall(SYS_getpid));
        _exit(3);
    }
    int status = 0;
    pid_t got = waitpid(child, &status, 0);
    say("waited", got == child ? WEXITSTATUS(status) : -1);
}

static void vforked(void) {
    static volatile int shared;
    shared = 0;
    pid_t child = vfork();
    if (child == 0) {
        shared = 5;
        _exit(4);
    }
    int status = 0;
    waitpid(child, &status, 0);
    say("vforked", shared * 10 + WEXITSTATUS(status));
}

static void spawned(void) {
    pid_t child = 0;
    char *missing[] = {"/nonexistent/program", NULL}, *again[] = {self, "getpid", NULL};
    say("spawn missing", posix_spawn(&child, missing[0], NULL, NULL, missing, environ));
    say("spawn", posix_spawn(&child, self, NULL, NULL, again, environ));
    int status = 0;
    waitpid(child, &status, 0);
    say("spawned", WEXITSTATUS(status));
}

static void edit(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    (void)!write(fd, text, strlen(text));
    close(fd);
}

// A read that a signal interrupts; it ends for good when the handler has run and the pipe has a byte.
static int pipes[2];
static void feed(int signal) {
    (void)signal;
    if (++hits >= 2)
        (void)!write(pipes[1], "x", 1);
}

static void interrupted(int flags) {
    char byte;
    struct sigaction action = {.sa_handler = feed, .sa_flags = flags};
    struct itimerspec every = {{0, 20000000}, {0, 20000000}}, never = {{0, 0}, {0, 0}};
    timer_t timer;
    hits = 0;
    (void)!pipe(pipes);
    sigaction(SIGALRM, &action, NULL);
    timer_create(CLOCK_MONOTONIC, NULL, &timer);
    timer_settime(timer, 0, &every, NULL);
    long got = syscall(SYS_read, pipes[0], &byte, 1L);
    int error = errno;
    timer_settime(timer, 0, &never, NULL);
    say("read", got < 0 ? -error : got);
    say("hits", hits >= 2 ? 2 : hits);
}

static int sigchld;
static void on_child(int signal) { (void)signal; sigchld++; }

static void step(char *line) {
    char *word = strtok(line, " "), *rest = strtok(NULL, "");
    long value = rest ? strtol(rest, NULL, 0) : 0;
    if (!strcmp(word, "getpid")) {
        say("getpid", syscall(SYS_getpid));
    } else if (!strcmp(word, "getppid")) {
        long real = getppid();
        say("getppid", real > 0);
    } else if (!strcmp(word, "getsid")) {
        errno = 0;
        long result = syscall(SYS_getsid, page(), page() + 12288, read_only);
        say("getsid", result < 0 ? -errno : result);
    } else if (!strcmp(word, "page")) {
        (void)!write(1, page(), 11);
        (void)!write(1, "\n", 1);
    } else if (!strcmp(word, "echo")) {
        (void)!write(1, rest, strlen(rest));
        (void)!write(1, "\n", 1);
    } else if (!strcmp(word, "edit")) {
        char *path = strtok(rest, " ");
        edit(path, strtok(NULL, ""));
        say("getpid", syscall(SYS_getpid));
    } else if (!strcmp(word, "threads")) {
        threads();
    } else if (!strcmp(word, "fork")) {
        forked();
    } else if (!strcmp(word, "vfork")) {
        vforked();
    } else if (!strcmp(word, "spawn")) {
        spawned();
    } else if (!strcmp(word, "handle")) {
        signal(value, on_signal);
        say("handling", value);
    } else if (!strcmp(word, "raise")) {
        syscall(SYS_tkill, syscall(SYS_gettid), value);
        say("handled", in_handler);
    } else if (!strcmp(word, "hits")) {
        say("hits", hits);
    } else if (!strcmp(word, "interrupt")) {
        interrupted(value ? SA_RESTART : 0);
    } else if (!strcmp(word, "exec")) {
        char *args[] = {self, "getpid", NULL};
        execve(self, args, environ);
    } else if (!strcmp(word, "cd")) {
        say("cd", chdir(rest));
    } else if (!strcmp(word, "close")) {
        say("close", close(value));
    } else if (!strcmp(word, "watch-children")) {
        signal(SIGCHLD, on_child);
    } else if (!strcmp(word, "children")) {
        say("wait", waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        say("sigchld", sigchld);
    } else if (!strcmp(word, "leave-after")) {
        pthread_t id;
        pthread_create(&id, NULL, leave_after, (void *)value);
    } else if (!strcmp(word, "exit")) {
        exit(value);
    } else if (!strcmp(word, "kill")) {
        syscall(SYS_tkill, syscall(SYS_gettid), value);
    } else if (!strcmp(word, "alarm")) {
        struct itimerspec once = {{0, 0}, {0, 1000000 * value}};
        timer_t timer;
        timer_create(CLOCK_MONOTONIC, NULL, &timer);
        timer_settime(timer, 0, &once, NULL);
    } else {
        say("what?", 0);
    }
}

int main(int argc, char **argv) {
    static char line[4096];
    self = argv[0][0] == 47 ? argv[0] : realpath(argv[0], NULL);
    for (int i = 1; i < argc; i++) {
        snprintf(line, sizeof line, "%s", argv[i]);
        step(line);
    }
    if (argc > 1)
        return 0;
    // A byte at a time, so that a child does not share what was read ahead.
    for (size_t length = 0; read(0, line + length, 1) == 1; length++) {
        if (line[length] != '\n')
            continue;
        line[length] = 0;
        step(line);
        length = -1;
    }
    return 0;
}
