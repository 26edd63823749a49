// Loops over 32-bit integers that the compiler turns into vector code: sums, products, shifts, comparisons.
// flags: -O3
#include <stdint.h>
#include <stdio.h>

#include "share.h"

#define N 4096

static int32_t a[N], b[N], c[N];

__attribute__((noinline)) static void mix(int32_t *restrict x, const int32_t *restrict y, int32_t *restrict z)
{
	for (int i = 0; i < N; i++) {
		z[i] = (x[i] > y[i] ? x[i] : y[i]) + (x[i] ^ y[i] >> 3);
		x[i] = (uint32_t)x[i] * 5 + (uint32_t)(z[i] & 255);
	}
}

__attribute__((noinline)) static uint32_t sum(const int32_t *x)
{
	uint32_t total = 0;
	for (int i = 0; i < N; i++)
		total += (uint32_t)x[i] * (uint32_t)x[i];
	return total;
}

int main(void)
{
	uint32_t total = 0;
	for (int i = 0; i < N; i++)
		a[i] = i * 2654435761u, b[i] = i * 40503u;
	for (int round = 0; round < 60000 / SHARE; round++) {
		mix(a, b, c);
		total = total * 31 + sum(c);
	}
	printf("%u\n", total);
}
