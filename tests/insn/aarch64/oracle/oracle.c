// Runs single instructions for tests/insn_aarch64.rs: reads records from one file, writes what came of
// them to another. A signal ends an instruction with status 100 + its number.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

struct record {
    uint64_t x[31], sp, nzcv, fpcr, fpsr, word, status, memory;
    uint8_t v[32][16];
};
_Static_assert(sizeof(struct record) == 816, "the layout that the test writes");

extern void run_one(struct record *);
extern uint32_t patch[];
extern char faulted[];
extern struct record outrec;

#define DATA 0x200000000000ull
#define WORDS 2048

static uint64_t pattern[WORDS];
static char signal_stack[65536];

static void on_signal(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    outrec.status = 100 + number;
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

int main(int argc, char **argv) {
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    struct record record;
    set_up();
    while (fread(&record, sizeof record, 1, in) == 1) {
        memcpy((void *)DATA, pattern, sizeof pattern);
        *(volatile uint32_t *)patch = (uint32_t)record.word;
        __builtin___clear_cache((char *)patch, (char *)patch + 4);
        run_one(&record);
        uint64_t hash = 0, *memory = (void *)DATA;
        for (int i = 0; i < WORDS; i++)
            hash = hash * 0x100000001b3ull + memory[i];
        outrec.word = record.word;
        outrec.memory = hash;
        fwrite(&outrec, sizeof outrec, 1, out);
    }
    return fclose(out);
}
