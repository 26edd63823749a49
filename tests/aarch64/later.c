/* What the frames of signals from elsewhere say of the last exception: the address and, if there is one, the syndrome. By
   arch/arm64/kernel: what sets fault_address and fault_code, and setup_sigframe. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;

/* The exception class in the syndrome record; -1 without one. */
static int class(ucontext_t *context) {
    struct { uint32_t magic, size; uint64_t value; } *record = (void *)context->uc_mcontext.__reserved;
    for (; record->magic; record = (void *)((char *)record + record->size))
        if (record->magic == 0x45535201) return record->value >> 26;
    return -1;
}

static void handler(int number, siginfo_t *info, void *context) {
    printf("%s: address %llx, class %x\n", sigabbrev_np(number),
           ((ucontext_t *)context)->uc_mcontext.fault_address, class(context));
    fflush(stdout);
    if (number != SIGUSR1) siglongjmp(back, 1);
}

static void *thread(void *unused) {
    raise(SIGUSR1);
    return unused;
}

#define TRY(statement) \
    if (!sigsetjmp(back, 1)) { statement; } \
    raise(SIGUSR1)

int main(int argc, char **argv) {
    static const int signals[] = {SIGUSR1, SIGSEGV, SIGBUS, SIGILL, SIGTRAP};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    raise(SIGUSR1);
    if (argc > 1) return 0;
    TRY(*(volatile int *)0x1234 = 1);
    TRY(__asm__ volatile("brk 1"));
    if (!fork()) {
        raise(SIGUSR1);
        TRY(__asm__ volatile(".inst 0"));
        _exit(0);
    }
    wait(NULL);
    TRY(((void (*)(void))0x2002)());
    TRY(*(volatile int *)0x5678);
    pthread_t other;
    pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
    return execl("/proc/self/exe", argv[0], "again", NULL);
}
