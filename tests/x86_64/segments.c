// Selectors as Linux hands them out: what may be asked about them, loaded, and gone to.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile int code;
static volatile long vector, error;
static void on_signal(int signal, siginfo_t *info, void *context) {
    code = info->si_code;
    vector = ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
    error = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    siglongjmp(back, signal);
}

static void describe(unsigned selector) {
    uint64_t rights = -1, limit = -1, narrow = -1;
    unsigned char has_rights, has_limit, readable, writable;
    __asm__("lar %k4, %k0\n\tsetz %1\n\tlsl %k4, %k2\n\tsetz %3"
            : "+r"(rights), "=q"(has_rights), "+r"(limit), "=q"(has_limit)
            : "r"(selector)
            : "cc");
    __asm__("lar %w1, %w0" : "+r"(narrow) : "r"(selector) : "cc");
    __asm__("verr %w2\n\tsetz %0\n\tverw %w2\n\tsetz %1"
            : "=q"(readable), "=q"(writable)
            : "r"(selector)
            : "cc");
    // The limit of this one is the number of the processor.
    if (selector >> 3 == 15) limit = 0;
    printf("%x: lar %d %lx %lx, lsl %d %lx, verr %d, verw %d\n", selector, has_rights, rights, narrow, has_limit,
           limit, readable, writable);
}

