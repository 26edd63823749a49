// EFLAGS.AC: which accesses must be aligned to what, what the signal says, and how the flag comes and goes.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define AC 0x40000

static struct {
    int signal, code;
    long error, vector, flags, handler_flags;
    void *address;
} seen;
char *resume, *stack, *frame;
static int leave_set;
char data[4096] __attribute__((aligned(4096)));

// The handler starts with the flag as it was, so nothing may be done before it is cleared.
void handler(int, siginfo_t *, void *);
__asm__("handler: pushfq\n\tmov (%rsp), %rcx\n\tandl $~0x40000, (%rsp)\n\tpopfq\n\tjmp take");
void take(int signal, siginfo_t *info, void *where, long flags) {
    greg_t *regs = ((ucontext_t *)where)->uc_mcontext.gregs;
    seen.signal = signal, seen.code = info->si_code, seen.address = info->si_addr;
    seen.error = regs[REG_ERR], seen.vector = regs[REG_TRAPNO];
    seen.flags = regs[REG_EFL] & AC, seen.handler_flags = flags & AC;
    if (leave_set) {
        regs[REG_EFL] |= AC;
        return;
    }
    regs[REG_EFL] &= ~(long)(AC | 0x400);
    regs[REG_RIP] = (greg_t)resume, regs[REG_RSP] = (greg_t)stack;
}

#define SET "pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\t"
#define CLEAR "pushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq\n\t"
#define CLOBBERED \
    "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0", "xmm1", \
        "xmm2"

// Accesses at rdi, and rsi. What processors are free to check or not (16 bytes and more) is not among them; the last is
// repeated often enough to be compiled.
#define ACCESSES(X) \
    X(load8, "mov (%%rdi), %%al") \
    X(load16, "mov (%%rdi), %%ax") \
    X(load32, "mov (%%rdi), %%eax") \
    X(load64, "mov (%%rdi), %%rax") \
    X(store64, "mov %%rax, (%%rdi)") \
    X(indexed, "mov $1, %%ecx\n\tmov -8(%%rdi,%%rcx,8), %%rax") \
    X(narrow, "lea data+1024(%%rip), %%ecx\n\tsub %%ecx, %%edi\n\tmov %%fs:0x100(%%edi), %%eax") \
    X(modify, "addl $1, (%%rdi)") \
    X(atomic, "lock incq (%%rdi)") \
    X(exchange, "xchg %%ax, (%%rdi)") \
    X(cmpxchg8b, "cmpxchg8b (%%rdi)") \
    X(bit16, "mov $18, %%eax\n\tbt %%ax, (%%rdi)") \
    X(bit64, "mov $-70, %%rax\n\tbts %%rax, (%%rdi)") \
    X(cmov, "test %%rsp, %%rsp\n\tcmovz (%%rdi), %%rax") \
    X(address, "lea (%%rdi), %%rax\n\tnopl (%%rdi)\n\tprefetcht0 (%%rdi)\n\tclflush (%%rdi)") \
    X(push, "mov %%rdi, %%rsp\n\tpush %%rax\n\tmov %%r15, %%rsp") \
    X(push16, "mov %%rdi, %%rsp\n\tpush %%ax\n\tmov %%r15, %%rsp") \
    X(pop, "mov %%rdi, %%rsp\n\tpop %%rax\n\tmov %%r15, %%rsp") \
    X(push_memory, "push (%%rdi)") \
    X(call, "mov %%rdi, %%rsp\n\tcall 2f\n2:\tmov %%r15, %%rsp") \
    X(ret, CLEAR "mov %%rdi, %%rsp\n\tlea 2f(%%rip), %%rax\n\tmov %%rax, (%%rdi)\n\tmov %%r15, %%rsp\n\t" SET "mov %%rdi, %%rsp\n\tret\n2:\tmov %%r15, %%rsp") \
    X(enter, "mov %%rdi, %%rsp\n\tenter $16, $2\n\tmov %%r15, %%rsp") \
    X(leave, "mov %%rdi, %%rbp\n\tleave\n\tmov %%r15, %%rsp") \
    X(movsq, "lea data(%%rip), %%rdi\n\tmovsq") \
    X(stosd, "stosl") \
    X(rep_none, "xor %%ecx, %%ecx\n\trep stosq") \
    X(rep_some, "mov $2, %%ecx\n\trep stosq") \
    X(repe_cmpsw, "lea data(%%rip), %%rsi\n\tmov $3, %%ecx\n\trepe cmpsw") \
    X(rep_bytes, "mov $9, %%ecx\n\trep movsb") \
    X(movss, "movss (%%rdi), %%xmm0") \
    X(movhps, "movhps %%xmm0, (%%rdi)") \
    X(pmovzxbd, "pmovzxbd (%%rdi), %%xmm0") \
    X(pinsrw, "pinsrw $2, (%%rdi), %%xmm0") \
    X(mmx, "punpcklbw (%%rdi), %%mm0\n\tpaddb (%%rdi), %%mm0\n\temms") \
    X(ldmxcsr, "stmxcsr -8(%%rsp)\n\tstmxcsr (%%rdi)") \
    X(fld32, "flds (%%rdi)\n\tfstp %%st") \
    X(fld80, "fldt (%%rdi)\n\tfstp %%st") \
    X(fild16, "filds (%%rdi)\n\tfstp %%st") \
    X(fbstp, "fldz\n\tfbstp (%%rdi)\n\tfninit") \
    X(fnstcw, "fnstcw (%%rdi)") \
    X(fnstenv, "fnstenv (%%rdi)") \
    X(fnsave16, "data16 fnsave (%%rdi)") \
    X(selector, "mov %%ds, (%%rdi)") \
    X(by_iret, CLEAR "mov %%rsp, %%rax\n\tpush $0x2b\n\tpush %%rax\n\tpushfq\n\torl $0x40000, (%%rsp)\n\tpush $0x33\n\t" "lea 2f(%%rip), %%rax\n\tpush %%rax\n\tiretq\n2:\tmov (%%rdi), %%rax") \
    X(rounds, "mov $300000, %%ecx\n2:\tincq (%%rdi)\n\tdec %%ecx\n\tjnz 2b")

