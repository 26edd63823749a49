// A hash map with open addressing: multiplications, masks, and loads that miss.
#include <stdint.h>
#include <stdio.h>

#include "share.h"

#define PLACES (1u << 19)

static struct { uint64_t key, value; } map[PLACES];

static uint32_t find(uint64_t key)
{
	uint32_t at = key * 0x9e3779b97f4a7c15u >> 45;
	while (map[at].key && map[at].key != key)
		at = (at + 1) & (PLACES - 1);
	return at;
}

int main(void)
{
	uint64_t x = 88172645463325252u, found = 0, sum = 0;
	for (int i = 0; i < 3000000 / SHARE; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		uint64_t key = x % 300000 + 1;
		uint32_t at = find(key);
		found += map[at].key == key;
		map[at].key = key;
		map[at].value += i;
	}
	for (uint32_t at = 0; at < PLACES; at++)
		sum = sum * 31 + map[at].value;
	printf("%llu %llu\n", (unsigned long long)found, (unsigned long long)sum);
}
