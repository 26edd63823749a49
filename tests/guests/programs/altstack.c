// The alternate signal stack: what a handler and its frame see of it, stacks that disarm themselves, and what ends a process.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define SIZE 65536
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static char first[SIZE], second[SIZE];

static void try(const char *what, void *sp, unsigned flags, size_t size) {
    stack_t new = {.ss_sp = sp, .ss_flags = (int)flags, .ss_size = size};
    errno = 0;
    int result = sigaltstack(&new, NULL);
    int error = errno;
    printf("%s: %d %s\n", what, result, strerror(error));
}

static const char *name(const void *sp) {
    if (!sp) return "none";
    return sp == first ? "first" : sp == second ? "second" : "other";
}

static void now(const char *where) {
    stack_t s;
    sigaltstack(NULL, &s);
    printf("%s: now %s %x %zu\n", where, name(s.ss_sp), s.ss_flags, s.ss_size);
}

static int inside(const char *stack) {
    char here;
    return &here >= stack && &here < stack + SIZE;
}

static int levels, change;

static void handler(int number, siginfo_t *info, void *context) {
    (void)info;
    ucontext_t *u = context;
    int level = levels++;
    printf("level %d: on first %d, second %d; saved %s %x %zu\n", level, inside(first), inside(second),
           name(u->uc_stack.ss_sp), u->uc_stack.ss_flags, u->uc_stack.ss_size);
    now("handler");
    if (change == 1) try("another one", second, 0, SIZE);
    if (change == 2) u->uc_stack.ss_sp = second, u->uc_stack.ss_flags = 0;
    if (change == 3) u->uc_stack.ss_size = 7;
    change = 0;
    if (level == 0) raise(number);
    levels--;
}

static void install(int number, int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(number, &action, NULL);
}

static void take(const char *what, int how) {
    printf("-- %s\n", what);
    levels = 0, change = how;
    raise(SIGUSR1);
    now("after");
}

static void *thread(void *unused) {
    (void)unused;
    now("thread");
    take("a thread", 0);
    return NULL;
}

static int deep(int n) {
    volatile char frame[4096];
    frame[0] = (char)n;
    return (n < 1000 ? deep(n + 1) : 0) + frame[0];
}

static void recurse(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    deep(0);
}

// A stack whose lower half cannot be.
static void arm_area(void) {
    char *area = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(area, SIZE / 2, PROT_NONE);
    stack_t s = {.ss_sp = area, .ss_size = SIZE};
    sigaltstack(&s, NULL);
}

static void overflow(void) {
    arm_area();
    struct sigaction action = {.sa_sigaction = recurse, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    raise(SIGSEGV);
}

static void again(int number, siginfo_t *info, void *context) {
    (void)info, (void)context;
    raise(number);
}

// The handler is entered again and again, until the stack has no room for another frame.
static void no_room(void) {
    arm_area();
    struct sigaction action = {.sa_sigaction = again, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
}

static void child(const char *what, void (*run)(void)) {
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        run();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("%s: status %x\n", what, status);
}

// x86-64's kernel writes no frame below the stack, whatever is there.
static void no_room_but_memory(void) {
    stack_t s = {.ss_sp = first + SIZE / 2, .ss_size = SIZE / 2};
    sigaltstack(&s, NULL);
    struct sigaction action = {.sa_sigaction = again, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
}

static void inherited(void) {
    now("child");
    fflush(stdout);
}

int main(void) {
    now("start");
    install(SIGUSR1, SA_ONSTACK | SA_NODEFER);
    take("none", 0);
    try("too small", first, 0, 100);
    try("bad flags", first, 77, SIZE);
    try("plain", first, 0, SIZE);
    take("plain", 0);
    take("changed in the handler", 1);
    try("on stack", first, SS_ONSTACK, SIZE);
    take("on stack", 0);
    child("forked", inherited);
    try("disarming", first, SS_AUTODISARM, SIZE);
    take("disarming", 0);
    take("disarming, changed in the handler", 1);
    take("disarming, changed in the frame", 2);
    now("later");
    try("disarming", first, SS_AUTODISARM, SIZE);
    take("disarming, bad in the frame", 3);
    try("disarming", first, SS_AUTODISARM, SIZE);
    install(SIGUSR1, SA_NODEFER);
    take("disarming, not used", 0);
    install(SIGUSR1, SA_ONSTACK | SA_NODEFER);
    try("off", second, SS_DISABLE, 5);
    now("off");
    take("off", 0);
    try("off, disarming", second, SS_DISABLE | SS_AUTODISARM, 5);
    now("off, disarming");
    try("plain", first, 0, SIZE);
    pthread_t id;
    pthread_create(&id, NULL, thread, NULL);
    pthread_join(id, NULL);
    child("overflow", overflow);
    child("no room", no_room);
#ifdef __x86_64__
    child("no room", no_room_but_memory);
#else
    (void)no_room_but_memory;
    printf("no room: status b\n");
#endif
    return 0;
}
