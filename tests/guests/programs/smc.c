// Code that is written, run, and written again; and a loop that patches itself.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

typedef long (*function)(void);

// "return value" as machine code.
static void emit(uint8_t *at, uint16_t value) {
#if defined(__x86_64__)
    uint8_t code[] = {0xb8, value & 0xff, value >> 8, 0, 0, 0xc3};
#else
    uint32_t code[] = {0xd2800000u | (uint32_t)value << 5, 0xd65f03c0u};
#endif
    memcpy(at, code, sizeof code);
    __builtin___clear_cache((char *)at, (char *)at + sizeof code);
}

// A function that counts its calls in a word 64 bytes behind its start.
static void emit_counter(uint8_t *at) {
#if defined(__x86_64__)
    // inc dword [rip + 58]; mov eax, [rip + 52]; ret
    uint8_t code[] = {0xff, 0x05, 58, 0, 0, 0, 0x8b, 0x05, 52, 0, 0, 0, 0xc3};
#else
    // adr x1, 64; ldr w0, [x1]; add w0, w0, 1; str w0, [x1]; ret
    uint32_t code[] = {0x10000201u, 0xb9400020u, 0x11000400u, 0xb9000020u, 0xd65f03c0u};
#endif
    memcpy(at, code, sizeof code);
    __builtin___clear_cache((char *)at, (char *)at + sizeof code);
}

int main(void) {
    uint8_t *area = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long sum = 0;
    for (int i = 0; i < 500; i++) {
        emit(area, i);
        sum += ((function)area)();
    }
    printf("rewritten: %ld\n", sum);
    for (int i = 0; i < 2000; i++)
        sum += ((function)area)();
    emit(area, 7);
    printf("hot, then rewritten: %ld\n", sum + ((function)area)());
    mprotect(area, 8192, PROT_READ | PROT_WRITE);
    emit(area, 11);
    mprotect(area, 8192, PROT_READ | PROT_EXEC);
    printf("toggled: %ld\n", ((function)area)());
    munmap(area, 8192);
    area = mmap(area, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    emit(area, 13);
    printf("mapped anew: %ld\n", ((function)area)());
    emit_counter(area);
    for (int i = 0; i < 99; i++)
        ((function)area)();
    printf("counted in its own page: %ld\n", ((function)area)());
    return 0;
}
