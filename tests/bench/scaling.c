// Threads that have nothing to do with each other, as many as the argument says: each does the same work.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "share.h"

static void *work(void *result)
{
	unsigned x = 1, y = 0;
	for (int i = 0; i < 150000000 / SHARE; i++) {
		x = x * 1664525u + 1013904223u;
		y += x >> 16;
	}
	*(unsigned *)result = y;
	return 0;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t threads[16];
	unsigned results[16];
	if (count < 1 || count > 16)
		return 1;
	for (int i = 0; i < count; i++)
		pthread_create(threads + i, 0, work, results + i);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], 0);
	for (int i = 1; i < count; i++)
		if (results[i] != results[0])
			return 2;
	printf("%u\n", results[0]);
}
