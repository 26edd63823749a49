// Planets that attract each other: square roots and divisions of doubles.
#include <math.h>
#include <stdio.h>

#include "share.h"

enum { BODIES = 5 };
static struct { double p[3], v[3], mass; } body[BODIES] = {
	{ { 0, 0, 0 }, { 0, 0, 0 }, 39.5 },
	{ { 4.84, -1.16, -.10 }, { .606, 2.81, -.02 }, .037 },
	{ { 8.34, 4.12, -.4 }, { -1.01, 1.82, .008 }, .011 },
	{ { 12.8, -15.1, -.22 }, { 1.08, .868, -.01 }, .0017 },
	{ { 15.3, -25.9, .179 }, { .979, .594, -.034 }, .002 },
};

static void step(double dt)
{
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++) {
			double d[3], square = 0;
			for (int k = 0; k < 3; k++) {
				d[k] = body[i].p[k] - body[j].p[k];
				square += d[k] * d[k];
			}
			double pull = dt / (square * sqrt(square));
			for (int k = 0; k < 3; k++) {
				body[i].v[k] -= d[k] * body[j].mass * pull;
				body[j].v[k] += d[k] * body[i].mass * pull;
			}
		}
	for (int i = 0; i < BODIES; i++)
		for (int k = 0; k < 3; k++)
			body[i].p[k] += dt * body[i].v[k];
}

int main(void)
{
	for (int i = 0; i < 1500000 / SHARE; i++)
		step(.01);
	for (int i = 0; i < BODIES; i++)
		printf("%.15g %.15g\n", body[i].p[0], body[i].v[1]);
}
