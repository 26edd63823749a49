// Threads as libc does not use them every day: a thousand at once, owners of mutexes that die, priority inheritance, waits for
// several futexes, cancellation, and a first thread that leaves before the others.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 1000 };

static pthread_barrier_t barrier;
static atomic_int counter;

static void *one_of_many(void *number) {
    static _Thread_local long own;
    own = (long)number;
    pthread_barrier_wait(&barrier);
    atomic_fetch_add(&counter, own == (long)number);
    pthread_barrier_wait(&barrier);
    return (void *)own;
}

static void a_thousand(void) {
    static pthread_t threads[MANY];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    pthread_barrier_init(&barrier, NULL, MANY + 1);
    int failed = 0;
    for (long i = 0; i < MANY; i++) failed += pthread_create(&threads[i], &attributes, one_of_many, (void *)i) != 0;
    if (failed) {
        printf("%d threads failed\n", failed);
        exit(1);
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    long sum = 0;
    for (int i = 0; i < MANY; i++) {
        void *own;
        pthread_join(threads[i], &own);
        sum += (long)own;
    }
    printf("%d at once, sum %ld\n", atomic_load(&counter), sum);
}

static pthread_mutex_t *shared_mutex(int protocol) {
    pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutex_init(mutex, &attributes);
    return mutex;
}

static void *lock_and_leave(void *mutex) {
    pthread_mutex_lock(mutex);
    return NULL;
}

static void dead_owners(const char *what, int protocol) {
    pthread_mutex_t *mutex = shared_mutex(protocol);
    pthread_t thread;
    pthread_create(&thread, NULL, lock_and_leave, mutex);
    pthread_join(thread, NULL);
    int first = pthread_mutex_lock(mutex);
    pthread_mutex_consistent(mutex);
    pthread_mutex_unlock(mutex);
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(mutex);
        raise(SIGKILL);
    }
    waitpid(child, NULL, 0);
    int second = pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
    printf("%s: %s, %s, then %s\n", what, strerror(first), strerror(second), strerror(pthread_mutex_lock(mutex)));
}

static pthread_mutex_t inheriting;
static long guarded;

static void *under_lock(void *unused) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&inheriting);
        guarded++;
        if (i % 100 == 0) sched_yield();
        pthread_mutex_unlock(&inheriting);
    }
    return unused;
}

static void inheritance(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inheriting, &attributes);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, under_lock, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    pthread_mutex_lock(&inheriting);
    printf("under inheritance: %ld, by its owner again: %s\n", guarded, strerror(pthread_mutex_timedlock(&inheriting, &soon)));
}

struct waiter { uint64_t value, address; uint32_t flags, reserved; };
static atomic_uint words[3];

static void *wake_third(void *unused) {
    while (atomic_load(&counter) == 0) sched_yield();
    do {
        atomic_store(&words[2], 1);
    } while (syscall(SYS_futex, &words[2], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0 && (sched_yield(), 1));
    return unused;
}

static void several_futexes(void) {
    struct waiter waiters[3];
    for (int i = 0; i < 3; i++) waiters[i] = (struct waiter){0, (uintptr_t)&words[i], 2 | 128, 0};
    atomic_store(&counter, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, wake_third, NULL);
    atomic_store(&counter, 1);
    long woken = syscall(449, waiters, 3, 0, NULL, 0);
    // Woken, or too late to sleep.
    printf("waiting for three: %d\n", woken == 2 || (woken == -1 && errno == EAGAIN));
    if (woken == -1) syscall(SYS_futex, &words[2], FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    pthread_join(thread, NULL);
    atomic_store(&words[2], 0);
    struct timespec past = {1, 0};
    errno = 0;
    printf("past: %ld %s", syscall(449, waiters, 3, 0, &past, CLOCK_MONOTONIC), "");
    printf("%s", strerror(errno));
    waiters[1].value = 7;
    syscall(449, waiters, 3, 0, NULL, 0);
    printf(", changed: %s", strerror(errno));
    waiters[0].flags = 77;
    syscall(449, waiters, 3, 0, NULL, 0);
    printf(", flags: %s\n", strerror(errno));
}

static void note(void *what) { atomic_fetch_add(&counter, (int)(intptr_t)what); }

static void *cancelled(void *how) {
    pthread_cleanup_push(note, (void *)1);
    switch ((intptr_t)how) {
    case 0:
        for (;;) pause();
    case 1: {
        int pipes[2];
        char byte;
        if (pipe(pipes) == 0) (void)!read(pipes[0], &byte, 1);
        break;
    }
    case 2:
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
        for (volatile long i = 0;; i++) {}
    case 3: {
        pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        pthread_cond_t never = PTHREAD_COND_INITIALIZER;
        pthread_mutex_lock(&mutex);
        for (;;) pthread_cond_wait(&never, &mutex);
    }
    default: {
        sem_t nothing;
        sem_init(&nothing, 0, 0);
        sem_wait(&nothing);
    }
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void cancellation(void) {
    atomic_store(&counter, 0);
    int all = 0;
    for (intptr_t how = 0; how < 5; how++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, cancelled, (void *)how);
        if (how % 2 == 0) usleep(2000);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        all += result == PTHREAD_CANCELED;
    }
    printf("cancelled: %d, cleaned up: %d\n", all, atomic_load(&counter) <= 5 && atomic_load(&counter) >= 3);
}

static void *outlive(void *main_thread) {
    pthread_join(*(pthread_t *)main_thread, NULL);
    printf("the first thread has left\n");
    fflush(stdout);
    _exit(5);
}

static void first_leaves(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        static pthread_t self;
        self = pthread_self();
        pthread_t thread;
        pthread_create(&thread, NULL, outlive, &self);
        pthread_exit(NULL);
    }
    int status;
    waitpid(child, &status, 0);
    printf("and the last one ended with %d\n", WEXITSTATUS(status));
}

int main(void) {
    a_thousand();
    dead_owners("dead owners", PTHREAD_PRIO_NONE);
    dead_owners("with inheritance", PTHREAD_PRIO_INHERIT);
    inheritance();
    several_futexes();
    cancellation();
    first_leaves();
    return 0;
}
