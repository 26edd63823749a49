// Code that changes under whoever runs it: written through another mapping of the same memory, by the kernel, by another
// thread, and by the instruction before.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef long (*function)(void);

#if defined(__x86_64__)
enum { SIZE = 6 };
#else
enum { SIZE = 8 };
#endif

// "return value" as machine code.
static void make(uint8_t *at, uint16_t value) {
#if defined(__x86_64__)
    uint8_t code[SIZE] = {0xb8, value & 0xff, value >> 8, 0, 0, 0xc3};
#else
    uint32_t code[] = {0xd2800000u | (uint32_t)value << 5, 0xd65f03c0u};
#endif
    memcpy(at, code, SIZE);
}

static void clear(void *at) { __builtin___clear_cache((char *)at, (char *)at + 64); }

static long call(void *at) { return ((function)at)(); }

// Runs the code often enough to be compiled by whatever compiles.
static long heat(void *at) {
    long sum = 0;
    for (int i = 0; i < 3000; i++) sum += call(at);
    return sum;
}

// By an asynchronous request.
static long aio(int fd, void *from, long offset) {
    aio_context_t queue = 0;
    struct io_event event = {0};
    struct iocb request = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd, .aio_buf = (uintptr_t)from,
                           .aio_nbytes = SIZE, .aio_offset = offset}, *requests[] = {&request};
    syscall(SYS_io_setup, 1, &queue);
    syscall(SYS_io_submit, queue, 1, requests);
    syscall(SYS_io_getevents, queue, 1, 1, &event, NULL);
    syscall(SYS_io_destroy, queue);
    return event.res;
}

static void *map(int fd, int prot, int flags) {
    void *at = mmap(NULL, 8192, prot, flags, fd, 0);
    if (at == MAP_FAILED) perror("mmap");
    return at;
}

// Written at `from`, run at `run`, by several ways of writing. `cleared` is where the instruction cache is invalidated.
static void through(const char *what, uint8_t *from, uint8_t *run, void *cleared) {
    long sum = 0;
    for (int i = 0; i < 25; i++) {
        make(from + 128, i);
        clear(cleared);
        sum += call(run + 128);
    }
    sum += heat(run + 128);
    make(from + 128, 5);
    clear(cleared);
    printf("%s: stores %ld, hot %ld", what, sum, call(run + 128));

    int pipes[2], sockets[2];
    uint8_t code[SIZE];
    if (pipe(pipes) || socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets)) return;
    for (sum = 0, *code = 0; sum < 40; sum += call(run + 128)) {
        make(code, *code = (sum + 1) % 7 + 1);
        if (write(pipes[1], code, SIZE) != SIZE || read(pipes[0], from + 128, SIZE) != SIZE) return;
        clear(cleared);
    }
    printf(", read %ld", sum);
    for (sum = 0; sum < 40; sum += call(run + 128)) {
        make(code, sum % 11 + 1);
        struct iovec parts[] = {{from + 128, 3}, {from + 131, SIZE - 3}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        if (send(sockets[1], code, SIZE, 0) != SIZE || recvmsg(sockets[0], &message, 0) != SIZE) return;
        clear(cleared);
    }
    printf(", datagrams %ld\n", sum);
    for (int i = 0; i < 2; i++) close(pipes[i]), close(sockets[i]);
}

