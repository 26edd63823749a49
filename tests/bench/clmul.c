// Products without carries, as GCM and CRCs use them: a hash of a counter over GF(2)[x].
// flags-x86_64: -mpclmul
// flags-aarch64: -march=armv8-a+crypto
#include <stdint.h>
#include <stdio.h>

#include "share.h"

#ifdef __x86_64__
#include <immintrin.h>
static void multiply(uint64_t a, uint64_t b, uint64_t *out)
{
	_mm_storeu_si128((__m128i *)out, _mm_clmulepi64_si128(_mm_cvtsi64_si128(a), _mm_cvtsi64_si128(b), 0));
}
#else
#include <arm_neon.h>
static void multiply(uint64_t a, uint64_t b, uint64_t *out)
{
	vst1q_u64(out, vreinterpretq_u64_p128(vmull_p64(a, b)));
}
#endif

int main(void)
{
	uint64_t hash = 0, product[2], low[2];
	for (uint64_t i = 0; i < 24000000 / SHARE; i++) {
		multiply(hash ^ i, 0x42f0e1eba9ea3693u, product);
		multiply(product[1], 0x1b, low);
		hash = product[0] ^ low[0];
	}
	printf("%016llx\n", (unsigned long long)hash);
}
