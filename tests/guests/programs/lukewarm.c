// A loop that runs so often in one process that it gets hot only with the runs of an earlier one.
#include <stdio.h>

static volatile unsigned sum;

__attribute__((noinline)) static void add(unsigned i)
{
	sum += i;
}

int main(void)
{
	for (unsigned i = 0; i < 2500; i++)
		add(i);
	printf("%u\n", sum);
}
