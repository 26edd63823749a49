// The cheapest system call, over and over.
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	long same = 0, parent = getppid();
	for (int i = 0; i < 2000000; i++)
		same += syscall(SYS_getppid) == parent;
	printf("%ld\n", same);
}
