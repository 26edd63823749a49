// A loop of stores that runs into an unmapped page, and one that runs into NULL: the handler looks at the
// registers that the loop keeps its state in.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static uint64_t seen_index, seen_sum, seen_address;
static int seen_code, seen_signal;

static void on_fault(int signal, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
#if defined(__x86_64__)
    seen_index = uc->uc_mcontext.gregs[REG_RCX];
    seen_sum = uc->uc_mcontext.gregs[REG_RDX];
#else
    seen_index = uc->uc_mcontext.regs[9];
    seen_sum = uc->uc_mcontext.regs[10];
#endif
    seen_address = (uint64_t)info->si_addr;
    seen_code = info->si_code;
    seen_signal = signal;
    siglongjmp(back, 1);
}

// Stores i * 3 at base + 8 * i while summing up, for ever.
static void store_loop(uint64_t base) {
#if defined(__x86_64__)
    __asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx\n"
                     "1: lea (%%rcx,%%rcx,2), %%rax\n"
                     "mov %%rax, (%0,%%rcx,8)\n"
                     "add %%rax, %%rdx\n"
                     "inc %%rcx\n"
                     "jmp 1b" ::"r"(base) : "rax", "rcx", "rdx", "memory", "cc");
#else
    __asm__ volatile("mov x9, #0; mov x10, #0\n"
                     "1: add x11, x9, x9, lsl #1\n"
                     "str x11, [%0, x9, lsl #3]\n"
                     "add x10, x10, x11\n"
                     "add x9, x9, #1\n"
                     "b 1b" ::"r"(base) : "x9", "x10", "x11", "memory", "cc");
#endif
}

int main(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    const size_t pages = 64;
    char *area = mmap(NULL, (pages + 1) * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(area + pages * 4096, 4096, PROT_NONE);
    for (int round = 0; round < 40; round++) {
        if (sigsetjmp(back, 1) == 0)
            store_loop((uint64_t)area);
        uint64_t n = pages * 512;
        printf("%d %d %d %d %d\n", seen_signal, seen_code, seen_index == n, seen_sum == 3 * (n * (n - 1) / 2),
               seen_address == (uint64_t)area + pages * 4096);
    }
    if (sigsetjmp(back, 1) == 0)
        store_loop(0);
    printf("null: %d %d %d %d %d\n", seen_signal, seen_code, seen_index == 0, seen_sum == 0, seen_address == 0);
    return 0;
}
