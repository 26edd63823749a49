// Primes below a million, a few times: loops over bytes.
#include <stdio.h>
#include <string.h>

#include "share.h"

static char composite[1000001];

int main(void)
{
	int count = 0;
	for (int round = 0; round < (SHARE > 1 ? 1 : 50); round++) {
		memset(composite, 0, sizeof composite);
		for (int i = 2; i <= 1000000; i++) {
			if (composite[i])
				continue;
			count++;
			for (long j = (long)i * i; j <= 1000000; j += i)
				composite[j] = 1;
		}
	}
	printf("%d\n", count);
}
