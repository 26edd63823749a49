/* Exclusive accesses: what disarms the monitor, pairs that are far apart, 128 bits, and atomics in a page of code. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t cell __attribute__((aligned(16)));

#define LDXR(p) ({ uint64_t v_; __asm__ volatile("ldxr %0, [%1]" : "=r"(v_) : "r"(p) : "memory"); v_; })
#define STXR(p, v) ({ uint32_t s_; __asm__ volatile("stxr %w0, %2, [%1]" : "=&r"(s_) : "r"(p), "r"((uint64_t)(v)) : "memory"); s_; })
#define STXRW(p, v) ({ uint32_t s_; __asm__ volatile("stxr %w0, %w2, [%1]" : "=&r"(s_) : "r"(p), "r"(v) : "memory"); s_; })

static void nothing(int n) { (void)n; }
static void takes(int n) { (void)n; LDXR(&cell); }
static void stores(int n) { (void)n; while (LDXR(&cell), STXR(&cell, 7)) {} }

static uint32_t after_signal(void (*handler)(int)) {
    signal(SIGUSR1, handler);
    cell = 7;
    LDXR(&cell);
    raise(SIGUSR1);
    return STXR(&cell, 7);
}

static volatile int turn;
static void *writes(void *p) {
    while (turn != 1)
        sched_yield();
    __atomic_store_n((uint64_t *)p, 99, __ATOMIC_SEQ_CST);
    turn = 2;
    return 0;
}

/* The pair is split over blocks: a call and a loop between them. */
static __attribute__((noinline)) uint64_t add(uint64_t v, uint64_t n) {
    __asm__ volatile("" : "+r"(v));
    return v + n;
}

enum { ROUNDS = 20000 };
static uint64_t sum __attribute__((aligned(16)));
static void *counts(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t failed;
        do {
            uint64_t old = LDXR(&sum), new = add(old, 1);
            for (int k = 0; k < 3; k++)
                __asm__ volatile("" : "+r"(new));
            failed = STXR(&sum, new);
        } while (failed);
    }
    return unused;
}

static uint64_t two[2] __attribute__((aligned(16)));
static volatile int over;
static void *pairs(void *unused) {
    for (uint64_t i = 1; !over; i++) {
        uint32_t failed;
        uint64_t a, b;
        do
            __asm__ volatile("ldaxp %0, %1, [%3]\n stlxp %w2, %4, %4, [%3]"
                             : "=&r"(a), "=&r"(b), "=&r"(failed) : "r"(two), "r"(i) : "memory");
        while (failed);
    }
    return unused;
}

/* Pairs whose halves are the same, written and read without exclusives (FEAT_LSE2). */
static void *plain_pairs(void *unused) {
    for (uint64_t i = 1; !over; i++)
        __asm__ volatile("stp %1, %1, [%0]" ::"r"(two), "r"(i) : "memory");
    return unused;
}
static void *word_pairs(void *unused) {
    for (uint64_t i = 1; !over; i++)
        __asm__ volatile("stp %w1, %w1, [%0]" ::"r"(two), "r"(i) : "memory");
    return unused;
}
/* As a push; read as a pop. */
static void *stack_pairs(void *unused) {
    for (uint64_t i = 1; !over; i++)
        __asm__ volatile("mov x9, sp\n mov sp, %0\n stp %1, %1, [sp, #-16]!\n mov sp, x9"
                         ::"r"(two + 2), "r"(i) : "memory", "x9");
    return unused;
}
static void *vector_pairs(void *unused) {
    for (uint64_t i = 1; !over; i++)
        __asm__ volatile("dup v0.2d, %1\n str q0, [%0]" ::"r"(two), "r"(i) : "memory", "v0");
    return unused;
}

static int torn(void *(*writer)(void *), int how) {
    pthread_t thread;
    over = 0, two[0] = two[1] = 0;
    pthread_create(&thread, 0, writer, 0);
    int wrong = 0, changes = 0;
    uint64_t last = 0;
    for (int i = 0; i < 2000000 && changes < 3000; i++) {
        uint64_t a, b;
        switch (how) {
        case 0: __asm__ volatile("ldxp %0, %1, [%2]\n clrex" : "=&r"(a), "=&r"(b) : "r"(two) : "memory"); break;
        case 3: __asm__ volatile("ldp %w0, %w1, [%2]" : "=&r"(a), "=&r"(b) : "r"(two) : "memory"); break;
        case 4:
            __asm__ volatile("mov x9, sp\n mov sp, %2\n ldp %0, %1, [sp], #16\n mov sp, x9"
                             : "=&r"(a), "=&r"(b) : "r"(two) : "memory", "x9");
            break;
        case 1: __asm__ volatile("ldp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(two) : "memory"); break;
        default: __asm__ volatile("ldr q0, [%2]\n fmov %0, d0\n fmov %1, v0.d[1]" : "=&r"(a), "=&r"(b) : "r"(two) : "memory", "v0");
        }
        wrong += a != b, changes += a != last, last = a;
    }
    over = 1;
    pthread_join(thread, 0);
    return wrong;
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    cell = 5;
    uint64_t seen = LDXR(&cell);
    printf("pair: %d %d", (int)seen, STXR(&cell, 6));
    printf(", again %d, value %d\n", STXR(&cell, 8), (int)cell);
    LDXR(&cell);
    __asm__ volatile("clrex");
    printf("clrex: %d\n", STXR(&cell, 8));
    LDXR(&cell);
    printf("other address: %d\n", STXR(&two, 8));
    LDXR(&cell);
    printf("tag: %d\n", STXR((uint64_t)&cell | 1ull << 57, 6));
    printf("signal: %d, ", after_signal(nothing));
    printf("one that takes it %d, ", after_signal(takes));
    printf("one that stores %d\n", after_signal(stores));
    pthread_t threads[4];
    pthread_create(threads, 0, writes, &cell);
    LDXR(&cell);
    turn = 1;
    while (turn != 2)
        sched_yield();
    printf("another thread: %d, value %d\n", STXR(&cell, 1), (int)cell);
    pthread_join(threads[0], 0);
    for (int i = 0; i < 4; i++)
        pthread_create(threads + i, 0, counts, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    printf("sum: %d\n", (int)(sum - 4 * ROUNDS));
    printf("torn: exclusive %d", torn(pairs, 0));
    printf(", pairs %d %d, words %d, ", torn(plain_pairs, 0), torn(plain_pairs, 1), torn(word_pairs, 3));
    printf("stack %d %d, ", torn(stack_pairs, 1), torn(plain_pairs, 4));
    printf("vectors %d %d\n", torn(vector_pairs, 1), torn(vector_pairs, 2));
    /* ldxr x1, [x0]; add x1, x1, 1; stxr w2, x1, [x0]; cbnz w2, -12; ret; and the cell in the same page. */
    static const uint32_t code[] = {0xc85f7c01, 0x91000421, 0xc8027c01, 0x35ffffa2, 0xd65f03c0};
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, sizeof code);
    __builtin___clear_cache(page, page + sizeof code);
    for (int i = 0; i < 200; i++)
        ((void (*)(void *))page)(page + 2048);
    printf("in a page of code: %d\n", (int)*(uint64_t *)(page + 2048));
    const uint64_t *constant = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t a = 1, b = 1;
    __asm__ volatile("ldaxp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(constant));
    printf("read-only: %d %d\n", (int)a, (int)b);
    return 0;
}
