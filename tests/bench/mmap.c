// Mappings: made, touched, protected, given back.
#include <stdio.h>
#include <sys/mman.h>

#include "share.h"

#define PAGES 16

int main(void)
{
	unsigned long sum = 0;
	for (int i = 0; i < 8000 / SHARE; i++) {
		unsigned char *at = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			return 1;
		for (int page = 0; page < PAGES; page += 4)
			at[page * 4096] = i + page;
		mprotect(at, 4096 * PAGES / 2, PROT_READ);
		for (int page = 0; page < PAGES; page++)
			sum += at[page * 4096];
		munmap(at, PAGES * 4096);
	}
	printf("%lu\n", sum);
}
