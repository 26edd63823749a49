// Code to which jumps lead forward from another page runs, and is changed where an argument says so; and a loop with such jumps
// waits for a signal.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

unsigned step(unsigned x);
extern char changed[];

#if defined(__x86_64__)
__asm__(".pushsection .text.step,\"ax\",@progbits\n"
        ".p2align 12\n"
        ".globl step, changed\n"
        "step: mov %edi, %eax\n"
        "      test $1, %edi\n"
        "      jz 1f\n"
        "      add $10, %eax\n"
        "      jmp 1f\n"
        ".p2align 12\n"
        "1:\n"
        "changed: .byte 0x05\n"
        "      .long 5\n"
        "      test $2, %edi\n"
        "      jz 2f\n"
        "      add $1000, %eax\n"
        "2:    ret\n"
        ".p2align 12\n"
        ".popsection\n");

static void add(unsigned number) { memcpy(changed + 1, &number, 4); }
#else
__asm__(".pushsection .text.step,\"ax\",@progbits\n"
        ".p2align 12\n"
        ".globl step, changed\n"
        "step: mov w1, w0\n"
        "      tbz w0, #0, 1f\n"
        "      add w1, w1, #10\n"
        "      b 1f\n"
        ".p2align 12\n"
        "1:\n"
        "changed: add w1, w1, #5\n"
        "      tbz w0, #1, 2f\n"
        "      add w1, w1, #1000\n"
        "2:    mov w0, w1\n"
        "      ret\n"
        ".p2align 12\n"
        ".popsection\n");

static void add(unsigned number)
{
	uint32_t insn = 0x11000021 | number << 10;
	memcpy(changed, &insn, 4);
	__builtin___clear_cache(changed, changed + 4);
}
#endif

static unsigned sum(void)
{
	unsigned all = 0;
	for (unsigned x = 0; x < 500; x++) {
		all += step(x);
	}
	return all;
}

static volatile sig_atomic_t rung;

static void ring(int number) { rung = number; }

static unsigned wait_for_the_bell(void)
{
	static volatile unsigned ways[2];
	struct itimerval soon = {.it_value = {.tv_usec = 2000}};
	signal(SIGALRM, ring);
	setitimer(ITIMER_REAL, &soon, NULL);
	for (unsigned x = 1; !rung; x = x * 1664525 + 1013904223) {
		if (x >> 31) {
			ways[0]++;
		} else {
			ways[1]++;
		}
	}
	return ways[0] > 0 && ways[1] > 0;
}

int main(int count, char **args)
{
	printf("%u\n", sum());
	for (int n = 1; n < count; n++) {
		mprotect(changed, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
		add(atoi(args[n]));
		mprotect(changed, 4096, PROT_READ | PROT_EXEC);
		printf("%u\n", sum());
	}
	printf("%u\n", wait_for_the_bell());
	return 0;
}
