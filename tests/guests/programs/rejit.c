// A JIT compiler's life: functions are written over and over, and run, while other threads run code of their own, wait, and make
// system calls. Memory must not grow all the time.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, FUNCTIONS = 32, ROOM = PAGE / FUNCTIONS, ADDITIONS = 8, ROUNDS = 8000, WARM = 5000 };

typedef unsigned (*function)(void);

// A function that returns ADDITIONS + 1 times x, which is less than 1000.
static void make(unsigned char *at, unsigned x)
{
#if defined(__x86_64__)
	*at++ = 0xb8; // mov $x, %eax
	memcpy(at, &x, 4);
	at += 4;
	for (int i = 0; i < ADDITIONS; i++) {
		*at++ = 0x05; // add $x, %eax
		memcpy(at, &x, 4);
		at += 4;
	}
	*at = 0xc3;
#else
	uint32_t *insn = (uint32_t *)at;
	*insn++ = 0x52800000 | x << 5; // mov w0, #x
	for (int i = 0; i < ADDITIONS; i++)
		*insn++ = 0x31000000 | x << 10; // adds w0, w0, #x
	*insn++ = 0xd65f03c0;
	__builtin___clear_cache((char *)at, (char *)insn);
#endif
}

static unsigned char *page(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

// Makes all functions anew, and runs them; what they give.
static unsigned long round_of(unsigned char *code, unsigned round)
{
	unsigned long sum = 0;
	for (unsigned i = 0; i < FUNCTIONS; i++)
		make(code + i * ROOM, (round + i) % 1000);
	for (int again = 0; again < 3; again++)
		for (unsigned i = 0; i < FUNCTIONS; i++)
			sum += ((function)(code + i * ROOM))();
	return sum;
}

static unsigned long expected(unsigned round)
{
	unsigned long sum = 0;
	for (unsigned i = 0; i < FUNCTIONS; i++)
		sum += 3 * (ADDITIONS + 1) * ((round + i) % 1000);
	return sum;
}

// A child goes on where its parent is.
static unsigned long in_a_child(unsigned char *code)
{
	int status = 1;
	pid_t child = fork();
	if (child == 0) {
		unsigned long wrong = 0;
		for (unsigned round = 0; round < 300; round++)
			wrong += round_of(code, round) != expected(round);
		_exit(wrong != 0);
	}
	waitpid(child, &status, 0);
	return status != 0;
}

static volatile int done;
static int ends[2];

static void *computes(void *arg)
{
	unsigned char *mine = page();
	unsigned long wrong = 0;
	make(mine, 7);
	make(mine + ROOM, 9);
	while (!done)
		for (int i = 0; i < 1000; i++)
			wrong += ((function)(mine + i % 2 * ROOM))() != (i % 2 ? 9 : 7) * (ADDITIONS + 1);
	return (void *)wrong;
}

static void *calls(void *arg)
{
	unsigned long wrong = 0;
	while (!done)
		wrong += getppid() != (pid_t)(uintptr_t)arg;
	return (void *)wrong;
}

static void *waits(void *arg)
{
	char byte = 0;
	unsigned long wrong = read(ends[0], &byte, 1) != 1;
	return (void *)(wrong + (byte != 'x'));
}

static long peak(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss / 1024;
}

int main(void)
{
	pthread_t threads[3];
	unsigned char *code = page();
	unsigned long sum = 0, wrong = 0;
	long before = 0;

	if (pipe(ends) != 0)
		return 1;
	pthread_create(&threads[0], NULL, computes, NULL);
	pthread_create(&threads[1], NULL, calls, (void *)(uintptr_t)getppid());
	pthread_create(&threads[2], NULL, waits, NULL);
	for (unsigned round = 0; round < ROUNDS; round++) {
		sum += round_of(code, round);
		if (round % 500 == 0)
			wrong += in_a_child(code);
		if (round == WARM)
			before = peak();
	}
	done = 1;
	write(ends[1], "x", 1);
	for (int i = 0; i < 3; i++) {
		void *result;
		pthread_join(threads[i], &result);
		wrong += (unsigned long)result;
	}
	printf("%lu, wrong: %lu, flat: %d\n", sum, wrong, peak() - before < 12);
	return 0;
}
