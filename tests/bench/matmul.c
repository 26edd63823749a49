// Product of two matrices of doubles.
#include <stdio.h>

#include "share.h"

#define N (SHARE > 1 ? 64 : 320)
static double a[320][320], b[320][320], c[320][320];

int main(void)
{
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			a[i][j] = i + j, b[i][j] = i - j;
	for (int round = 0; round < (SHARE > 1 ? 3 : 9); round++)
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++) {
				double sum = 0;
				for (int l = 0; l < N; l++)
					sum += a[i][l] * b[l][j];
				c[i][j] += sum;
			}
	printf("%.0f %.0f\n", c[3][4], c[N - 1][N - 2]);
}
