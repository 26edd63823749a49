// Product of two matrices of doubles.
#include <stdio.h>

#define N 320
static double a[N][N], b[N][N], c[N][N];

int main(void)
{
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			a[i][j] = i + j, b[i][j] = i - j;
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++) {
				double sum = 0;
				for (int l = 0; l < N; l++)
					sum += a[i][l] * b[l][j];
				c[i][j] += sum;
			}
	printf("%.0f %.0f\n", c[3][4], c[N - 1][N - 2]);
}
