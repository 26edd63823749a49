/* CPY* and SET* against the C library, overlaps and page borders included; and a fault in the middle. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct left { void *to; const void *from; size_t size; };

/* With `between` the instructions. */
#define COPY(name, between) \
    static struct left name(void *to, const void *from, size_t size) { \
        register void *x0 asm("x0") = to; \
        register const void *x1 asm("x1") = from; \
        register size_t x2 asm("x2") = size; \
        asm volatile(".inst 0x1d010440; " between ".inst 0x1d410440; " between ".inst 0x1d810440" \
                     : "+r"(x0), "+r"(x1), "+r"(x2) : : "memory", "cc"); \
        return (struct left){ x0, x1, x2 }; \
    }

COPY(copy, "")
/* None knows the others. */
COPY(copy_apart, "b 1f; 1: ")

static struct left set(void *to, int value, size_t size) {
    register void *x0 asm("x0") = to;
    register long x1 asm("x1") = value;
    register size_t x2 asm("x2") = size;
    asm volatile(".inst 0x19c10440; .inst 0x19c14440; .inst 0x19c18440"
                 : "+r"(x0), "+r"(x2) : "r"(x1) : "memory", "cc");
    return (struct left){ x0, 0, x2 };
}

static uint32_t seed = 1;
static size_t below(size_t limit) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 4) % limit;
}

static sigjmp_buf back;
static void handler(int signal) { siglongjmp(back, signal); }

/* Gives the page that was missing, and goes on. */
static int mended;
static void mend(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context, mended++;
    mprotect((void *)((uintptr_t)info->si_addr & -4096), 4096, PROT_READ | PROT_WRITE);
}

/* Through two pages that come when they are asked for, from both ends. */
static void mend_copies(void) {
    struct sigaction action = { .sa_sigaction = mend, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, 0);
    unsigned char *pages = mmap(0, 6 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static unsigned char expected[6 * 4096];
    for (int down = 0; down < 2; down++) {
        for (size_t i = 0; i < sizeof expected; i++)
            expected[i] = pages[i] = below(256);
        size_t from = down ? 100 : 5000, to = down ? 5000 : 100;
        memmove(expected + to, expected + from, 3 * 4096);
        mprotect(pages + 4096, 4096, PROT_NONE), mprotect(pages + 3 * 4096, 4096, PROT_READ);
        mended = 0;
        copy(pages + to, pages + from, 3 * 4096);
        printf("mended %d times: %d\n", mended, !memcmp(pages, expected, sizeof expected));
    }
}

int main(void) {
    enum { SIZE = 1 << 20 };
    unsigned char *ours = malloc(SIZE), *theirs = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        ours[i] = theirs[i] = below(256);
    for (int round = 0; round < 300; round++) {
        size_t size = below(round < 20 ? SIZE / 2 : round < 160 ? 6000 : 130), to = below(SIZE - size);
        size_t from = round % 3 ? (to + below(64) + SIZE - 32) % (SIZE - size) : below(SIZE - size);
        struct left left = (round & 1 ? copy : copy_apart)(ours + to, ours + from, size);
        memmove(theirs + to, theirs + from, size);
        if (left.size || memcmp(ours, theirs, SIZE))
            return printf("copy %d differs\n", round), 1;
        size = below(9000), to = below(SIZE - size);
        left = set(ours + to, round, size);
        memset(theirs + to, round, size);
        if (left.size || memcmp(ours, theirs, SIZE))
            return printf("set %d differs\n", round), 1;
    }
    puts("same");
    unsigned char *pages = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + 2 * 4096, 4096);
    signal(SIGSEGV, handler);
    if (!sigsetjmp(back, 1))
        set(pages + 100, 7, 3 * 4096), puts("no fault");
    else
        printf("fault, set up to the border: %d\n", pages[100] == 7 && pages[2 * 4096 - 1] == 7);
    mend_copies();
    return 0;
}
