// CRC-32 by a table, a byte at a time: each step needs the one before.
#include <stdint.h>
#include <stdio.h>

#include "share.h"

static uint32_t table[256];
static unsigned char data[1 << 20];

int main(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		table[i] = c;
	}
	for (int i = 0; i < 1 << 20; i++)
		data[i] = i * 2654435761u >> 24;
	uint32_t crc = ~0u;
	for (int round = 0; round < (SHARE > 1 ? 1 : 60); round++)
		for (int i = 0; i < 1 << 20; i++)
			crc = crc >> 8 ^ table[(crc ^ data[i]) & 255];
	printf("%08x\n", ~crc);
}
