// Where the address space ends, given in hexadecimal: by default where that of an x86-64 kernel does.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum { PAGE = 4096, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS };
static uintptr_t top = 0x7ffffffff000;

static const char *end_of(void *result) {
    return result == MAP_FAILED ? strerrorname_np(errno) : (uintptr_t)result < top ? "below" : "above";
}

static const char *map(uintptr_t place, size_t size, int flags) {
    return end_of(mmap((void *)place, size, PROT_READ, PRIVATE | flags, -1, 0));
}

static const char *status(int result) { return result == 0 ? "done" : strerrorname_np(errno); }

int main(int count, char **arguments) {
    if (count > 1) top = strtoull(arguments[1], NULL, 16);
    printf("anywhere: %s\n", map(0, PAGE, 0));
    printf("hint at the top: %s\n", map(top, PAGE, 0));
    printf("hint across it: %s\n", map(top - PAGE, 2 * PAGE, 0));
    printf("fixed at the top: %s\n", map(top, PAGE, MAP_FIXED));
    printf("fixed across it: %s\n", map(top - PAGE, 2 * PAGE, MAP_FIXED));
    printf("fixed, not replacing: %s\n", map(top, PAGE, MAP_FIXED_NOREPLACE));
    printf("larger than all: %s\n", map(0, top, 0));
    char *page = mmap(NULL, PAGE, PROT_READ, PRIVATE, -1, 0);
    printf("moved to the top: %s\n", end_of(mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)top)));
    printf("grown: %s\n", end_of(mremap(page, PAGE, 64 * PAGE, MREMAP_MAYMOVE)));
    printf("unmapped: %s\n", status(munmap((void *)top, PAGE)));
    printf("protected: %s\n", status(mprotect((void *)top, PAGE, PROT_READ)));
    int segment = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
    printf("attached: %s\n", end_of(shmat(segment, (void *)top, 0)));
    shmctl(segment, IPC_RMID, NULL);
    printf("stack: %s\n", end_of(&count));
    printf("break: %s\n", end_of(sbrk(PAGE)));
    printf("break to the top: %s\n", status(brk((void *)top)));
    return 0;
}
