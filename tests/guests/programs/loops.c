// Loops of several loads and stores, scalar and of vectors, over pages that go away again and again: the handler adds up all
// registers that it sees, and brings the page back.
#define _GNU_SOURCE
#pragma GCC optimize("O3", "no-math-errno")
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __x86_64__
#define WIDE __attribute__((noinline, target("avx2")))
#define HAS_WIDE __builtin_cpu_supports("avx2")
#else
#define WIDE __attribute__((noinline))
#define HAS_WIDE 1
#endif
#define LOOP __attribute__((noinline)) static

enum { PAGE = 4096, PAGES = 24, SIZE = PAGE * PAGES, ROUNDS = 300 };
static char *const base = (char *)0x200000000;
static unsigned long faults;
static uint64_t seen;

static void add(uint64_t value) { seen = (seen ^ value) * 1099511628211ull; }

// Without what depends on where the stack and the heap are.
static void add_register(uint64_t value) {
    int elsewhere = value >> 40 || (value >= 0x400000 && value < 0x60000000);
    add(elsewhere ? 0 : value);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    char *page = (char *)((uint64_t)info->si_addr & -(uint64_t)PAGE);
    if (page < base || page >= base + SIZE)
        abort();
    faults++;
    add((uint64_t)info->si_addr);
    add(info->si_code + signal);
#ifdef __x86_64__
    for (int i = 0; i < REG_RSP; i++)
        add_register(uc->uc_mcontext.gregs[i]);
    add(uc->uc_mcontext.gregs[REG_RIP]);
    add(uc->uc_mcontext.gregs[REG_EFL] & 0x8d5);
    uint64_t *vectors = (uint64_t *)uc->uc_mcontext.fpregs->_xmm;
    for (int i = 0; i < 32; i++)
        add(vectors[i]);
#else
    for (int i = 0; i < 31; i++)
        add_register(uc->uc_mcontext.regs[i]);
    add(uc->uc_mcontext.pc);
    add(uc->uc_mcontext.pstate);
    uint64_t *vectors = (uint64_t *)((struct fpsimd_context *)uc->uc_mcontext.__reserved)->vregs;
    for (int i = 0; i < 64; i++)
        add(vectors[i]);
#endif
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

LOOP void roots(float *restrict a, const float *restrict b, int n) {
    for (int i = 0; i < n; i++)
        a[i] = sqrtf(a[i] * a[i] + b[i]) - b[i] * 0.25f;
}

WIDE static void mix(int *restrict a, const int *restrict b, int *restrict c, int n) {
    for (int i = 0; i < n; i++) {
        c[i] = ((b[i] >> 3) ^ a[i]) + (a[i] > b[i] ? a[i] : b[i]);
        a[i] = (c[i] & 255) + a[i] * 5;
    }
}

// They may be the same, as far as the compiler knows, so these are scalars.
LOOP void pull(double *p, double *q, double *d, double mass, int n) {
    for (int i = 0; i < n; i++) {
        double x = p[i] * mass;
        q[i] -= x * d[i];
        p[i] += d[i] * 0.5;
    }
}

LOOP unsigned bytes(unsigned char *s, unsigned char *t, int n) {
    unsigned sum = 1;
    for (int i = 0; i < n; i++) {
        unsigned char c = s[i];
        if (c & 1)
            t[i] = c + sum;
        else
            t[i] ^= c;
        sum = sum * 31 + c;
    }
    return sum;
}

LOOP void bubble(long *a, int n) {
    for (int i = 0; i + 1 < n; i++) {
        long x = a[i], y = a[i + 1];
        if (x > y)
            a[i] = y, a[i + 1] = x;
    }
}

static void prepare(int round, float *f, double *d, long *l) {
    for (int i = 0; i < 8192; i++)
        f[i] = i % 97 + 0.5f;
    for (int i = 0; i < 3072; i++)
        d[i] = 1.0 / (i + 1);
    for (int i = 0; i < 1500; i++)
        l[i] = (i * 7919 + round) % 1500;
}

int main(void) {
    mmap(base, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, NULL);
    float *f = (float *)base;
    int *k = (int *)(base + 32768);
    double *d = (double *)(base + 57344);
    long *l = (long *)(base + 81920);
    unsigned sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 50 == 0)
            prepare(round, f, d, l);
        for (int page = 0; page < PAGES && round % 5 == 4; page++)
            if ((round * 7 + page * 13) % 3)
                mprotect(base + page * PAGE, PAGE, (round + page) % 2 ? PROT_NONE : PROT_READ);
        roots(f + round % 3, f + 4096 + round % 5, 4000);
        if (HAS_WIDE)
            mix(k + round % 4, k + 2048 + round % 3, k + 4096 + round % 7, 2000);
        pull(d + round % 3, d + 1024 + round % 2, d + 2048, 1.0000001, 1000);
        sum += bytes((unsigned char *)base + 60000 + round % 9, (unsigned char *)base + 70000, 9000);
        bubble(l + round % 3, 1500);
    }
    for (int i = 0; i < SIZE / 8; i++)
        sum = sum * 31 + ((uint32_t *)base)[2 * i] + ((uint32_t *)base)[2 * i + 1];
    printf("%lu faults, %u\nregisters %016lx\n", faults, sum, (unsigned long)seen);
}
