// Much code that runs once: a macro tree of 16384 different statements.
#include <stdio.h>

#define S1(n) x = (x ^ (n) * 2654435761u) + (x >> ((n) & 15)); if (x & 64) y += x * (n);
#define S4(n) S1(n) S1(n + 1) S1(n + 2) S1(n + 3)
#define S16(n) S4(n) S4(n + 4) S4(n + 8) S4(n + 12)
#define S64(n) S16(n) S16(n + 16) S16(n + 32) S16(n + 48)
#define S256(n) S64(n) S64(n + 64) S64(n + 128) S64(n + 192)
#define S1024(n) S256(n) S256(n + 256) S256(n + 512) S256(n + 768)
#define S4096(n) S1024(n) S1024(n + 1024) S1024(n + 2048) S1024(n + 3072)

int main(int argc, char **argv)
{
	unsigned x = argc, y = 0;
	S4096(1) S4096(5000)
	printf("%u %u\n", x, y);
	return argv == 0;
}
