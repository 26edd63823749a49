// The cheapest system call, over and over: 1.2 million times, or as often as the argument says.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "share.h"

int main(int argc, char **argv)
{
	long same = 0, parent = getppid(), count = argc > 1 ? atol(argv[1]) : 1200000 / SHARE;
	for (long i = 0; i < count; i++)
		same += syscall(SYS_getppid) == parent;
	printf("%ld\n", same);
}
