// Eight processes forked from one warm parent: code that the parent had compiled goes on in all of them, and each makes,
// runs, and changes code of its own.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint64_t (*function)(uint64_t);

// "add 1000 constants that follow from the seed" as machine code.
static size_t make(uint8_t *at, uint32_t seed) {
    uint8_t *start = at;
    for (int i = 0; i < 1000; i++) {
        seed = seed * 1103515245 + 12345;
        uint16_t constant = seed >> 20 & 0xfff;
#if defined(__x86_64__)
        // add rdi, imm32
        uint8_t add[] = {0x48, 0x81, 0xc7, constant & 0xff, constant >> 8, 0, 0};
        memcpy(at, add, sizeof add);
        at += sizeof add;
#else
        uint32_t add = 0x91000000u | (uint32_t)(constant & 0xfff) << 10;
        memcpy(at, &add, 4);
        at += 4;
#endif
    }
#if defined(__x86_64__)
    uint8_t end[] = {0x48, 0x89, 0xf8, 0xc3};
#else
    uint32_t end = 0xd65f03c0u;
#endif
    memcpy(at, &end, sizeof end);
    at += sizeof end;
    __builtin___clear_cache((char *)start, (char *)at);
    return at - start;
}

static uint64_t collatz(uint64_t limit) {
    uint64_t longest = 0;
    for (uint64_t n = 1; n < limit; n++) {
        uint64_t steps = 0;
        for (uint64_t x = n; x != 1; x = x & 1 ? 3 * x + 1 : x / 2) steps++;
        if (steps > longest) longest = steps;
    }
    return longest;
}

static uint64_t run(uint8_t *area, uint32_t seed, int rounds) {
    uint64_t sum = 0;
    make(area, seed);
    for (int i = 0; i < rounds; i++) sum = ((function)area)(sum);
    return sum;
}

int main(void) {
    uint8_t *area = mmap(NULL, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int pipes[8][2];
    printf("parent: %llu %llu\n", (unsigned long long)collatz(30000), (unsigned long long)run(area, 1, 3000));
    fflush(stdout);
    for (int i = 0; i < 8; i++) {
        if (pipe(pipes[i])) return 1;
        if (fork() == 0) {
            uint64_t result[3] = {0};
            result[0] = ((function)area)(i);
            for (int round = 0; round < 20; round++) result[1] += run(area, 100 * i + round, 100);
            result[2] = collatz(20000 + 1000 * i) + run(area, i, 2000);
            _exit(write(pipes[i][1], result, sizeof result) != sizeof result);
        }
    }
    for (int i = 0; i < 8; i++) {
        uint64_t result[3];
        if (read(pipes[i][0], result, sizeof result) != sizeof result) return 1;
        printf("child %d: %llu %llu %llu\n", i, (unsigned long long)result[0], (unsigned long long)result[1],
               (unsigned long long)result[2]);
    }
    int status, failed = 0;
    while (wait(&status) > 0) failed += status != 0;
    printf("failed: %d, parent: %llu\n", failed, (unsigned long long)run(area, 1, 3000));
    return 0;
}
