// Threads that come and go, and a mutex that four of them want.
#include <pthread.h>
#include <stdio.h>

#include "share.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long count;

static void *once(void *unused)
{
	pthread_mutex_lock(&mutex);
	count++;
	pthread_mutex_unlock(&mutex);
	return unused;
}

static void *often(void *unused)
{
	for (int i = 0; i < 100000 / SHARE; i++)
		once(unused);
	return unused;
}

static void start(void *(*what)(void *))
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(threads + i, 0, what, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], 0);
}

int main(void)
{
	for (int i = 0; i < 1000 / SHARE; i++)
		start(once);
	start(often);
	printf("%ld\n", count);
}