#define ATTEMPT(what)                                                                                      \
    for (int caught = sigsetjmp(back, 1), once = 1; once; once = 0)                                        \
        if (caught)                                                                                        \
            printf("%s: signal %d, code %d, vector %ld, error %lx\n", #what, caught, code, vector, error);                                       \
        else

static uint16_t get_gs(void) {
    uint16_t value;
    __asm__("mov %%gs, %0" : "=r"(value));
    return value;
}

static void loads(void) {
    for (unsigned selector = 0; selector < 0x40; selector++) {
        struct {
            uint32_t offset;
            uint16_t selector;
        } __attribute__((packed)) far = {0x9abcdef0, selector};
        uint64_t got = 7;
        // Only those that every kernel has, without thread-local ones.
        if (selector > 3 && (selector < 0x20 || selector > 0x33)) continue;
        ATTEMPT(mov gs) {
            __asm__ volatile("mov %0, %%gs" : : "r"(selector));
            printf("gs %x\n", get_gs());
        }
        ATTEMPT(lgs) {
            __asm__ volatile("lgs %1, %k0" : "+r"(got) : "m"(far));
            printf("lgs %x %lx\n", selector, got);
        }
        ATTEMPT(mov ss) {
            __asm__ volatile("mov %0, %%ss" : : "r"(selector));
            printf("ss %x\n", selector);
        }
        ATTEMPT(pop gs) {
            __asm__ volatile("push %0\n\tpop %%gs" : : "r"((uint64_t)selector));
            printf("popped gs %x\n", selector);
        }
        __asm__ volatile("mov %0, %%gs" : : "r"(0));
    }
    printf("gs is %x\n", get_gs());
}

// Data segments keep the selector that they were given.
static void kept(void) {
    uint16_t ds, es;
    uint64_t pushed, moved;
    for (unsigned selector = 0; selector < 0x30; selector = selector < 3 ? selector + 1 : selector + 0x28) {
        __asm__ volatile("mov %2, %%ds\n\tmov %%ds, %0\n\tmov %2, %%es\n\tmov %%es, %1"
                         : "=&r"(ds), "=&r"(es)
                         : "r"(selector));
        printf("ds %x, es %x\n", ds, es);
        __asm__ volatile("mov %2, %%gs\n\tpush %%gs\n\tpop %0\n\tmov %%gs, %k1"
                         : "=&r"(pushed), "=&r"(moved)
                         : "r"(selector));
        printf("gs %lx %lx\n", pushed, moved);
    }
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%gs" : : "r"(0));
}

// Far transfers to what is no code of ours.
static void refused(void) {
    static const uint16_t selectors[] = {0, 3, 4, 0x10, 0x23, 0x2b, 0x31, 0x37, 0x73, 0x7b, 0x1234, 0xffff};
    for (unsigned i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        uint64_t selector = selectors[i];
        struct {
            uint32_t offset;
            uint16_t selector;
        } __attribute__((packed)) far = {0x1000, selector};
        printf("%lx:\n", selector);
        // What runs as 32-bit code natively is not for us.
        if (selector != 0x23) {
            ATTEMPT(ljmp) __asm__ volatile("ljmpl *%0" : : "m"(far));
            ATTEMPT(lcall) __asm__ volatile("lcalll *%0" : : "m"(far));
            ATTEMPT(lretq) __asm__ volatile("push %0\n\tpush $0x1000\n\tlretq" : : "r"(selector));
            ATTEMPT(iretq)
            __asm__ volatile("mov %%rsp, %%rax\n\tpush $0x2b\n\tpush %%rax\n\tpushfq\n\tpush %0\n\tpush $0x1000\n\tiretq"
                             :
                             : "r"(selector)
                             : "rax");
        }
        if (selector == 0x2b) continue;
        ATTEMPT(iretq stack)
        __asm__ volatile("mov %%rsp, %%rax\n\tpush %0\n\tpush %%rax\n\tpushfq\n\tpush $0x33\n\tpush $0x1000\n\tiretq"
                         :
                         : "r"(selector)
                         : "rax");
        if (selector == 0x23) continue;
        ATTEMPT(mov gs) __asm__ volatile("mov %0, %%gs" : : "m"(far.selector));
        ATTEMPT(lss) __asm__ volatile("lss %0, %%eax" : : "m"(far) : "rax");
    }
    __asm__ volatile("mov %0, %%gs" : : "r"(0));
}

// Far jumps, calls and returns of each width, to the next instruction. Code and stack lie low.
static void transfers(char *low_stack, int tell) {
    uint64_t rsp = (uint64_t)low_stack, flags = 0;
    for (int carry = 0; carry < 2; carry++) {
        uint64_t popped = 0x202 | carry;
        __asm__ volatile(
            "mov %%rsp, %%r15\n\tmov %[low], %%rsp\n\t"
            "sub $20, %%rsp\n\tmovl $1f, (%%rsp)\n\tmovl $0x33, 4(%%rsp)\n\tmovl %k[popped], 8(%%rsp)\n\t"
            "movl %k[low], 12(%%rsp)\n\tmovl $0x2b, 16(%%rsp)\n\tiretl\n"
            "1: pushfq\n\tpop %[flags]\n\tmov %%rsp, %[rsp]\n\tmov %%r15, %%rsp"
            : [flags] "=&r"(flags), [rsp] "=&r"(rsp)
            : [low] "r"((uint64_t)low_stack), [popped] "r"(popped)
            : "r15", "memory", "cc");
        if (tell) printf("iretl: flags %lx, rsp %s\n", flags & 0xcd5, rsp == (uint64_t)low_stack ? "as popped" : "wrong");
    }
    int steps = 0;
    __asm__ volatile(
        "mov %%rsp, %%r15\n\tmov %[low], %%rsp\n\t"
        "push $0x33\n\tpush $1f\n\tlretq\n1: inc %[steps]\n\t"
        "sub $8, %%rsp\n\tmovl $2f, (%%rsp)\n\tmovl $0x33, 4(%%rsp)\n\tlretl\n2: inc %[steps]\n\t"
        "sub $16, %%rsp\n\tmovl $3f, (%%rsp)\n\tmovw $0x33, 4(%%rsp)\n\tljmpl *(%%rsp)\n3: inc %[steps]\n\t"
        "movl $4f, (%%rsp)\n\tmovw $0x33, 4(%%rsp)\n\tlcalll *(%%rsp)\n4: inc %[steps]\n\t"
        "lea 5f(%%rip), %%r14\n\tmov %%r14, (%%rsp)\n\tmovq $0x33, 8(%%rsp)\n\tlretq $24\n5: inc %[steps]\n\t"
        "sub %%rsp, %[low]\n\tmov %%r15, %%rsp"
        : [steps] "+r"(steps), [low] "+r"(low_stack)
        :
        : "r14", "r15", "memory", "cc");
    if (tell) printf("%d transfers, %ld bytes left\n", steps, (long)low_stack);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
    // Thread-local segments are empty, and what lies between differs between kernels.
    for (unsigned selector = 0; selector < 0x100; selector++)
        if (selector < 4 || (selector >= 0x20 && selector < 0x34) || selector >> 3 == 15 || selector == 0x2f)
            describe(selector);
    loads();
    kept();
    refused();
    char *low = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    for (int i = 0; i < 300; i++) transfers(low + 32768, i == 0 || i == 299);
    return 0;
}
