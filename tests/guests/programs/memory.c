// The address space's corners: growing stacks, files that end, reservations, limits, moves, protections that change.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile int signal_seen, code_seen;
static volatile uintptr_t place_seen;

static volatile sig_atomic_t expected;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (!expected)
        abort();
    signal_seen = signal;
    code_seen = info->si_code;
    place_seen = (uintptr_t)info->si_addr;
    siglongjmp(back, 1);
}

// What an access does: 0, or signal * 100 + code.
static int touch(volatile char *at, int write) {
    signal_seen = 0;
    expected = 1;
    if (!sigsetjmp(back, 1)) {
        if (write)
            *at = 1;
        else
            (void)*at;
        expected = 0;
        return 0;
    }
    expected = 0;
    return place_seen == (uintptr_t)at ? signal_seen * 100 + code_seen : -1;
}

static void *map(void *at, size_t len, int prot, int flags) {
    return mmap(at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static void file_that_ends(void) {
    int file = memfd_create("short", 0);
    (void)!write(file, "0123456789", 10);
    char *whole = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    printf("file: %d %d", touch(whole + 20, 0), touch(whole + 4096, 0));
    (void)!ftruncate(file, 2 * 4096);
    printf(" %d %d", touch(whole + 4096, 1), touch(whole + 8192, 1));
    (void)!ftruncate(file, 0);
    printf(" %d\n", touch(whole, 0));
    char buffer[8];
    int pipes[2];
    (void)!pipe(pipes);
    printf("kernel reads behind the end: %zd", write(pipes[1], whole, 8));
    printf(" %s, writes: ", strerror(errno));
    (void)!write(pipes[1], "12345678", 8);
    ssize_t got = read(pipes[0], whole, 8);
    printf("%zd %s\n", got, got < 0 ? strerror(errno) : "");
    printf("still there: %zd\n", read(pipes[0], buffer, 8));
}

static void growing_down(void) {
    char *top = map(NULL, 64 * 4096, PROT_NONE, MAP_NORESERVE);
    munmap(top, 64 * 4096);
    char *stack = map(top + 60 * 4096, 2 * 4096, PROT_READ | PROT_WRITE, MAP_GROWSDOWN | MAP_FIXED);
    printf("grows down: %d", stack == top + 60 * 4096);
    // A page at a time, as stacks do.
    for (int page = 1; page <= 8; page++)
        printf(" %d", touch(stack - page * 4096 + 8, 1));
    printf("\n");
    munmap(top, 64 * 4096);
}

// libc passes the new address on only with MREMAP_FIXED.
static char *raw_mremap(char *page, int flags, long wanted) {
    return (char *)syscall(SYS_mremap, page, 4096L, 4096L, (long)flags, wanted);
}

static void moves(void) {
    char *area = map(NULL, 4 * 4096, PROT_READ | PROT_WRITE, 0);
    for (int i = 0; i < 4; i++)
        area[i * 4096] = 'a' + i;
    char *larger = mremap(area, 4 * 4096, 64 * 4096, MREMAP_MAYMOVE);
    printf("moved: %c%c%c%c %d", larger[0], larger[4096], larger[8192], larger[12288], larger[20 * 4096]);
    char *smaller = mremap(larger, 64 * 4096, 2 * 4096, 0);
    printf(", shrunk: %d %d %d", smaller == larger, touch(larger + 4096, 0), touch(larger + 2 * 4096, 0));
    char *target = map(NULL, 2 * 4096, PROT_NONE, 0);
    char *there = mremap(smaller, 2 * 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    printf(", placed: %d %c %d", there == target, there[4096], touch(smaller, 0));
    char *left = raw_mremap(there, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
    printf(", left: %d\n", left != MAP_FAILED);
    if (left != MAP_FAILED)
        printf("copied: %c %d %c\n", left[0], there[0], there[4096]);
    errno = 0;
    left = raw_mremap(there, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 1);
    printf("nowhere: %d %s\n", left == MAP_FAILED, strerror(errno));
    printf("refused:");
    for (int flags = 0; flags < 16; flags++) {
        errno = 0;
        if ((flags & 3) != 3 && flags != 1 && flags != 5 && raw_mremap(there, flags, 4096) == MAP_FAILED) printf(" %d %d", flags, errno);
    }
    char *hint = map(NULL, 8 * 4096, PROT_NONE, 0);
    munmap(hint, 8 * 4096);
    left = raw_mremap(there, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, (long)(hint + 3 * 4096));
    printf(", as hinted: %d\n", left == hint + 3 * 4096);
    madvise(there, 2 * 4096, MADV_DONTNEED);
    printf("forgotten: %d %d\n", there[0], there[4096]);
}

// Flags of such a mapping must be known to the file; the place is not the file's business.
static void validated(void) {
    int file = open("/proc/self/exe", O_RDONLY);
    char *hint = map(NULL, 4096, PROT_NONE, 0);
    char *there = mmap(hint, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_FIXED, file, 0);
    char *anywhere = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE, file, 0);
    munmap(hint, 4096);
    char *hinted = mmap(hint, 4096, PROT_READ, MAP_SHARED_VALIDATE, file, 0);
    printf("validated: %d %d %d", there == hint, anywhere != MAP_FAILED && anywhere[1] == 'E', hinted == hint);
    errno = 0;
    hinted = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, file, 0);
    printf(", with another flag: %d %s\n", hinted != MAP_FAILED, strerror(errno));
    close(file);
}

static void protections(void) {
    char *page = map(NULL, 3 * 4096, PROT_READ | PROT_WRITE, 0);
    mprotect(page + 4096, 4096, PROT_READ);
    printf("protected: %d %d %d", touch(page + 4096, 1), touch(page + 4096, 0), touch(page + 8192, 1));
    mprotect(page, 3 * 4096, PROT_NONE);
    printf(" %d %d", touch(page, 0), touch(page + 8192, 1));
    munmap(page + 4096, 4096);
    errno = 0;
    int failed = mprotect(page, 3 * 4096, PROT_READ);
    printf(", over a hole: %d %s", failed, strerror(errno));
    printf(" %d %d %d\n", touch(page, 0), touch(page + 4096, 0), touch(page + 8192, 0));
}

static void reservations(void) {
    size_t terabyte = 1UL << 40, reserved = 0;
    char *areas[8];
    for (int i = 0; i < 8; i++) {
        areas[i] = map(NULL, terabyte, PROT_NONE, MAP_NORESERVE);
        reserved += areas[i] != MAP_FAILED;
    }
    printf("terabytes: %zu", reserved);
    int usable = mprotect(areas[3] + (terabyte / 2), 4096, PROT_READ | PROT_WRITE);
    printf(" %d %d %d\n", usable, touch(areas[3] + terabyte / 2, 1), touch(areas[3], 1));
    for (int i = 0; i < 8; i++)
        munmap(areas[i], terabyte);
}

static volatile char *deepest;
#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int recurse(int depth) {
    volatile char room[4096];
    room[0] = depth;
    deepest = room;
    return recurse(depth + 1) + room[0];
}

static void stack_overflow(void) {
    static char alternate[1 << 16];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
    for (int round = 0; round < 2; round++) {
        expected = 1;
        if (!sigsetjmp(back, 1))
            recurse(0);
        expected = 0;
        printf("overflow: signal %d near the stack's end %d\n", signal_seen,
               (uintptr_t)deepest - place_seen < 3 * 4096);
    }
}

// Pages of a file in another order.
static void other_pages(void) {
    FILE *file = tmpfile();
    for (int i = 0; i < 4 * 4096; i++) fputc('a' + i / 4096, file);
    fflush(file);
    char *at = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    int swapped = remap_file_pages(at, 4096, 0, 3, 0);
    printf("other pages: %d %c%c%c", swapped, at[0], at[4096], at[3 * 4096]);
    at[1] = 'x';
    printf(" %c", at[3 * 4096 + 1]);
    printf(", with a protection: %s", remap_file_pages(at, 4096, PROT_READ, 2, 0) ? strerror(errno) : "ok");
    char *own = map(NULL, 4096, PROT_READ | PROT_WRITE, 0);
    printf(", of no file: %s\n", remap_file_pages(own, 4096, 0, 0, 0) ? strerror(errno) : "ok");
    munmap(at, 4 * 4096);
    fclose(file);
}

static void limits(void) {
    if (fork() == 0) {
        struct rlimit limit = {1UL << 30, 1UL << 30};
        setrlimit(RLIMIT_DATA, &limit);
        errno = 0;
        void *area = map(NULL, 2UL << 30, PROT_READ | PROT_WRITE, 0);
        printf("limit of data: %d %s\n", area == MAP_FAILED, strerror(errno));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    file_that_ends();
    growing_down();
    moves();
    validated();
    protections();
    reservations();
    stack_overflow();
    other_pages();
    limits();
    return 0;
}
