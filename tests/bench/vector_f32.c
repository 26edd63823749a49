// Loops over floats that the compiler turns into vector code: products, sums, square roots, conversions.
// flags: -O3 -fno-math-errno
#include <math.h>
#include <stdio.h>

#include "share.h"

#define N 4096

static float a[N], b[N];
static int c[N];

__attribute__((noinline)) static void step(float *restrict x, const float *restrict y)
{
	for (int i = 0; i < N; i++)
		x[i] = sqrtf(x[i] * x[i] + y[i]) - y[i] * 0.25f;
}

__attribute__((noinline)) static void round_off(int *restrict z, const float *restrict x)
{
	for (int i = 0; i < N; i++)
		z[i] += (int)(x[i] * 16.0f);
}

int main(void)
{
	unsigned total = 0;
	for (int i = 0; i < N; i++)
		a[i] = i % 97 + 0.5f, b[i] = i % 31 + 1.0f;
	for (int round = 0; round < 80000 / SHARE; round++) {
		step(a, b);
		round_off(c, a);
	}
	for (int i = 0; i < N; i++)
		total = total * 31 + c[i];
	printf("%u %.9g\n", total, (double)a[N / 2]);
}
