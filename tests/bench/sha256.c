// SHA-256 over a buffer: shifts, rotates, additions.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "share.h"

static uint32_t k[64], h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void block(const uint32_t *in)
{
	uint32_t w[64], v[8];
	memcpy(w, in, 64);
	for (int i = 16; i < 64; i++) {
		uint32_t s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	memcpy(v, h, 32);
	for (int i = 0; i < 64; i++) {
		uint32_t s1 = ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25);
		uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
		uint32_t s0 = ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22);
		uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 28);
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += v[i];
}

int main(void)
{
	static uint32_t data[16384];
	for (int i = 0; i < 64; i++)
		k[i] = 0x428a2f98u * (i + 1) ^ i << 13;
	for (int i = 0; i < 16384; i++)
		data[i] = i * 2654435761u;
	for (int round = 0; round < 300 / SHARE; round++)
		for (int i = 0; i < 16384; i += 16)
			block(data + i);
	printf("%08x %08x\n", h[0], h[7]);
}
