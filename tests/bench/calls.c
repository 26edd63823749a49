// Sorting through a comparison function, and a table of functions: indirect calls.
#include <stdio.h>
#include <stdlib.h>

#include "share.h"

#define COUNT (400000 / SHARE)

static int values[COUNT];

static int compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;
	return (x > y) - (x < y);
}

static unsigned f0(unsigned x) { return x + 1; }
static unsigned f1(unsigned x) { return x * 3; }
static unsigned f2(unsigned x) { return x ^ x >> 7; }
static unsigned f3(unsigned x) { return x - 9; }
static unsigned (*volatile table[])(unsigned) = { f0, f1, f2, f3 };

int main(void)
{
	unsigned x = 1;
	for (int i = 0; i < COUNT; i++)
		values[i] = (int)(x = x * 1103515245u + 12345u) >> 3;
	qsort(values, COUNT, sizeof *values, compare);
	for (int i = 0; i < 40000000 / SHARE; i++)
		x = table[(x >> 5 ^ i) & 3](x);
	printf("%d %d %u\n", values[0], values[COUNT / 2], x);
}
