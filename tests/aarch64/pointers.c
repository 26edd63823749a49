/* Signed pointers: a round trip, what is stripped, and what a forged one does. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

#define PACIA1716 ".inst 0xd503211f"
#define AUTIA1716 ".inst 0xd503219f"
#define XPACLRI ".inst 0xd50320ff"

static sigjmp_buf back;
static volatile int code;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    code = info->si_code;
    siglongjmp(back, signal);
}

#define WITH(instruction, pointer, modifier) \
    ({ register uint64_t x17 asm("x17") = (pointer); register uint64_t x16 asm("x16") = (modifier); \
       asm volatile(instruction : "+r"(x17) : "r"(x16)); x17; })

static uint64_t strip(uint64_t pointer) {
    register uint64_t x30 asm("x30") = pointer;
    asm volatile(XPACLRI : "+r"(x30));
    return x30;
}

int main(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, 0);
    sigaction(SIGSEGV, &action, 0);
    uint64_t plain = (uint64_t)&main;
    printf("advertised %d\n", (getauxval(AT_HWCAP) >> 30 & 3) == 3);
    int changed = 0, same = 1, stripped = 1;
    for (uint64_t modifier = 0; modifier < 64; modifier++) {
        uint64_t is_signed = WITH(PACIA1716, plain, modifier);
        changed += is_signed != plain;
        same &= WITH(AUTIA1716, is_signed, modifier) == plain;
        stripped &= strip(is_signed) == plain;
    }
    printf("signed %d, authenticated %d, stripped %d\n", changed > 48, same, stripped);
    uint64_t before = WITH(PACIA1716, plain, 7);
    printf("new keys %d\n", prctl(54, 1, 0, 0, 0));
    int renewed = 0;
    for (int i = 0; i < 8; i++)
        prctl(54, 1, 0, 0, 0), renewed |= WITH(PACIA1716, plain, 7) != before;
    printf("differ %d, unknown keys %d\n", renewed, prctl(54, 1 << 9, 0, 0, 0));
    uint64_t forged = WITH(PACIA1716, plain, 1) ^ 1ull << 50;
    int signal = sigsetjmp(back, 1);
    if (!signal)
        printf("forged: %s\n", WITH(AUTIA1716, forged, 1) == plain ? "accepted" : "a bad address");
    else
        printf("forged: signal %d, code %d\n", signal, code);
    return 0;
}
