// A busy program under SIGPROF at 1 kHz: its results are right, and the handler sees the program's own registers.
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

static atomic_int ticks, strange;
static char *low, *high;
extern char __executable_start, etext;

static void tick(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *user = context;
#if defined(__x86_64__)
    char *pc = (char *)user->uc_mcontext.gregs[REG_RIP];
#else
    char *pc = (char *)user->uc_mcontext.pc;
#endif
    // Static: all code is the program's, but for the vDSO's.
    if (!(pc >= &__executable_start && pc < &etext) && (pc < low || pc >= high)) atomic_fetch_add(&strange, 1);
    volatile double clobber = 1.5;
    for (int i = 0; i < 10; i++) clobber = sqrt(clobber) * 3;
    atomic_fetch_add(&ticks, 1);
}

static void *work(void *seed) {
    unsigned state = (unsigned)(long)seed;
    double sum = 0;
    char text[64];
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 2000; i++) {
            state = state * 1664525 + 1013904223;
            sum += sqrt((double)(state >> 8)) / (i + 1);
        }
        int *numbers = malloc(300 * sizeof *numbers);
        for (int i = 0; i < 300; i++) numbers[i] = (int)(state >> (i % 20));
        for (int i = 1; i < 300; i++)
            for (int k = i; k > 0 && numbers[k - 1] > numbers[k]; k--) {
                int t = numbers[k];
                numbers[k] = numbers[k - 1];
                numbers[k - 1] = t;
            }
        snprintf(text, sizeof text, "%d %g", numbers[150], sum);
        for (char *c = text; *c; c++) state ^= (unsigned)*c << (round % 16);
        free(numbers);
    }
    char *result = malloc(96);
    snprintf(result, 96, "%u %.9g", state, sum);
    return result;
}

int main(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    for (char line[256]; fgets(line, sizeof line, maps);)
        if (strstr(line, "[vdso]")) sscanf(line, "%p-%p", (void **)&low, (void **)&high);
    fclose(maps);
    struct sigaction action = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    struct itimerval every = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_PROF, &every, NULL);
    pthread_t threads[3];
    for (long i = 0; i < 3; i++) pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        puts(result);
    }
    // Until the clock has ticked often enough, whatever the machine's speed.
    while (atomic_load(&ticks) < 20) free(work((void *)9));
    setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
    printf("ticked, %d in strange places\n", atomic_load(&strange));
    return 0;
}
