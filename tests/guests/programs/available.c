/* Which A64 instructions there are: for each word on standard input (hexadecimal), "ill" if executing it raises
 * SIGILL, else "ok", whatever else it does.
 *
 * All registers point into the middle of an area, and what follows the word is a breakpoint. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { AREA = 1 << 20, BREAKPOINT = 0xd4200000u, MOV_X17_X30 = 0xaa1e03f1u };

static sigjmp_buf back;
static char *area;
static uint32_t *code;

static void stop(int signal) { siglongjmp(back, signal); }

static void run(void)
{
#define SET(n) "mov x" #n ", x30\n"
	register char *middle __asm__("x30") = area + AREA / 2;
	register uint32_t *to __asm__("x17") = code;
	__asm__ volatile("mov sp, x30\n" SET(0) SET(1) SET(2) SET(3) SET(4) SET(5) SET(6) SET(7) SET(8) SET(9) SET(10)
			 SET(11) SET(12) SET(13) SET(14) SET(15) SET(16) SET(18) SET(19) SET(20) SET(21) SET(22) SET(23)
			 SET(24) SET(25) SET(26) SET(27) SET(28) SET(29) "br x17" : : "r"(middle), "r"(to) : "memory");
	__builtin_unreachable();
}

static int attempt(uint32_t word)
{
	uint32_t words[] = { MOV_X17_X30, word, BREAKPOINT };
	memcpy(code, words, sizeof words);
	__builtin___clear_cache((char *)code, (char *)(code + 3));
	int signal = sigsetjmp(back, 1);
	if (!signal)
		run();
	return signal;
}

int main(void)
{
	static char handler_stack[1 << 16];
	sigaltstack(&(stack_t){ .ss_sp = handler_stack, .ss_size = sizeof handler_stack }, 0);
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_ONSTACK };
	static const int signals[] = { SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE };
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, 0);
	area = mmap(0, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || code == MAP_FAILED)
		return 1;
	unsigned word;
	while (scanf("%x", &word) == 1)
		printf("%08x %s\n", word, attempt(word) == SIGILL ? "ill" : "ok");
	return 0;
}
