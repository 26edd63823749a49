// stress forks N: 8 threads fork N children in all. stress kills N: N children, some with threads and children of their
// own, are killed at some point of their lives. Every end must be seen once, and be what it has to be.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8 };

static long total;
static atomic_long wrong;

static void *forker(void *number) {
    for (long i = (long)number; i < total; i += THREADS) {
        char *before = malloc(1 + i % 3000);
        pid_t child = fork();
        if (child == 0) {
            // The allocator and standard output must not be locked by a thread that is not here.
            free(malloc(100 + i % 70000));
            free(before);
            _exit(i % 200);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != i % 200)
            wrong++;
        free(before);
    }
    return NULL;
}

static void forks(void) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, forker, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void *spinner(void *unused) {
    volatile unsigned long count = 0;
    while (1)
        count++;
    return unused;
}

static void victim(int kind) {
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (kind % 3 == 1)
        for (int i = 0; i < 3; i++)
            pthread_create(&thread, NULL, spinner, NULL);
    if (kind % 3 == 2)
        while (1) {
            pid_t child = vfork();
            if (child == 0)
                _exit(0);
            waitpid(child, NULL, 0);
        }
    spinner(NULL);
}

static void kills(void) {
    unsigned seed = 12345;
    for (long i = 0; i < total; i++) {
        pid_t child = fork();
        if (child == 0)
            victim(i);
        seed = seed * 1103515245 + 12345;
        usleep(seed / 65536 % 3000);
        int status;
        if (kill(child, SIGKILL) || waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
            WTERMSIG(status) != SIGKILL)
            wrong++;
    }
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    total = atol(argv[2]);
    if (!strcmp(argv[1], "forks"))
        forks();
    else
        kills();
    int left = waitpid(-1, NULL, WNOHANG);
    printf("wrong: %ld, left: %d %s\n", wrong, left, strerror(errno));
    return wrong != 0;
}
