// Much code that runs once: so many instructions as INSTRUCTIONS says, in groups of nine with a branch, each group with
// numbers of its own. Both architectures have the same groups.
#include <stdio.h>

#include "share.h"

#ifndef INSTRUCTIONS
#define INSTRUCTIONS 50000 / SHARE
#endif
#define TEXT(x) #x
#define STRING(x) TEXT(x)

#ifdef __x86_64__
#define GROUP                                                                                                          \
	"movl $n & 0xffff, %%ecx\n xorl %%ecx, %0\n addl %1, %0\n xorl %0, %1\n rorl $7, %0\n"                         \
	"addl $n & 0xfff, %1\n cmpl %1, %0\n jb 1f\n addl $1, %0\n 1:\n"
#define CLOBBERED "ecx", "cc"
#else
#define GROUP                                                                                                          \
	"mov w9, n & 0xffff\n eor %w0, %w0, w9\n add %w0, %w0, %w1\n eor %w1, %w1, %w0\n ror %w0, %w0, 7\n"            \
	"add %w1, %w1, n & 0xfff\n cmp %w0, %w1\n b.lo 1f\n add %w0, %w0, 1\n 1:\n"
#define CLOBBERED "w9", "cc"
#endif

int main(int argc, char **argv)
{
	unsigned x = argc, y = 0;
	(void)argv;
	__asm__ volatile(".set n, 0\n .rept " STRING(INSTRUCTIONS) " / 9\n" GROUP ".set n, n + 1\n .endr\n"
			 : "+r"(x), "+r"(y)
			 :
			 : CLOBBERED);
	printf("%u %u\n", x, y);
}
