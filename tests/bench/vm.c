// An interpreter of a small byte code: a switch in a loop, so indirect jumps.
#include <stdio.h>

#include "share.h"

enum { PUSH, ADD, SUB, DUP, SWAP, OVER, JNZ, DROP, XOR, HALT };

int main(void)
{
	static const int code[] = { PUSH, 1, PUSH, 8000000 / SHARE, SWAP, OVER, ADD, PUSH, 12345, XOR, SWAP,
				    PUSH, 1, SUB, DUP, JNZ, 4, DROP, HALT };
	long stack[64], *sp = stack;
	for (int pc = 0;;) {
		long t;
		switch (code[pc++]) {
		case PUSH: *sp++ = code[pc++]; break;
		case ADD: sp--; sp[-1] += sp[0]; break;
		case SUB: sp--; sp[-1] -= sp[0]; break;
		case XOR: sp--; sp[-1] ^= sp[0]; break;
		case DUP: *sp = sp[-1]; sp++; break;
		case DROP: sp--; break;
		case SWAP: t = sp[-1]; sp[-1] = sp[-2]; sp[-2] = t; break;
		case OVER: *sp = sp[-2]; sp++; break;
		case JNZ: pc = *--sp ? code[pc] : pc + 1; break;
		case HALT: printf("%ld\n", sp[-1]); return 0;
		}
	}
}
