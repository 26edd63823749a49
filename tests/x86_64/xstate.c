// What XSAVE, XSAVEOPT, XSAVEC and FXSAVE write, what XRSTOR takes, and which headers it refuses. Also the segment bases.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static sigjmp_buf back;
static unsigned char values[128], out[1024] __attribute__((aligned(64))), seen[1024] __attribute__((aligned(64)));

static void on_signal(int signal) { siglongjmp(back, signal); }

enum { XSAVE, XSAVE64, XSAVEOPT, XSAVEC, XSAVEC64, FXSAVE, FXSAVE64, KINDS };
static const char *const names[] = {"xsave", "xsave64", "xsaveopt", "xsavec", "xsavec64", "fxsave", "fxsave64"};

static void save(void *to, unsigned mask, int kind) {
#define AS(insn) __asm__ volatile(insn " (%0)" : : "r"(to), "a"(mask), "d"(0) : "memory")
    switch (kind) {
    case XSAVE: AS("xsave"); break;
    case XSAVE64: AS("xsave64"); break;
    case XSAVEOPT: AS("xsaveopt"); break;
    case XSAVEC: AS("xsavec"); break;
    case XSAVEC64: AS("xsavec64"); break;
    case FXSAVE: AS("fxsave"); break;
    case FXSAVE64: AS("fxsave64"); break;
    }
}

static void restore(void *from, unsigned mask) {
    __asm__ volatile("xrstor (%0)" : : "r"(from), "a"(mask), "d"(0) : "memory");
}

static void set_state(int seed) {
    for (int i = 0; i < 128; i++) values[i] = i * 7 + seed;
    __asm__ volatile("fninit\n\tfld1\n\tfldpi\n\tfldl2e\n\tvzeroall\n\tvmovdqu (%0), %%ymm0\n\tvmovdqu 32(%0), %%ymm1\n\t"
                     "vmovdqu 16(%0), %%ymm15\n\tvmovdqu 8(%0), %%ymm7"
                     : : "r"(values) : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm15");
}

static void set_mxcsr(uint32_t value) { __asm__ volatile("ldmxcsr %0" : : "m"(value)); }

static uint64_t hash(const unsigned char *from, int bytes) {
    uint64_t value = 1469598103934665603u;
    for (int i = 0; i < bytes; i++) value = (value ^ from[i]) * 1099511628211u;
    return value;
}

static uint64_t word(const unsigned char *from, int at) {
    uint64_t value;
    memcpy(&value, from + at, 8);
    return value;
}

// The area, less the last instruction and its operand, which are the processor's own business.
static void show(const char *what, int a, int b, const unsigned char *area, uint64_t header_mask) {
    printf("%s %d %d: fcw %04lx fsw %04lx ftw %02x mxcsr %08lx mask %04lx components %lx %lx reserved %lx st %lx xmm %lx "
           "ymm %lx\n", what, a, b, word(area, 0) & 0xffff, word(area, 2) & 0xffff, area[4], word(area, 24) & 0xffffffff,
           word(area, 28) & 0xffff, word(area, 512) & header_mask, word(area, 520), hash(area + 528, 48),
           hash(area + 32, 128), hash(area + 160, 256), hash(area + 576, 256));
}

static void prepare(unsigned char *area) {
    memset(area, 0xa5, 1024);
    memset(area + 512, 0, 64);
}

static void saves(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        for (int mask = 0; mask < 8; mask++) {
            prepare(out);
            set_state(mask);
            save(out, mask, kind);
            show(names[kind], mask, 0, out, -1);
        }
    }
    for (int kind = 0; kind < FXSAVE; kind++) {
        for (int mask = 0; mask < 8; mask++) {
            // Of components in their initial state, processors know to different degrees; but XSAVEC looks at MXCSR too.
            prepare(out);
            __asm__ volatile("fninit\n\tvzeroall" : : : "xmm0", "xmm1", "xmm7", "xmm15");
            set_mxcsr(0x1f81);
            save(out, mask, kind);
            set_mxcsr(0x1f80);
            printf("%s %d: mxcsr %08lx components %lx\n", names[kind], mask, word(out, 24) & 0xffffffff,
                   kind >= XSAVEC ? word(out, 512) & 2 : 0);
        }
    }
}

static void restores(void) {
    for (int kind = XSAVE64; kind <= XSAVEC64; kind += XSAVEC64 - XSAVE64) {
        for (int mask = 0; mask < 8; mask++) {
            for (uint64_t components = 0; components < 8; components++) {
                memset(out, 0, sizeof out);
                set_state(1);
                save(out, 7, kind);
                memcpy(out + 512, &components, 8);
                set_state(77);
                __asm__ volatile("fldz");
                restore(out, mask);
                prepare(seen);
                save(seen, 7, XSAVE64);
                show("restored", mask, components, seen, 0);
            }
        }
    }
}

static void refusals(void) {
    static const struct {
        int at;
        uint64_t value;
    } bad[] = {{512, 1ull << 62}, {520, 1}, {520, 1ull << 63 | 7}, {520, 1ull << 63 | 3}, {528, 1}, {536, 1}, {552, 1},
               {24, 0xffffffffffff}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (int mask = 0; mask < 8; mask++) {
            memset(out, 0, sizeof out);
            set_state(1);
            save(out, 7, XSAVE64);
            out[512] = 7;
            memcpy(out + bad[i].at, &bad[i].value, 8);
            int signal = sigsetjmp(back, 1);
            if (!signal) restore(out, mask);
            printf("header %d, mask %d: signal %d\n", bad[i].at, mask, signal);
            set_mxcsr(0x1f80);
        }
    }
    for (volatile int at = 0; at < 64; at += 8) {
        for (volatile int kind = XSAVE; kind <= FXSAVE; kind += FXSAVE - XSAVE) {
            int signal = sigsetjmp(back, 1);
            if (!signal) save(out + at, 7, kind);
            printf("%s at +%d: signal %d\n", names[kind], at, signal);
        }
    }
}

static void bases(void) {
    const uint64_t values[] = {0, 0x123456789abc, 0x7fffffffffff, 0x8000000000000000, 0xffff800000000000};
    for (int i = 0; i < 5; i++) {
        uint64_t base = 0, narrow = -1;
        int signal = sigsetjmp(back, 1);
        if (!signal) __asm__ volatile("wrgsbase %0" : : "r"(values[i]));
        __asm__ volatile("rdgsbase %0\n\trdgsbase %k1" : "=r"(base), "+r"(narrow));
        printf("gs base %lx: signal %d, then %lx %lx\n", values[i], signal, base, narrow);
    }
    uint64_t base, self;
    __asm__ volatile("rdfsbase %0\n\tmov %%fs:0, %1" : "=r"(base), "=r"(self));
    printf("fs base is the thread's: %d\n", base == self);
}

int main(void) {
    signal(SIGSEGV, on_signal);
    saves();
    restores();
    refusals();
    bases();
    return 0;
}