// Runs `text` at `at` (rdi and rsi) with the flag set.
#define FUNCTION(name, text) \
    static void name(char *at) { \
        char *source = at; \
        __asm__ volatile("lea 1f(%%rip), %%rax\n\tmov %%rax, resume(%%rip)\n\tmov %%rbp, frame(%%rip)\n\t" \
                         "sub $128, %%rsp\n\tmov %%rsp, stack(%%rip)\n\tmov %%rsp, %%r15\n\t" SET text "\n" \
                         "1:\tmov stack(%%rip), %%rsp\n\t" CLEAR "add $128, %%rsp\n\tmov frame(%%rip), %%rbp" \
                         : "+D"(at), "+S"(source) \
                         : \
                         : CLOBBERED); \
    }
ACCESSES(FUNCTION)

static const struct {
    const char *name;
    void (*run)(char *);
} accesses[] = {
#define ROW(name, text) {#name, name},
    ACCESSES(ROW)
};

static void tell(const char *what) {
    printf("%s: signal %d, code %d, vector %ld, error %ld, address %p, flag %lx, in handler %lx\n", what, seen.signal,
           seen.code, seen.vector, seen.error, seen.address, seen.flags, seen.handler_flags);
}

int main(void) {
    static char alternate[65536] __attribute__((aligned(64)));
    stack_t there = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&there, NULL);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int signals[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGUSR1};
    for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);

    for (unsigned i = 0; i < sizeof accesses / sizeof *accesses; i++) {
        char line[33] = {0};
        for (int at = 0; at < 32; at++) {
            memset(data, 0, sizeof data);
            memset(&seen, 0, sizeof seen);
            accesses[i].run(data + 1024 + at);
            line[at] = seen.signal == SIGBUS ? 'B' : seen.signal == SIGSEGV ? 'S' : seen.signal ? '?' : '.';
        }
        printf("%-14s %s\n", accesses[i].name, line);
    }
    memset(&seen, 0, sizeof seen);
    load64(data + 1025);
    tell("popf");
    memset(&seen, 0, sizeof seen);
    by_iret(data + 1025);
    tell("iret");
    // A handler that returns with the flag set.
    leave_set = 1;
    uint64_t flags = SYS_kill;
    __asm__ volatile("syscall\n\tpushfq\n\tpop %0\n\t" CLEAR
                     : "+a"(flags)
                     : "D"(getpid()), "S"(SIGUSR1)
                     : "rcx", "r11", "memory", "cc");
    printf("after sigreturn: %lx\n", flags & AC);
    return 0;
}
