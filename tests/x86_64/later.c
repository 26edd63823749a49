// What the frames of signals from elsewhere say of the last exception: the thread's own, its creator's, that of the program
// before.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;

static void handler(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    printf("signal %d, code %d: trap %lld, error %llx, cr2 %llx\n", number, info->si_code, registers[REG_TRAPNO],
           registers[REG_ERR], registers[REG_CR2]);
    fflush(stdout);
    if (number != SIGUSR1) siglongjmp(back, 1);
}

static void *thread(void *unused) {
    raise(SIGUSR1);
    if (!sigsetjmp(back, 1)) *(volatile char *)0x4321;
    raise(SIGUSR1);
    return unused;
}

#define TRY(statement) \
    if (!sigsetjmp(back, 1)) { statement; } \
    raise(SIGUSR1)

static void in_child(pid_t pid) {
    if (pid) {
        waitpid(pid, NULL, 0);
        return;
    }
    raise(SIGUSR1);
    TRY(__asm__ volatile("int3"));
    _exit(0);
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGUSR1, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    raise(SIGUSR1);
    if (argc > 1) return 0;
    char *page = mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    (void)*(volatile char *)page; // so that it is there
    TRY(*(volatile int *)0x1234 = 1);
    TRY(*(volatile int *)(1ull << 63) = 1);
    TRY(*(volatile int *)(page + 16) = 1);
    TRY(__asm__ volatile("ud2"));
    pthread_t other;
    pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
    raise(SIGUSR1);
    in_child(fork());
    raise(SIGUSR1);
    // What nobody catches leaves its trace too, but in the child.
    if (!fork()) {
        signal(SIGFPE, SIG_DFL);
        __asm__ volatile("div %0" ::"r"(0) : "eax", "edx");
    }
    wait(NULL);
    raise(SIGUSR1);
    return execl("/proc/self/exe", argv[0], "again", NULL);
}
