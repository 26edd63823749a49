// Single steps into and through instructions that trap, fault, repeat or change the flags themselves: each signal with its
// code, rip, TF, RF and DF, the exception's number and error code, and rcx.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>

static char trail[1 << 16];
static int signals, used;
// Whether a repeated instruction that is stepped through leaves RF set between two rounds is the manufacturer's choice.
static long seen_at_steps = 0x500;
static uint64_t start;

static void on_signal(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long flags = r[REG_EFL] & (r[REG_TRAPNO] == 1 ? seen_at_steps : 0x10500);
    used += snprintf(trail + used, sizeof trail - used, " [%d %d rip%+ld flags %lx trap %lld err %llx rcx %lld]", signal,
                     info->si_code, (long)(r[REG_RIP] - start), flags, r[REG_TRAPNO], r[REG_ERR],
                     r[REG_RCX] < 100 ? r[REG_RCX] : -1);
    if (signal != SIGTRAP) {
        r[REG_RIP] = r[REG_R15];
        r[REG_EFL] &= ~0x100;
    }
    if (++signals > 60) r[REG_EFL] &= ~0x100;
}

#define STEPS(name, code)                                                                                             \
    do {                                                                                                              \
        extern char name##_start[];                                                                                   \
        char from[64] = "abcdefghijklmnop", to[64] = {0};                                                             \
        signals = used = 0;                                                                                           \
        start = (uint64_t)name##_start;                                                                               \
        __asm__ volatile("lea 7f(%%rip), %%r15\n\tmov %%rsp, %%r14\n\tpushq $0x302\n\tpopfq\n" #name "_start: " code    \
                         "\n7:\tmov %%r14, %%rsp\n\tpushq $0x202\n\tpopfq\n\tnop"                                        \
                         : : "S"(from), "D"(to), "c"(5L), "a"(39L), "d"(0L)                                           \
                         : "rbx", "r8", "r11", "r12", "r14", "r15", "memory", "cc");                                  \
        printf("%s:%s\n", #name, trail);                                                                              \
    } while (0)

int main(int count, char **arguments) {
    const int intel = count > 1 && !strcmp(arguments[1], "GenuineIntel");
    if (intel) seen_at_steps = 0x10500;
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const int all[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
    for (int i = 0; i < 5; i++) sigaction(all[i], &action, NULL);
    STEPS(movs, "rep movsb\n\tnop");
    STEPS(movs_down, "add $40, %%rdi\n\tadd $40, %%rsi\n\tstd\n\trep movsw\n\tcld");
    STEPS(cmps, "repe cmpsb\n\tnop");
    STEPS(scas, "repne scasb\n\tnop");
    if (count < 3 || !strcmp(arguments[2], "int1")) STEPS(int1, ".byte 0xf1\n\tnop");
    STEPS(int3, "int3\n\tnop");
    STEPS(int_3, ".byte 0xcd, 3\n\tnop");
    STEPS(int_4, ".byte 0xcd, 4\n\tnop");
    STEPS(divide, "xor %%ecx, %%ecx\n\tdiv %%ecx\n\tnop");
    STEPS(invalid, "ud2");
    STEPS(load, "mov 0, %%eax");
    STEPS(halt, "hlt");
    STEPS(system_call, "syscall\n\tmov %%r11, %%r12\n\tand $0x100, %%r12d\n\tlea 1(%%r12), %%rcx\n\tnop");
    STEPS(stack_selector, "mov %%ss, %%r8d\n\tmov %%r8d, %%ss\n\tint3\n\tnop");
    STEPS(identify, "xor %%eax, %%eax\n\tcpuid\n\tmov $1, %%ecx\n\tnop");
    STEPS(self, "1: loop 1b\n\tnop");
    STEPS(frame, "enter $16, $3\n\tleave\n\tnop");
    STEPS(x87, "fninit\n\tfldpi\n\tfsin\n\tfstp %%st(0)");
    STEPS(cleared, "pushq $0x202\n\tpopfq\n\tnop\n\tnop");
    STEPS(to_nothing, "xor %%ebx, %%ebx\n\tjmp *%%rbx");
    STEPS(sse, "movl $0x1d80, -4(%%rsp)\n\tldmxcsr -4(%%rsp)\n\tmov $1, %%ebx\n\tcvtsi2ss %%ebx, %%xmm0\n\t"
               "xorps %%xmm1, %%xmm1\n\tdivss %%xmm1, %%xmm0\n\tnop");
    if (intel) {
        STEPS(jump, "mov $0x8000000000000000, %%rbx\n\tjmp *%%rbx");
        STEPS(call, "mov $0x8000000000000000, %%rbx\n\tcall *%%rbx");
        STEPS(back, "mov $0x8000000000000000, %%rbx\n\tpush %%rbx\n\tret");
    }
    return 0;
}
