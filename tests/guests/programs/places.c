// Mappings at the fixed addresses that programs of some size, sanitizers and runtimes take, in one process: nothing else may
// be there. This program itself lies at its link address, far below.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const struct { const char *who; unsigned long from, to; } places[] = {
    {"position-independent programs and their breaks", 0x555555554000, 0x5555d5554000},
    {"address sanitizer, shadow", 0x00007fff8000, 0x02008fff7000},
    {"address sanitizer, high shadow", 0x02008fff7000, 0x10007fff8000},
    {"address sanitizer, heap", 0x600000000000, 0x640000000000},
    {"address sanitizer, heap of newer ones", 0x500000000000, 0x540000000000},
    {"thread sanitizer, shadow", 0x010000000000, 0x200000000000},
    {"thread sanitizer, metadata", 0x300000000000, 0x400000000000},
    {"thread sanitizer, between program and heap", 0x568000000000, 0x7b0000000000},
    {"thread sanitizer, heap", 0x7b0000000000, 0x7c0000000000},
    {"thread sanitizer, behind the heap", 0x7d0000000000, 0x7e8000000000},
    {"Go, heap", 0x00c000000000, 0x00e000000000},
    {"Java, coloured heaps", 0x040000000000, 0x140000000000},
};

static void *thread(void *argument) {
    char *text = malloc(1 << 20);
    memset(text, 'x', 1 << 20);
    free(text);
    return argument;
}

int main(void) {
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        size_t size = places[i].to - places[i].from;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
        void *got = mmap((void *)places[i].from, size, PROT_NONE, flags, -1, 0);
        printf("%s: %d\n", places[i].who, got == (void *)places[i].from);
        fflush(stdout);
        pthread_t started;
        if (pthread_create(&started, NULL, thread, NULL) || pthread_join(started, NULL)) puts("no thread");
        if (got != MAP_FAILED) munmap(got, size);
    }
    return 0;
}
