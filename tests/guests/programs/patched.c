// Functions of the program's own file that are replaced while it runs: by a store, and by a page that is put there.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define ON_ITS_OWN_PAGE __attribute__((noinline, noipa, aligned(PAGE)))

ON_ITS_OWN_PAGE static int step(int x) { return x + 1; }
ON_ITS_OWN_PAGE static int other(int x) { return x + 2; }
// The page behind them is another one.
ON_ITS_OWN_PAGE static int twice(int x) { return step(step(x)); }

static int count(int rounds)
{
	int x = 0;
	for (int i = 0; i < rounds; i++)
		x = twice(x);
	return x;
}

static void replace(void *at, const void *code, int len)
{
	mprotect(at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	memcpy(at, code, len);
	__builtin___clear_cache((char *)at, (char *)at + len);
	mprotect(at, PAGE, PROT_READ | PROT_EXEC);
}

int main(void)
{
	char before[16];
	void *volatile page = step;

	memcpy(before, page, sizeof before);
	printf("%d %d\n", count(5), count(150000));
	replace(page, (void *)other, sizeof before);
	printf("%d %d\n", count(5), count(150000));
	replace(page, before, sizeof before);
	printf("%d\n", count(5));
	void *copy = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(copy, (void *)other, sizeof before);
	mprotect(copy, PAGE, PROT_READ | PROT_EXEC);
	// Where the function was, that page is from now on.
	if (mremap(copy, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page) != page)
		return 1;
	__builtin___clear_cache((char *)page, (char *)page + PAGE);
	printf("%d\n", count(5));
	return 0;
}
