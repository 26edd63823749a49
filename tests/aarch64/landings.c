// Indirect branches into guarded pages: which landings they may reach, what the signal says, and that the kernel's
// rules for handlers and returns hold.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifndef PROT_BTI
#define PROT_BTI 0x10
#endif

static sigjmp_buf back;
static volatile int seen, code, btype, right_place;
static uint32_t *page;

static void on_ill(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    seen = number, code = info->si_code;
    btype = uc->uc_mcontext.pstate >> 10 & 3;
    right_place = info->si_addr == (void *)uc->uc_mcontext.pc && uc->uc_mcontext.pc % 4 == 0;
    siglongjmp(back, 1);
}

// By BLR, by BR x16, by BR x2: to `at`, which returns to here.
static void by_call(void *at) {
    __asm__ volatile("blr %0" ::"r"(at) : "x30", "memory");
}
static void by_veneer(void *at) {
    __asm__ volatile("mov x16, %0\n adr x30, 1f\n br x16\n1:" ::"r"(at) : "x16", "x30", "memory");
}
static void by_jump(void *at) {
    __asm__ volatile("mov x2, %0\n adr x30, 1f\n br x2\n1:" ::"r"(at) : "x2", "x30", "memory");
}

static int reaches(void (*how)(void *), void *at) {
    seen = 0;
    if (sigsetjmp(back, 1) == 0) {
        how(at);
        return 0;
    }
    return seen * 1000 + code * 100 + right_place * 10 + btype;
}

// A jump from a guarded page, which may only reach BTI j: br x2 at page[56], with x30 kept by the caller.
static void by_guarded_jump(void *at) {
    __asm__ volatile("mov x2, %0\n adr x30, 1f\n mov x16, %1\n br x16\n1:" ::"r"(at), "r"(&page[56])
                     : "x2", "x16", "x30", "memory");
}

static volatile int handled;
static void on_usr(int number) {
    handled = number;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_ill, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, NULL);
    int bti = getauxval(AT_HWCAP2) >> 17 & 1;
    uint64_t pfr1;
    __asm__("mrs %0, id_aa64pfr1_el1" : "=r"(pfr1));
    printf("advertised %d %d\n", bti, (int)(pfr1 & 15));
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const uint32_t landings[] = {0xd503201f, 0xd503241f, 0xd503245f, 0xd503249f, 0xd50324df, 0xd503233f};
    for (int i = 0; i < 6; i++) {
        page[8 * i] = landings[i];
        page[8 * i + 1] = i == 5 ? 0xd50323bf : 0xd503201f;
        page[8 * i + 2] = 0xd65f03c0;
    }
    // A veneer that jumps on through x2.
    page[56] = 0xd503245f;
    page[57] = 0xd61f0040;
    __builtin___clear_cache((char *)page, (char *)page + 4096);
    int failed = mprotect(page, 4096, PROT_READ | PROT_EXEC | PROT_BTI);
    printf("guarded %d\n", failed ? -errno : 0);
    if (failed)
        mprotect(page, 4096, PROT_READ | PROT_EXEC);
    void (*ways[])(void *) = {by_call, by_veneer, by_jump, by_guarded_jump};
    for (int round = 0; round < 3; round++)
        for (int way = 0; way < 4; way++) {
            for (int i = 0; i < 6; i++) {
                int got = reaches(ways[way], &page[8 * i]);
                if (round == 2)
                    printf("%d%s", got, i == 5 ? "\n" : " ");
            }
        }
    // A handler is called as by BLR, so its page may be guarded only if it starts with a landing.
    struct sigaction usr = {.sa_handler = on_usr};
    sigaction(SIGUSR1, &usr, NULL);
    raise(SIGUSR1);
    printf("handled %d\n", handled);
    // Without the guard everything is reached.
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    printf("unguarded %d %d\n", reaches(by_call, &page[0]), reaches(by_jump, &page[0]));
    return 0;
}