static void two_mappings(void) {
    int fd = memfd_create("code", 0);
    if (fd < 0 || ftruncate(fd, 8192)) return;
    uint8_t *both = map(fd, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED);
    through("one mapping", both, both, both + 128);
    uint8_t *run = map(fd, PROT_READ | PROT_EXEC, MAP_SHARED);
    through("another mapping, made later", both, run, run + 128);
    munmap(both, 8192);
    uint8_t *write = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    through("one to write, one to run", write, run, run + 128);
    through("invalidated where it was written", write, run, write + 128);

    // Two that run, one of them hot when the other is called first.
    uint8_t *again = map(fd, PROT_READ | PROT_EXEC, MAP_SHARED);
    make(write + 128, 21);
    clear(run + 128);
    long sum = heat(run + 128) + call(again + 128);
    make(write + 128, 22);
    clear(run + 128), clear(again + 128);
    printf("two to run: %ld %ld %ld\n", sum, call(run + 128), call(again + 128));

    // The mapping to write becomes writable after the code was hot, and moves.
    uint8_t *late = map(fd, PROT_READ, MAP_SHARED);
    heat(run + 128);
    mprotect(late, 8192, PROT_READ | PROT_WRITE);
    make(late + 128, 23);
    clear(run + 128);
    printf("writable later: %ld", call(run + 128));
    heat(run + 128);
    late = mremap(late, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, write);
    make(late + 128, 24);
    clear(run + 128);
    printf(", moved: %ld", call(run + 128));
    // The page to run is replaced by the second of the file.
    make(late + 4096 + 128, 25);
    heat(run + 128);
    mmap(run, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 4096);
    printf(", another page: %ld\n", call(run + 128));
    munmap(run, 8192), munmap(again, 8192), munmap(late, 8192);
    close(fd);
}

// Put into a file that is mapped to be run, by the calls that write to files.
static void file_calls(void) {
    char name[] = "/tmp/rewritten-XXXXXX", source[] = "/tmp/rewritten-XXXXXX";
    int fd = mkstemp(name), other = mkstemp(source), pipes[2];
    unlink(name), unlink(source);
    if (fd < 0 || other < 0 || pipe(pipes) || ftruncate(fd, 8192)) return;
    uint8_t *run = map(fd, PROT_READ | PROT_EXEC, MAP_SHARED);
    printf("into the file:");
    for (int way = 0; way < 9; way++) {
        uint8_t code[4096] = {0};
        make(code, 40 + way);
        struct iovec parts[] = {{code, 3}, {code + 3, SIZE - 3}};
        long done = -1;
        loff_t to = 128;
        off_t from = 0;
        if (pwrite(other, code, SIZE, 0) != SIZE || lseek(fd, 128, SEEK_SET) != 128) return;
        switch (way) {
        case 0: done = write(fd, code, SIZE); break;
        case 1: done = pwrite(fd, code, SIZE, 128); break;
        case 2: done = writev(fd, parts, 2); break;
        case 3: done = pwritev(fd, parts, 2, 128); break;
        case 4: done = sendfile(fd, other, &from, SIZE); break;
        case 5: done = write(pipes[1], code, SIZE) + splice(pipes[0], NULL, fd, &to, SIZE, 0); break;
        case 6: from = 0, done = syscall(SYS_copy_file_range, other, &from, fd, &to, SIZE, 0); break;
        case 7: done = aio(fd, code, 128); break;
        case 8: done = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) + pwrite(fd, code, SIZE, 128); break;
        }
        clear(run + 128);
        printf(" %ld:%ld", done / SIZE, heat(run + 128) / 3000);
    }
    // Its end goes, and comes back with zeros.
    if (ftruncate(fd, 0) || ftruncate(fd, 8192)) return;
    clear(run + 128);
    fflush(stdout);
    pid_t child = fork();
    if (!child) _exit(call(run + 128) == 48);
    int status;
    waitpid(child, &status, 0);
    printf(", cut off: %d\n", WIFSIGNALED(status));
    munmap(run, 8192), close(fd), close(other);
}

static void segment(void) {
    int id = shmget(IPC_PRIVATE, 8192, 0700);
    uint8_t *write = shmat(id, NULL, 0), *run = shmat(id, NULL, SHM_EXEC | SHM_RDONLY);
    shmctl(id, IPC_RMID, NULL);
    through("a segment attached twice", write, run, run + 128);
    shmdt(write), shmdt(run);
}

