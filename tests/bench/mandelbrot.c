// Points of the Mandelbrot set: dependent float arithmetic and comparisons.
#include <stdio.h>

#include "share.h"

int main(void)
{
	long total = 0;
	for (int py = 0; py < 600; py++)
		for (int px = 0; px < 300; px += SHARE) {
			double x0 = px / 100.0 - 2, y0 = py / 300.0 - 1, x = 0, y = 0;
			int i = 0;
			for (; i < 1000 && x * x + y * y <= 4; i++) {
				double t = x * x - y * y + x0;
				y = 2 * x * y + y0;
				x = t;
			}
			total += i;
		}
	printf("%ld\n", total);
}
