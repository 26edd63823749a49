// Handlers that change their frame: what rt_sigreturn takes, and what it answers with SIGSEGV.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef __x86_64__
#pragma GCC target("arch=armv8-a")
#endif

static void set32(unsigned char *at, uint32_t value) { memcpy(at, &value, 4); }
static void set64(unsigned char *at, uint64_t value) { memcpy(at, &value, 8); }

#ifdef __x86_64__
// The XSAVE area: MXCSR at 24, the kernel's marks at 464, the header at 512.
static void reserved_bits(ucontext_t *u) { set32((unsigned char *)u->uc_mcontext.fpregs + 24, 0xffff1f80); }
static void bad_header(ucontext_t *u) { set64((unsigned char *)u->uc_mcontext.fpregs + 520, 1); }
static void unknown_part(ucontext_t *u) {
    uint64_t parts;
    memcpy(&parts, (unsigned char *)u->uc_mcontext.fpregs + 512, 8);
    set64((unsigned char *)u->uc_mcontext.fpregs + 512, parts | 1ull << 40);
}
static void misplaced(ucontext_t *u) { u->uc_mcontext.fpregs = (void *)((char *)u->uc_mcontext.fpregs + 8); }
static void unreadable(ucontext_t *u) { u->uc_mcontext.fpregs = (void *)64; }
static void no_marks(ucontext_t *u) { set32((unsigned char *)u->uc_mcontext.fpregs + 464, 0); }
#else
// The records: magic, size, what they hold; the floating-point one comes first.
static void reserved_bits(ucontext_t *u) { u->uc_mcontext.pstate |= 0x10; }
static void bad_header(ucontext_t *u) { set32(u->uc_mcontext.__reserved, 0x12345678); }
static void unknown_part(ucontext_t *u) { set32(u->uc_mcontext.__reserved + 528, 0x12345678); }
static void misplaced(ucontext_t *u) { set32(u->uc_mcontext.__reserved + 4, 520); }
static void unreadable(ucontext_t *u) { set64(u->uc_mcontext.__reserved, 0); }
// The floating-point record behind another one, of an exception.
static void no_marks(ucontext_t *u) {
    unsigned char *at = u->uc_mcontext.__reserved;
    memmove(at + 16, at, 528);
    set32(at, 0x45535201);
    set32(at + 4, 16);
    set64(at + 544, 0);
}
#endif
static void nothing(ucontext_t *u) { (void)u; }

static void (*change)(ucontext_t *);
static sigjmp_buf out;

static void handler(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    change(context);
}

static void segfault(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    printf("a SIGSEGV with code %d\n", info->si_code > 0);
    siglongjmp(out, 1);
}

static void install(int number, void (*what)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = what, .sa_flags = SA_SIGINFO};
    sigaction(number, &action, NULL);
}

static void try(const char *name, void (*how)(ucontext_t *)) {
    printf("%s: ", name);
    fflush(stdout);
    change = how;
    pid_t pid = fork();
    if (!pid) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        raise(SIGUSR1);
        _exit(7);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("status %x; handled: ", status);
    install(SIGSEGV, segfault);
    if (!sigsetjmp(out, 1)) {
        raise(SIGUSR1);
        printf("goes on\n");
    }
    signal(SIGSEGV, SIG_DFL);
}

int main(void) {
    install(SIGUSR1, handler);
    try("nothing", nothing);
    try("reserved bits", reserved_bits);
    try("bad header", bad_header);
    try("unknown part", unknown_part);
    try("misplaced", misplaced);
    try("unreadable", unreadable);
    try("no marks", no_marks);
    return 0;
}
