// Returns that come back in order, and those that do not. Each runs often enough for every tier.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#define ROUNDS 40

static __attribute__((noinline)) unsigned deep(unsigned n) {
    return n ? deep(n - 1) * 3 + n : 1;
}

static sigjmp_buf out;

static __attribute__((noinline)) void leave(int n) {
    if (n == 0)
        siglongjmp(out, 1);
    leave(n - 1);
    __asm__ volatile("");
}

static ucontext_t mine, theirs[2];
static unsigned met[2];

static __attribute__((noinline)) void change(int who, int depth) {
    if (depth)
        change(who, depth - 1);
    else
        swapcontext(&theirs[who], &mine);
    __asm__ volatile("");
}

static void routine(int who) {
    for (;;) {
        met[who] += who + 1;
        change(who, met[who] % 7);
    }
}

static unsigned landed;

// Returns one instruction behind where it was called from: over the addition there.
unsigned skips(unsigned);
#ifdef __x86_64__
__asm__("skips: addq $3, (%rsp); mov %edi, %eax; ret\n"
        ".globl over; over: sub $8, %rsp; call skips; add $100, %eax; add $8, %rsp; ret\n"
        ".globl to_nothing; to_nothing: push $0; ret\n"
        ".globl to_no_address; to_no_address: movabs $0x8000000000000001, %rax; push %rax; ret\n");
#else
__asm__("skips: add x30, x30, #4; ret\n"
        ".globl over; over: stp x29, x30, [sp, #-16]!; bl skips; add w0, w0, #100; ldp x29, x30, [sp], #16; ret\n"
        ".globl to_nothing; to_nothing: mov x30, #0; ret\n"
        ".globl to_no_address; to_no_address: mov x30, #0x0080000000000000; ret\n");
#endif
unsigned over(unsigned);
void to_nothing(void);
void to_no_address(void);

static void at_fault(int sig, siginfo_t *info, void *context) {
    ucontext_t *at = context;
#ifdef __x86_64__
    uint64_t pc = at->uc_mcontext.gregs[REG_RIP];
#else
    uint64_t pc = at->uc_mcontext.pc;
#endif
    // x86-64 faults in the return where there is no such address.
    landed += pc == 0 ? 1 : 1000;
    (void)sig, (void)info;
    siglongjmp(out, 1);
}

int main(void) {
    unsigned sum = 0;
    for (unsigned i = 0; i < ROUNDS; i++)
        sum = sum * 5 + deep(i * 50);
    printf("deep: %u\n", sum);

    for (int i = 0; i < ROUNDS; i++)
        if (sigsetjmp(out, 1) == 0)
            leave(i);
        else
            sum += deep(i);
    printf("left: %u\n", sum);

    for (int who = 0; who < 2; who++) {
        getcontext(&theirs[who]);
        theirs[who].uc_stack.ss_sp = malloc(1 << 16);
        theirs[who].uc_stack.ss_size = 1 << 16;
        theirs[who].uc_link = NULL;
        makecontext(&theirs[who], (void (*)(void))routine, 1, who);
    }
    for (int i = 0; i < ROUNDS * 10; i++)
        swapcontext(&mine, &theirs[i % 3 == 0]);
    printf("met: %u %u\n", met[0], met[1]);

    sum = 0;
    for (unsigned i = 0; i < ROUNDS; i++)
        sum += over(i);
    printf("skipped: %u\n", sum);

    struct sigaction action = {.sa_sigaction = at_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    for (int i = 0; i < ROUNDS; i++)
        if (sigsetjmp(out, 1) == 0)
            (i % 2 ? to_nothing : to_no_address)();
    printf("landed: %u\n", landed);
    return 0;
}