// The next instruction is changed by the one before it.
static void next_instruction(void) {
    uint8_t *area = map(-1, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
#if defined(__x86_64__)
    // mov byte [rip + 1], dil; mov eax, 0; ret
    uint8_t code[] = {0x40, 0x88, 0x3d, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xc3};
#else
    // lsl w0, w0, 5; movz w1, 0xd280, lsl 16; orr w0, w0, w1; adr x2, next; str w0, [x2]; dc cvau, x2; dsb ish; ic ivau, x2;
    // dsb ish; isb; next: movz x0, 0; ret
    uint32_t code[] = {0x531b6800u, 0x52ba5001u, 0x2a010000u, 0x100000e2u, 0xb9000040u, 0xd50b7b22u,
                       0xd5033b9fu, 0xd50b7522u, 0xd5033b9fu, 0xd5033fdfu, 0xd2800000u, 0xd65f03c0u};
#endif
    memcpy(area, code, sizeof code);
    clear(area);
    long sum = 0;
    for (int i = 0; i < 100; i++) sum += ((long (*)(int))area)(i & 127);
    printf("its own next instruction: %ld\n", sum);
    munmap(area, 8192);
}

static uint8_t *code;
static atomic_int wanted, done;

static void *run_what_is_written(void *unused) {
    (void)unused;
    long sum = 0;
    for (int i = 1; i <= 50; i++) {
        while (atomic_load(&wanted) != i) sched_yield();
#if defined(__aarch64__)
        __asm__ volatile("isb");
#endif
        sum += call(code + 128);
        atomic_store(&done, i);
    }
    return (void *)sum;
}

static void *spin(void *at) { return (void *)call(at); }

static void by_another_thread(void) {
    code = map(-1, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
    pthread_t thread;
    pthread_create(&thread, NULL, run_what_is_written, NULL);
    for (int i = 1; i <= 50; i++) {
        make(code + 128, i);
        clear(code + 128);
        atomic_store(&wanted, i);
        while (atomic_load(&done) != i) sched_yield();
    }
    void *sum;
    pthread_join(thread, &sum);
    printf("another thread's code: %ld\n", (long)sum);

    // A loop that ends when another thread overwrites its jump. It tells that it runs by counting.
    for (int round = 0; round < 6; round++) {
#if defined(__x86_64__)
        // mov eax, 7; 1: lock inc dword [rip + n]; jmp 1b -> ret
        uint8_t loop[] = {0xb8, 7, 0, 0, 0, 0xf0, 0xff, 0x05, 0xf4, 0, 0, 0, 0xeb, 0xf7};
        memcpy(code + 1024, loop, sizeof loop);
        int counter = 1024 + 12 + 0xf4, jump = 1024 + 12;
#else
        // movz x0, 7; adr x1, counter; 1: ldr w2, [x1]; add w2, w2, 1; str w2, [x1]; b 1b -> ret
        uint32_t loop[] = {0xd28000e0u, 0x100007e1u, 0xb9400022u, 0x11000442u, 0xb9000022u, 0x17fffffdu};
        memcpy(code + 1024, loop, sizeof loop);
        int counter = 1024 + 4 + 0xfc, jump = 1024 + 20;
#endif
        atomic_uint *count = (atomic_uint *)(code + counter);
        atomic_store(count, 0);
        clear(code + 1024);
        pthread_create(&thread, NULL, spin, code + 1024);
        while (atomic_load(count) < 1000u * round + 1) sched_yield();
#if defined(__x86_64__)
        atomic_store((_Atomic uint16_t *)(code + jump), 0x90c3);
#else
        atomic_store((_Atomic uint32_t *)(code + jump), 0xd65f03c0u);
        clear(code + jump);
#endif
        pthread_join(thread, &sum);
        if ((long)sum != 7) printf("round %d: %ld\n", round, (long)sum);
    }
    puts("loops ended by another thread");
    munmap(code, 8192);
}

int main(void) {
    two_mappings();
    file_calls();
    segment();
    next_instruction();
    by_another_thread();
    return 0;
}
