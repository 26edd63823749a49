// Single steps by EFLAGS.TF: which instructions trap, where rip stands, and that nothing steps afterwards.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>

static uint64_t trail[256];
static volatile int steps;
static int code;
static uint64_t address_is_rip;

static void on_trap(int signal, siginfo_t *info, void *context) {
    (void)signal;
    ucontext_t *uc = context;
    uint64_t rip = uc->uc_mcontext.gregs[REG_RIP];
    if (steps < 256) trail[steps] = rip;
    steps++;
    code = info->si_code;
    address_is_rip = (uint64_t)info->si_addr == rip;
}

static void report(const char *what, const void *start) {
    printf("%s: %d steps, si_code %d, si_addr is rip %d:", what, steps, code, (int)address_is_rip);
    for (int i = 0; i < steps && i < 60; i++) printf(" %+ld", (long)(trail[i] - (uint64_t)start));
    printf("\n");
    steps = 0;
    code = 0;
}

#define TRACE(name, body)                                                                          \
    __attribute__((noinline)) static void name(int stepped) {                                      \
        extern const char name##_start[];                                                          \
        uint64_t flags = stepped ? 0x302 : 0x202;                                                  \
        char from[64] = "0123456789abcdef", to[64] = {0};                                          \
        void *rsi = from, *rdi = to;                                                               \
        uint64_t rcx = 5, rax = 39, rdx = 1;                                                       \
        __asm__ volatile("sub $128, %%rsp\n\tpush %[flags]\n\tpopfq\n" #name "_start:\n\t" body    \
                         "\n\tpushq $0x202\n\tpopfq\n\tnop\n\tnop\n\tadd $128, %%rsp"              \
                         : "+S"(rsi), "+D"(rdi), "+c"(rcx), "+a"(rax), "+d"(rdx)                   \
                         : [flags] "r"(flags)                                                      \
                         : "r8", "r9", "r10", "r11", "memory", "cc");                              \
        if (stepped) report(#name, name##_start);                                                  \
    }

TRACE(plain, "add $1, %%rax\n\tmov %%rax, %%r8\n\tnop")
TRACE(branches, "1: dec %%rcx\n\tjnz 1b\n\tcall 2f\n\tjmp 3f\n2: ret\n3: nop")
TRACE(repeated, "rep movsb\n\tnop")
TRACE(repeated_none, "xor %%ecx, %%ecx\n\trep stosb\n\tnop")
TRACE(system_call, "syscall\n\tnop")
TRACE(breakpoint, "int3\n\tnop")
TRACE(pushed, "pushfq\n\tpop %%r8\n\tand $0x100, %%r8d\n\tnop")
TRACE(again, "pushq $0x302\n\tpopfq\n\tnop")
TRACE(prefixed, "lock addq $1, (%%rdi)\n\txchg %%rax, (%%rdi)\n\tcpuid")
TRACE(vectors, "movdqu (%%rsi), %%xmm0\n\tpaddd %%xmm0, %%xmm0\n\tfld1\n\tfstp %%st")
TRACE(stack_selector, "mov %%ss, %%r8d\n\tmov %%r8d, %%ss\n\tnop\n\tnop")
TRACE(unmasked_string, "1: lodsb\n\tloop 1b")

// iretq to the next instruction with TF.
TRACE(interrupt_return,
      "mov %%rsp, %%r8\n\tmov %%ss, %%r9d\n\tpushq %%r9\n\tpushq %%r8\n\tpushq %[flags]\n\tmov %%cs, %%r9d\n\t"
      "pushq %%r9\n\tlea 1f(%%rip), %%r9\n\tpushq %%r9\n\tiretq\n1: nop\n\tnop")

// The same from code that does not step before it.
__attribute__((noinline)) static void entered_by_return(int stepped) {
    extern const char entered_start[];
    uint64_t flags = stepped ? 0x302 : 0x202;
    __asm__ volatile("sub $128, %%rsp\n\tmov %%rsp, %%r8\n\tmov %%ss, %%r9d\n\tpushq %%r9\n\tpushq %%r8\n\t"
                     "pushq %[flags]\n\tmov %%cs, %%r9d\n\tpushq %%r9\n\tlea entered_start(%%rip), %%r9\n\t"
                     "pushq %%r9\n\tiretq\nentered_start: nop\n\tinc %%r8\n\tjmp 1f\n1: pushq $0x202\n\tpopfq\n\t"
                     "nop\n\tadd $128, %%rsp"
                     :
                     : [flags] "r"(flags)
                     : "r8", "r9", "memory", "cc");
    if (stepped) report("entered_by_return", entered_start);
}

// A handler that sets TF in the frame, and one that clears it.
static volatile int stop_after;
static void on_user(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= 0x100;
}
static void on_trap_counted(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    if (++steps == stop_after) ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    void (*const all[])(int) = {plain,   branches, repeated, repeated_none, system_call,    pushed,           again,
                                prefixed, vectors, stack_selector, unmasked_string, interrupt_return, entered_by_return};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        // Until it is compiled and its blocks lead to each other.
        for (int run = 0; run < 2000; run++) all[i](0);
        all[i](1);
        all[i](1);
    }
    breakpoint(1);

    action.sa_sigaction = on_trap_counted;
    sigaction(SIGTRAP, &action, NULL);
    action.sa_sigaction = on_user;
    sigaction(SIGUSR1, &action, NULL);
    stop_after = 50;
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        if (i == 500) raise(SIGUSR1);
        sum = sum * 3 + i;
    }
    printf("counted %d steps, sum %lx\n", steps, (unsigned long)sum);
    return 0;
}
