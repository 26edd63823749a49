// What ThreadSanitizer looks for, by the argument: a race, a deadlock's order of locks, or nothing.
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long guarded, racy;
static atomic_long counted;
static atomic_int turn;
static int with_race;

static void *work(void *number) {
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&lock);
        guarded += (long)number;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        atomic_fetch_add(&counted, 1);
        if (with_race) racy++;
    }
    return NULL;
}

static void *in_order(void *first) {
    pthread_mutex_t *locks[] = {&lock, &other};
    pthread_mutex_lock(locks[first != NULL]);
    pthread_mutex_lock(locks[first == NULL]);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&other);
    atomic_store(&turn, 1);
    return NULL;
}

static void on_signal(int signal) { atomic_fetch_add(&counted, signal ? 1 : 0); }

int main(int count, char **arguments) {
    with_race = count > 1 && !strcmp(arguments[1], "race");
    signal(SIGUSR1, on_signal);
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < 100; i++) pthread_kill(pthread_self(), SIGUSR1);
    pthread_mutex_lock(&lock);
    while (guarded < 6 * 2500) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    printf("%ld %ld\n", guarded, atomic_load(&counted));
    if (count > 1 && !strcmp(arguments[1], "order")) {
        pthread_create(&threads[0], NULL, in_order, NULL);
        pthread_join(threads[0], NULL);
        pthread_create(&threads[0], NULL, in_order, &lock);
        pthread_join(threads[0], NULL);
    }
    return 0;
}
