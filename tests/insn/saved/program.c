// Runs the sequences that the test has put into this file (tests/insn/saved), each as often as it says there, and writes
// to stdout what came of them. The program's only argument is the most rounds of any.
//
// A round loads the registers from one of the sequence's states and runs it; memory stays from round to round, but is
// as at the beginning after a fault. A state that has faulted often is left out. What is in the registers after the first and the last round of each state is
// written as it is, the others are in a hash.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define STATES 8
// Signals take long.
#define MOST_FAULTS 100

#if defined(__x86_64__)
#define DATA 0x20100000ull
#define DATA_LEN 8192
#define VARIABLES 0x20180000ull
// Of sequences that are functions: no store reaches where they return to, so that they end.
#define CALLED_STACK 0x20188000ull
struct record {
    _Alignas(64) uint8_t fx[832];
    uint64_t gpr[16], code, eflags, status, unused[5];
};
_Static_assert(sizeof(struct record) == 1024, "the layout that the test writes");
#define out (*(struct record *)(VARIABLES + 4096))
#else
#define DATA 0x200000000000ull
#define DATA_LEN 16384
#define VARIABLES 0x210000000000ull
struct record {
    uint64_t x[31], sp, nzcv, fpcr, fpsr, code, status, memory;
    uint8_t v[32][16];
};
_Static_assert(sizeof(struct record) == 816, "the layout that the test writes");
extern struct record outrec;
#define out outrec
#endif

// What sequences use besides their data; x22 to x28 are as at the beginning in each round of an inner loop.
struct variables {
    uint64_t counter, tag, returns, other, x22[7];
};
#define variables (*(volatile struct variables *)VARIABLES)

struct sequence {
    uint64_t code, rounds, inner, data, eflags, fsw;
    struct record states[STATES];
};
struct cases {
    uint64_t count, unused[7];
    uint8_t data[4][DATA_LEN];
    struct sequence sequences[CAPACITY];
};
struct result {
    uint64_t hash, memory, faults, unused[5];
    struct record first[STATES], last[STATES];
};

extern const struct cases cases;
extern void run_one(const struct record *);
extern char faulted[];

static const struct sequence *running;
static struct result result;
static char signal_stack[65536];

static uint64_t mixed(uint64_t hash, uint64_t word) { return (hash ^ word) * 0x9e3779b97f4a7c15ull + (hash >> 29); }

static uint64_t hash_of(uint64_t hash, const void *from, size_t bytes) {
    const uint64_t *words = from;
    for (size_t i = 0; i < bytes / 8; i++)
        hash = mixed(hash, words[i]);
    return hash;
}

#if defined(__x86_64__)
static const int gregs[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void on_signal(int number, siginfo_t *info, void *context) {
    mcontext_t *mc = &((ucontext_t *)context)->uc_mcontext;
    memcpy(out.fx, mc->fpregs, sizeof out.fx);
    for (int i = 0; i < 16; i++)
        out.gpr[i] = mc->gregs[gregs[i]];
    out.code = mc->gregs[REG_RIP];
    out.eflags = mc->gregs[REG_EFL];
    out.status = number;
    mc->gregs[REG_RIP] = (long)faulted;
    mc->gregs[REG_EFL] = 0x202;
}

static int has_faulted(void) { return out.status != 0; }

static void begin(void) { out.status = 0; }

// Leaves out what the sequence leaves undefined.
static void settle(void) {
    uint16_t fsw;
    memcpy(&fsw, out.fx + 2, 2);
    fsw &= running->fsw;
    memcpy(out.fx + 2, &fsw, 2);
    out.eflags &= running->eflags;
}

// All but the last x87 instruction and its operand, and what is reserved.
static uint64_t hash_of_registers(uint64_t hash) {
    uint64_t *words = (uint64_t *)out.fx;
    hash = mixed(hash, words[0] & 0xffffffffff);
    hash = mixed(hash, words[3] & 0xffffffff);
    for (int i = 0; i < 8; i++)
        hash = mixed(mixed(hash, words[4 + 2 * i]), words[5 + 2 * i] & 0xffff);
    hash = hash_of(hash, out.fx + 160, 256);
    hash = hash_of(hash, out.fx + 576, 256);
    return mixed(hash_of(hash, out.gpr, sizeof out.gpr), out.eflags);
}
#else
static void on_signal(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    uint64_t place = uc->uc_mcontext.pc - running->code;
    out.status = 100 + number + (place << 8);
    uc->uc_mcontext.pc = (uint64_t)faulted;
}

static int has_faulted(void) { return out.status >= 100; }

static void begin(void) {}

static void settle(void) {}

static uint64_t hash_of_registers(uint64_t hash) { return hash_of(hash, &out, sizeof out); }
#endif

static void fill_data(void) { memcpy((void *)DATA, cases.data[running->data], DATA_LEN); }

static uint64_t faults[STATES];

static void run_round(int n) {
    const struct record *state = &running->states[n];
    variables.counter = running->inner;
#if defined(__aarch64__)
    for (int i = 0; i < 7; i++)
        variables.x22[i] = state->x[22 + i];
#endif
    begin();
    run_one(state);
    settle();
    if (has_faulted()) {
        // An access that faults may have stored a part; what it has left in registers is seen in the records.
        fill_data();
        faults[n]++;
        result.faults++;
        result.hash = mixed(result.hash, out.status);
#if defined(__x86_64__)
        result.hash = mixed(result.hash, out.code);
#endif
    } else {
        result.hash = hash_of_registers(result.hash);
    }
    result.hash = mixed(result.hash, variables.tag);
}

static void run(uint64_t limit) {
    memset(&result, 0, sizeof result);
    memset(faults, 0, sizeof faults);
    fill_data();
    uint64_t rounds = running->rounds < limit ? running->rounds : limit;
    for (uint64_t round = 0; round < rounds; round++) {
        int n = round % STATES;
        if (faults[n] >= MOST_FAULTS)
            continue;
        run_round(n);
        if (round < STATES)
            result.first[n] = out;
        if (round + STATES >= rounds)
            result.last[n] = out;
    }
    result.memory = hash_of(0, (void *)DATA, DATA_LEN);
}

static void write_all(const void *from, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(1, (const char *)from + done, size - done);
        if (n <= 0)
            _exit(1);
        done += n;
    }
}

static void map(uint64_t at, size_t size) {
    void *got = mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (got != (void *)at)
        _exit(2);
}

int main(int argc, char **argv) {
    uint64_t limit = argc > 1 ? strtoull(argv[1], NULL, 10) : ~0ull;
    map(DATA, DATA_LEN);
    map(VARIABLES, 8192);
#if defined(__x86_64__)
    map(CALLED_STACK, 4096);
    syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, DATA);
#endif
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int numbers[] = {SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE};
    for (int i = 0; i < 5; i++)
        sigaction(numbers[i], &action, NULL);
    for (uint64_t i = 0; i < cases.count; i++) {
        running = &cases.sequences[i];
        run(limit);
        write_all(&result, sizeof result);
    }
    return 0;
}
