// Heapsort and quicksort of integers: compares, moves, branches that nobody can predict.
#include <stdio.h>

#include "share.h"

#define N (400000 / SHARE)

static unsigned values[N];

static void swap(unsigned *a, unsigned *b)
{
	unsigned t = *a;
	*a = *b;
	*b = t;
}

static void quicksort(unsigned *from, unsigned *to)
{
	while (to - from > 1) {
		unsigned pivot = from[(to - from) / 2], *low = from, *high = to - 1;
		while (low <= high) {
			while (*low < pivot)
				low++;
			while (*high > pivot)
				high--;
			if (low <= high)
				swap(low++, high--);
		}
		quicksort(from, high + 1);
		from = low;
	}
}

static void sift(unsigned *heap, int at, int count)
{
	for (int child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && heap[child + 1] > heap[child])
			child++;
		if (heap[at] >= heap[child])
			return;
		swap(heap + at, heap + child);
	}
}

static void heapsort(unsigned *heap, int count)
{
	for (int at = count / 2; at-- > 0;)
		sift(heap, at, count);
	while (--count > 0) {
		swap(heap, heap + count);
		sift(heap, 0, count);
	}
}

int main(void)
{
	unsigned x = 1, sum = 0;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++)
			values[i] = x = x * 1103515245u + 12345u;
		if (round & 1)
			heapsort(values, N);
		else
			quicksort(values, values + N);
		for (int i = 0; i < N; i++)
			sum = sum * 31 + values[i];
	}
	printf("%u %u %u\n", values[0], values[N / 2], sum);
}
