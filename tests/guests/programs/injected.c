// Loops over memory of which some pages are missing at first: the handler brings each in and goes on. No loop may
// notice. With an argument it also prints a sum of what the handler saw of the registers.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, SIZE = PAGE * PAGES };

static unsigned char *area, *other;
static int faults, looking;
static uint64_t seen = 14695981039346656037u, seed = 88172645463325252u;

static uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 1099511628211u + (sum >> 29);
}

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static int is_ours(uintptr_t at)
{
	return at - (uintptr_t)area < SIZE || at - (uintptr_t)other < SIZE;
}

// Addresses of the stack and of the program differ between runs: only what does not look like one counts.
static uint64_t plain(uint64_t value)
{
	if (value - (uintptr_t)area <= SIZE)
		return value - (uintptr_t)area + 1;
	if (value - (uintptr_t)other <= SIZE)
		return value - (uintptr_t)other + 2;
	return value < 0x400000 || value >> 47 ? value : 3;
}

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uintptr_t at = (uintptr_t)info->si_addr;
	(void)signal;
	if (!is_ours(at))
		_exit(3);
	mprotect((void *)(at & -(uintptr_t)PAGE), PAGE, PROT_READ | PROT_WRITE);
	faults++;
	if (!looking)
		return;
	seen = mix(seen, plain(at));
#ifdef __x86_64__
	for (int i = 0; i < 17; i++)
		seen = mix(seen, plain(u->uc_mcontext.gregs[i]));
	// The arithmetic flags.
	seen = mix(seen, u->uc_mcontext.gregs[REG_EFL] & 0x8d5);
#else
	for (int i = 0; i < 31; i++)
		seen = mix(seen, plain(u->uc_mcontext.regs[i]));
	seen = mix(seen, u->uc_mcontext.pstate >> 28);
#endif
}

static void hide(unsigned char *from, int some)
{
	for (int page = 0; page < PAGES; page++)
		if (next() % some == 0)
			mprotect(from + page * PAGE, PAGE, next() & 1 ? PROT_NONE : PROT_READ);
}

#define KERNEL static __attribute__((noinline)) uint64_t

KERNEL fill(long n, long step)
{
	for (long i = 0; i < n; i += step)
		area[i] = (unsigned char)(i * 7 + step);
	return area[n / 2];
}

KERNEL sum_bytes(long n)
{
	uint64_t sum = 0;
	for (long i = 0; i < n; i++)
		sum = sum * 31 + area[i];
	return sum;
}

KERNEL copy_words(long n)
{
	uint64_t *to = (uint64_t *)other, *from = (uint64_t *)area, carry = 0;
	for (long i = 0; i < n / 8; i++) {
		uint64_t value = from[i] + carry;
		carry = value < carry;
		to[i] = value;
	}
	return carry + to[n / 16];
}

KERNEL exchange(long n)
{
	uint64_t swaps = 0;
	for (long i = 0, j = n - 1; i < j; i++, j--)
		if (area[i] > area[j]) {
			unsigned char t = area[i];
			area[i] = area[j];
			area[j] = t;
			swaps += i;
		}
	return swaps;
}

KERNEL crossing(long n)
{
	uint64_t sum = 0;
	for (long i = 0; i + 8 < n; i += 4093) {
		uint64_t value;
		memcpy(&value, area + i, 8);
		value += sum;
		memcpy(area + i, &value, 8);
		sum = sum * 3 + value;
	}
	return sum;
}

KERNEL doubles(long n)
{
	double *x = (double *)other, sum = 0;
	for (long i = 0; i < n / 8; i++)
		x[i] = (double)(i % 1000) * 0.25;
	for (long i = 1; i + 1 < n / 8; i++) {
		x[i] = x[i - 1] * 0.5 + x[i + 1];
		sum += x[i];
	}
	return (uint64_t)sum;
}

KERNEL scan(long n)
{
	long found = 0;
	for (long i = 0; i < n; i++) {
		long at = i;
		while (at < n && area[at] != 77)
			at++;
		found += at;
		i = at;
	}
	return found;
}

KERNEL nested(long n)
{
	uint64_t sum = 0;
	for (long row = 0; row < n; row += PAGE / 2)
		for (int round = 0; round < 3; round++)
			for (long i = row; i < row + 256; i++) {
				sum += area[i] >> round;
				other[i] = (unsigned char)(sum + other[i]);
			}
	return sum;
}

KERNEL calls(long n)
{
	uint64_t sum = 0;
	for (long i = 0; i + 64 < n; i += 2000) {
		memmove(area + i + 7, area + i, 50);
		sum += (memchr(area + i, 0, SIZE - i) != NULL) + area[i + 9];
	}
	return sum;
}

int main(int argc, char **argv)
{
	(void)argv;
	looking = 1;
	area = mmap((void *)0x10000000, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	other = mmap((void *)0x20000000, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &action, NULL);
	uint64_t sum = 0;
	for (int round = 0; round < 12; round++) {
#define RUN(call) (hide(area, 3), hide(other, 3), sum = mix(sum, call))
		RUN(fill(SIZE, 1 + round));
		RUN(sum_bytes(SIZE));
		RUN(copy_words(SIZE));
		RUN(exchange(SIZE));
		RUN(crossing(SIZE));
		RUN(doubles(SIZE));
		RUN(scan(SIZE));
		RUN(nested(SIZE - 512));
		// The C library has code for every processor.
		looking = 0;
		RUN(calls(SIZE - 512));
		looking = 1;
	}
	printf("%d faults, result %016llx\n", faults, (unsigned long long)sum);
	if (argc > 1)
		printf("registers %016llx\n", (unsigned long long)seen);
}
