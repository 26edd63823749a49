// A hot loop that calls a function of another mapped file, which may give way to a second one.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define PLACE ((void *)0x1000000000)

__attribute__((noipa)) static unsigned step(unsigned x) { return x + 1; }
__attribute__((noipa)) static unsigned other(unsigned x) { return x * 3 + 2; }

__attribute__((noipa)) static unsigned count(unsigned (*function)(unsigned), int rounds)
{
	unsigned x = 0;
	for (int i = 0; i < rounds; i++)
		x = function(x);
	return x;
}

// Maps a file of its own with the code of a function.
static unsigned (*mapped(unsigned (*function)(unsigned)))(unsigned)
{
	int file = memfd_create("code", 0);
	if (file < 0 || write(file, (void *)function, 64) != 64)
		return 0;
	void *place = mmap(PLACE, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0);
	close(file);
	return place == PLACE ? (unsigned (*)(unsigned))place : 0;
}

int main(int argc, char **argv)
{
	const int rounds = 1000 * 1000;

	printf("%u\n", count(mapped(step), rounds));
	if (argc > 1 && !strcmp(argv[1], "replaced"))
		printf("%u\n", count(mapped(other), rounds));
	if (argc > 1 && !strcmp(argv[1], "opened")) {
		// The page is opened for writing and closed again, then opened and written.
		for (int round = 0; round < 3; round++) {
			mprotect(PLACE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
			if (round == 2) {
				memcpy(PLACE, (void *)other, 64);
				__builtin___clear_cache((char *)PLACE, (char *)PLACE + 64);
			}
			mprotect(PLACE, PAGE, PROT_READ | PROT_EXEC);
			printf("%u\n", count((unsigned (*)(unsigned))PLACE, rounds));
		}
	}
	return 0;
}
