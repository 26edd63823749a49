// Threads send each other realtime signals with values, each counted and its value added up; a profiling timer and
// ordinary signals come between. None may be lost or doubled. Usage: sigstorm [signals per thread]
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 4 };

static atomic_long arrived[THREADS], sums[THREADS], ticks, ordinary;
static atomic_int tids[THREADS], ready, finished;
static _Thread_local int self;
static long each = 5000;

static void on_realtime(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    atomic_fetch_add(&arrived[self], 1);
    atomic_fetch_add(&sums[self], info->si_value.sival_int);
}
static void on_tick(int signal) { (void)signal; atomic_fetch_add(&ticks, 1); }
static void on_ordinary(int signal) { (void)signal; atomic_fetch_add(&ordinary, 1); }

// To one thread, with a value; the queue may be full for a while.
static void queue(int to, int value) {
    siginfo_t info = {.si_signo = SIGRTMIN + 1, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_value.sival_int = value;
    while (syscall(SYS_rt_tgsigqueueinfo, getpid(), tids[to], SIGRTMIN + 1, &info)) {
        if (errno != EAGAIN)
            abort();
        sched_yield();
    }
}

static void *life(void *number) {
    self = (int)(long)number;
    tids[self] = syscall(SYS_gettid);
    atomic_fetch_add(&ready, 1);
    while (ready < THREADS)
        sched_yield();
    for (long i = 0; i < each; i++) {
        queue((self + 1 + i % (THREADS - 1)) % THREADS, i % 1000 + 1);
        if (i % 64 == 0)
            syscall(SYS_tgkill, getpid(), tids[(self + 1) % THREADS], SIGUSR1);
    }
    atomic_fetch_add(&finished, 1);
    // What is still queued for this thread arrives while it waits for the others.
    while (finished < THREADS)
        sched_yield();
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1)
        each = atol(argv[1]);
    struct sigaction realtime = {.sa_sigaction = on_realtime, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN + 1, &realtime, NULL);
    struct sigaction plain = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &plain, NULL);
    plain.sa_handler = on_ordinary;
    sigaction(SIGUSR1, &plain, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_PROF, &timer, NULL);
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, life, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    long all = 0, sum = 0, expected = 0;
    for (int i = 0; i < THREADS; i++) {
        all += arrived[i];
        sum += sums[i];
    }
    for (long i = 0; i < each; i++)
        expected += i % 1000 + 1;
    printf("lost or doubled: %ld, wrong by %ld\n", THREADS * each - all, THREADS * expected - sum);
    printf("ordinary signals: %s\n", ordinary > 0 && ordinary <= THREADS * (each / 64 + 1) ? "some" : "wrong");
    return 0;
}
