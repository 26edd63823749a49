// Handlers, masks, alternate stacks, restart and interruption, realtime queues.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t hits, order_len, on_alt;
static int order[64];
static char alt[65536];

static void count(int signal) { (void)signal; hits++; }
static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    order[order_len++] = signal * 1000 + info->si_value.sival_int;
}
static void check_stack(int signal) {
    char here;
    (void)signal;
    on_alt = &here >= alt && &here < alt + sizeof alt;
}

static void install(int signal, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal, &action, NULL);
}

// Again and again, as the first alarm may come before what it is to interrupt.
static void arm(int milliseconds) {
    struct itimerval timer = {{0, milliseconds * 1000}, {0, milliseconds * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void *writer(void *argument) {
    int before = hits;
    while (hits < before + 3)
        usleep(1000);
    (void)!write(*(int *)argument, "x", 1);
    return NULL;
}

int main(void) {
    int pipes[2];
    char byte;
    (void)!pipe(pipes);
    install(SIGALRM, count, 0);
    arm(30);
    ssize_t got = read(pipes[0], &byte, 1);
    printf("interrupted: %zd %d hits %d\n", got, errno == EINTR, hits > 0);
    install(SIGALRM, count, SA_RESTART);
    arm(30);
    pthread_t thread;
    pthread_create(&thread, NULL, writer, &pipes[1]);
    sigset_t set, old;
    got = read(pipes[0], &byte, 1);
    pthread_join(thread, NULL);
    arm(0);
    printf("restarted: %zd\n", got);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    install(SIGUSR1, count, 0);
    int before = hits;
    kill(getpid(), SIGUSR1);
    printf("blocked: %d\n", hits - before);
    sigset_t pending;
    sigpending(&pending);
    printf("pending: %d\n", sigismember(&pending, SIGUSR1));
    got = sigsuspend(&old);
    printf("suspended: %zd %d %d\n", got, errno == EINTR, hits - before);
    sigprocmask(SIG_SETMASK, &old, NULL);
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    for (int signal = SIGRTMIN; signal <= SIGRTMIN + 2; signal++)
        sigaction(signal, &action, NULL);
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 3; i++)
        for (int signal = SIGRTMIN + 2; signal >= SIGRTMIN; signal--)
            sigqueue(getpid(), signal, (union sigval){.sival_int = i});
    sigprocmask(SIG_SETMASK, &old, NULL);
    for (int i = 0; i < order_len; i++)
        printf("%d ", order[i] - SIGRTMIN * 1000);
    printf("\n");
    stack_t stack = {.ss_sp = alt, .ss_size = sizeof alt};
    sigaltstack(&stack, NULL);
    install(SIGUSR2, check_stack, SA_ONSTACK);
    raise(SIGUSR2);
    printf("alternate stack: %d\n", on_alt);
    install(SIGUSR1, count, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    printf("reset: %d\n", now.sa_handler == SIG_DFL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        volatile int *null = NULL;
        *null = 1;
    }
    int status;
    waitpid(child, &status, 0);
    printf("child died of %d\n", WTERMSIG(status));
    return 0;
}
