/* Code that changes through another mapping of the same memory, announced by IC IVAU; and a loop over tagged
   addresses, whose faults still tell the tag. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile uint64_t address;
static void handler(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    address = (uint64_t)info->si_addr;
    siglongjmp(back, 1);
}

int main(void) {
    int fd = memfd_create("code", 0);
    if (ftruncate(fd, 4096))
        return 1;
    uint32_t *writable = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint32_t *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    long sum = 0, expected = 0;
    for (int i = 0; i < 300; i++) {
        writable[0] = 0xd2800000u | (uint32_t)i << 5, writable[1] = 0xd65f03c0;
        __builtin___clear_cache((char *)code, (char *)(code + 2));
        int calls = i % 50 ? 1 : 2000;
        for (int k = 0; k < calls; k++)
            sum += ((long (*)(void))code)();
        expected += (long)calls * i;
    }
    printf("through another mapping: %d\n", sum == expected);

    long *plain = calloc(1000, sizeof *plain), *tagged = (long *)((uint64_t)plain | 0x5aull << 56);
    for (int round = 0; round < 1000; round++)
        for (int i = 0; i < 1000; i++)
            tagged[i] += i;
    printf("tagged: %ld\n", plain[999]);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | 0x800};
    sigaction(SIGSEGV, &action, 0);
    char *gap = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gap + 4096, 4096);
    for (int i = 0; i < 3; i++)
        if (!sigsetjmp(back, 1))
            ((volatile char *)((uint64_t)gap | 0x7bull << 56))[4096 + i] = 1;
    printf("fault: %d\n", address == ((uint64_t)(gap + 4098) | 0x7bull << 56));
    if (!sigsetjmp(back, 1))
        ((volatile char *)gap)[4096] = 1;
    printf("without a tag: %d\n", address == (uint64_t)gap + 4096);
    return 0;
}
