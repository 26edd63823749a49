// The C library's string functions on short and long strings: its vector code.
#include <stdio.h>
#include <string.h>

#include "share.h"

static char text[70000], copy[70000];

static size_t total;

static void round_of(int round)
{
	text[65536 - round] = 0;
	total += strlen(text);
	total += (char *)memchr(text, 'z' - (round & 1) * 25, 30000) != 0;
	memcpy(copy, text, 4096 + round);
	total += strcmp(text, copy) != 0;
	for (int i = 0; i < 50; i++)
		total += strlen(text + 65536 - round - i % 40);
	text[65536 - round] = 'q';
}

int main(void)
{
	for (int i = 0; i < 65536; i++)
		text[i] = 'a' + i % 23;
	for (int i = 0; i < 120000 / SHARE; i++)
		round_of(i % 4000);
	printf("%zu\n", total);
}
