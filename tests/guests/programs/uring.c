// io_uring by hand: a request that does nothing and one that writes, and what comes of them.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    struct io_uring_params params = {0};
    int ring = syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0) {
        printf("no io_uring: %s\n", strerror(errno));
        return 0;
    }
    size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    char *submit = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *complete = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, params.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE,
                                        MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (submit == MAP_FAILED || complete == MAP_FAILED || entries == MAP_FAILED)
        return 1;
    int pipes[2];
    if (pipe(pipes))
        return 1;
    unsigned *tail = (unsigned *)(submit + params.sq_off.tail), *array = (unsigned *)(submit + params.sq_off.array);
    entries[0] = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = 1};
    entries[1] = (struct io_uring_sqe){.opcode = IORING_OP_WRITEV, .fd = pipes[1], .user_data = 2};
    struct { const void *base; size_t len; } part = {"hello\n", 6};
    entries[1].addr = (unsigned long)&part;
    entries[1].len = 1;
    array[0] = 0;
    array[1] = 1;
    __atomic_store_n(tail, 2, __ATOMIC_RELEASE);
    printf("entered %ld\n", syscall(SYS_io_uring_enter, ring, 2, 2, IORING_ENTER_GETEVENTS, NULL, 0));
    unsigned ready = __atomic_load_n((unsigned *)(complete + params.cq_off.tail), __ATOMIC_ACQUIRE);
    long results[3] = {-1, -1, -1};
    for (unsigned i = 0; i < ready; i++) {
        struct io_uring_cqe *cqe = (struct io_uring_cqe *)(complete + params.cq_off.cqes) + i;
        results[cqe->user_data] = cqe->res;
    }
    char text[8] = {0};
    long got = read(pipes[0], text, sizeof text - 1);
    printf("%u done: %ld %ld, read %ld %s", ready, results[1], results[2], got, text);
    return 0;
}
