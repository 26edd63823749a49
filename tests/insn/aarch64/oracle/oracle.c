// Runs instructions for tests/insn_aarch64.rs: reads groups from stdin, each a piece of code and states to run it
// from, and writes the states after to stdout. A signal ends a run: status 100 + its number, with the place of the
// instruction (in words from the start) above bit 8.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define LONGEST 64

struct group {
    uint32_t words, states, touches_memory, unused, code[LONGEST];
};
struct record {
    uint64_t x[31], sp, nzcv, fpcr, fpsr, word, status, memory;
    uint8_t v[32][16];
};
_Static_assert(sizeof(struct record) == 816, "the layout that the test writes");

extern void run_one(struct record *);
extern uint32_t patch[], exits[];
extern char faulted[];
extern struct record outrec;

#define DATA 0x200000000000ull
#define WORDS 2048

static uint64_t pattern[WORDS];
static char signal_stack[65536];

static void on_signal(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    uint64_t place = (uc->uc_mcontext.pc - (uint64_t)patch) / 4 & 0xff;
    outrec.status = 100 + number + (place << 8);
    uc->uc_mcontext.pc = (uint64_t)faulted;
}

static void set_up(void) {
    uint64_t s = 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < WORDS; i++) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        pattern[i] = s;
    }
    mmap((void *)DATA, 8 * WORDS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    mprotect((void *)((uint64_t)run_one & ~4095ull), 3 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int numbers[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE};
    for (int i = 0; i < 5; i++)
        sigaction(numbers[i], &action, NULL);
}

static char in_buffer[1 << 18], out_buffer[1 << 18];
static size_t in_at, in_end, out_at;

static void flush(void) {
    for (size_t done = 0; done < out_at;) {
        ssize_t n = write(1, out_buffer + done, out_at - done);
        if (n <= 0)
            _exit(1);
        done += n;
    }
    out_at = 0;
}

static void take(void *to, size_t size) {
    while (size) {
        if (in_at == in_end) {
            flush();
            ssize_t n = read(0, in_buffer, sizeof in_buffer);
            if (n <= 0)
                _exit(n < 0);
            in_at = 0, in_end = n;
        }
        size_t part = in_end - in_at < size ? in_end - in_at : size;
        memcpy(to, in_buffer + in_at, part);
        in_at += part, to = (char *)to + part, size -= part;
    }
}

static void give(const void *from, size_t size) {
    if (sizeof out_buffer - out_at < size)
        flush();
    memcpy(out_buffer + out_at, from, size);
    out_at += size;
}

// A branch at code[n] to exit number `number`.
static void put_exit(uint32_t n, int number) {
    patch[n] = 0x14000000 | ((uint32_t)(&exits[number] - &patch[n]) & 0x3ffffff);
}

int main(void) {
    struct group group;
    struct record record;
    set_up();
    for (;;) {
        take(&group, sizeof group);
        memcpy(patch, group.code, sizeof group.code);
        put_exit(group.words, 0);
        put_exit(group.words + 1, 1);
        __builtin___clear_cache((char *)patch, (char *)&patch[group.words + 2]);
        for (uint32_t i = 0; i < group.states; i++) {
            take(&record, sizeof record);
            if (group.touches_memory)
                memcpy((void *)DATA, pattern, sizeof pattern);
            run_one(&record);
            uint64_t hash = 0, *memory = (void *)DATA;
            if (group.touches_memory)
                for (int k = 0; k < WORDS; k++)
                    hash = hash * 0x100000001b3ull + memory[k];
            outrec.memory = hash;
            give(&outrec, sizeof outrec);
        }
    }
}
