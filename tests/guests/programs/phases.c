// A loop that does something else after a while: it calls other functions through the same pointer, or goes another way
// through a function.  phases pointer|way ROUNDS FIRST LAST
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline))
static volatile int phase;

APART static unsigned long first(unsigned long x) { return x * 3 + 1; }
APART static unsigned long second(unsigned long x) { return (x ^ x >> 9) + 7; }
APART static unsigned long third(unsigned long x) { return (x << 7 | x >> 57) - 5; }

static unsigned long (*volatile const functions[])(unsigned long) = { first, second, third, second };

APART static unsigned long pointer(unsigned long x, long rounds)
{
	for (long i = 0; i < rounds; i++)
		x = functions[phase](x) + i;
	return x;
}

APART static unsigned long either(unsigned long x, int way)
{
	if (way & 1)
		return second(x) + first(x);
	return third(x + 1) * 3;
}

APART static unsigned long way(unsigned long x, long rounds)
{
	for (long i = 0; i < rounds; i++)
		x = either(x, phase) + i;
	return x;
}

int main(int argc, char **argv)
{
	unsigned long x = argc;
	long rounds = atol(argv[2]);
	for (phase = atoi(argv[3]); phase <= atoi(argv[4]); phase++)
		for (long i = 0; i < rounds / 1000; i++)
			x = strcmp(argv[1], "way") ? pointer(x, 1000) : way(x, 1000);
	printf("%lu\n", x);
}
