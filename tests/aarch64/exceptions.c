/* What the kernel makes of instructions that it does not let pass, of bad addresses and of misaligned ones: the
   signal, its code, its address, the program counter, the fault's address, and the record of the syndrome. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile int seen, code;
static volatile uint64_t address, counter, fault_address, syndrome, tag;

static uint64_t syndrome_of(ucontext_t *uc) {
    uint8_t *at = uc->uc_mcontext.__reserved;
    for (;;) {
        struct _aarch64_ctx *head = (struct _aarch64_ctx *)at;
        if (!head->magic || !head->size)
            return 0;
        if (head->magic == ESR_MAGIC)
            return ((struct esr_context *)at)->esr;
        at += head->size;
    }
}

static void handler(int number, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    seen = number, code = info->si_code, address = (uint64_t)info->si_addr;
    counter = uc->uc_mcontext.pc, fault_address = uc->uc_mcontext.fault_address;
    syndrome = syndrome_of(uc);
    siglongjmp(back, 1);
}

static uint32_t *page;
static uint8_t *data;

/* Runs the word with x1 = `base`; x0, x2 to x7 are free. */
static void execute(uint32_t word, uint64_t base) {
    page[0] = word, page[1] = 0xd65f03c0;
    __builtin___clear_cache((char *)page, (char *)(page + 2));
    register uint64_t x1 __asm__("x1") = base;
    __asm__ volatile("mov x2, 0\n mov x3, 0\n mov x4, 0\n mov x5, 0\n mov x6, 0\n blr %1"
                     : "+r"(x1) : "r"(page)
                     : "x0", "x2", "x3", "x4", "x5", "x6", "x7", "x16", "x30", "v0", "v1", "memory", "cc");
}

static void show(const char *name, uint32_t word, uint64_t base) {
    seen = 0;
    if (!sigsetjmp(back, 1)) {
        execute(word, base);
        printf("%s: passes\n", name);
        return;
    }
    printf("%s: signal %d, code %d, at ", name, seen, code);
    if (address == (uint64_t)page)
        printf("the instruction");
    else
        printf("data%+lld", (long long)(address - (uint64_t)data));
    printf("%s, ", counter == (uint64_t)page ? "" : " (pc is elsewhere)");
    if (fault_address)
        printf("fault at data%+lld, ", (long long)(fault_address - (uint64_t)data));
    /* The level of a translation fault depends on what else is mapped. */
    uint64_t status = syndrome & 0x3f;
    printf("class %#x, write %d, status %#x\n", (int)(syndrome >> 26), (int)(syndrome >> 6 & 1),
           (int)(syndrome ? (status >= 4 && status <= 7 ? 4 : status >= 13 && status <= 15 ? 13 : status) : 0));
}

int main(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler, action.sa_flags = SA_SIGINFO;
    const int signals[] = {SIGILL, SIGTRAP, SIGBUS, SIGSEGV, SIGFPE, SIGSYS};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, 0);
    page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    data = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(data + 4096, 4096, PROT_READ);
    munmap(data + 2 * 4096, 4096);
    static const struct { const char *name; uint32_t word; } illegal[] = {
        {"udf 0", 0}, {"udf 0xffff", 0xffff}, {"brk 0", 0xd4200000}, {"brk 1", 0xd4200020}, {"brk 0xffff", 0xd43fffe0},
        {"hlt", 0xd4400000}, {"hvc", 0xd4000002}, {"smc", 0xd4000003}, {"dcps1", 0xd4a00001}, {"eret", 0xd69f03e0},
        {"msr daifset", 0xd50342df}, {"mrs cntpct", 0xd53be020}, {"mrs pmccntr", 0xd53b9d00},
        {"mrs sctlr_el1", 0xd5381000}, {"mrs currentel", 0xd5384240}, {"msr ttbr0_el1", 0xd5182000},
        {"msr ctr_el0", 0xd51b0020}, {"msr tpidrro", 0xd51bd060}, {"msr cntvct", 0xd51be040},
        {"ic iallu", 0xd508751f}, {"dc ivac", 0xd5087621}, {"dc isw", 0xd5087641}, {"tlbi", 0xd508871f},
        {"at", 0xd5087801}, {"ldg", 0xd9600020}, {"irg", 0x9ac01020}, {"stg", 0xd9200821}, {"dc gva", 0xd50b7461},
        {"mrs tco", 0xd53b42e0}, {"tstart", 0xd5233060}, {"tcommit", 0xd503307f}, {"ld64b", 0xf83fd020},
        {"st64b", 0xf83f9020}, {"gcspushm", 0xd50b7701}, {"gcsss1", 0xd50b7741}, {"mrs gcspr", 0xd53b2520},
        {"cntd (sve)", 0x04e0e3e0}, {"rdvl", 0x04bf5020}, {"mrs svcr", 0xd53b4240}, {"smstart", 0xd503477f},
        {"mrs tpidr2", 0xd53bd0a0}, {"mrs fpmr", 0xd53b4440},
        {"chkfeat", 0xd503251f}, {"gcsb", 0xd503227f}, {"psb csync", 0xd503223f}, {"tsb csync", 0xd503225f},
        {"esb", 0xd503221f}, {"dgh", 0xd50320df}, {"clrbhb", 0xd50322df}, {"hint 127", 0xd5032fff}, {"wfe", 0xd503205f},
        {"wfi", 0xd503207f}, {"yield", 0xd503203f}, {"sev", 0xd503209f}, {"sevl", 0xd50320bf}, {"csdb", 0xd503229f},
        {"ssbb", 0xd503309f}, {"pssbb", 0xd503349f},
    };
    for (unsigned i = 0; i < sizeof illegal / sizeof *illegal; i++)
        show(illegal[i].name, illegal[i].word, (uint64_t)data);
    static const struct { const char *name; uint32_t word; } aligned[] = {
        {"ldxr", 0xc85f7c20}, {"ldxrh", 0x485f7c20}, {"ldaxr w", 0x885ffc20}, {"stxr", 0xc8027c20},
        {"stlxr w", 0x8802fc20}, {"ldxp", 0xc87f0c20}, {"ldxp w", 0x887f0c20}, {"stxp", 0xc8220c20},
        {"stlxp w", 0x88228c20}, {"ldar", 0xc8dffc20}, {"ldarh", 0x48dffc20}, {"stlr", 0xc89ffc20},
        {"ldapr", 0xf8bfc020}, {"ldapur", 0xd9400020}, {"stlur", 0xd9000020}, {"cas", 0xc8a27c20},
        {"casalh", 0x48e2fc20}, {"casp", 0x48227c24}, {"casp w", 0x08227c24}, {"ldadd", 0xf8220020},
        {"swpal w", 0xb8e28020}, {"ldumaxh", 0x78226020}, {"stlur+1", 0xd9001020},
    };
    /* Within 16 bytes, over 16 bytes. */
    for (int place = 1; place < 16; place += 10)
        for (unsigned i = 0; i < sizeof aligned / sizeof *aligned; i++) {
            char name[40];
            snprintf(name, sizeof name, "%s at %d", aligned[i].name, place);
            show(name, aligned[i].word, (uint64_t)data + place);
        }
    show("ldxrb at 1", 0x085f7c20, (uint64_t)data + 1);
    show("load of nothing", 0xf9400020, (uint64_t)data + 8192);
    show("store to nothing", 0xf9000020, (uint64_t)data + 8192);
    show("store to read-only, not touched before", 0xf9000020, (uint64_t)data + 4096);
    show("ldadd of read-only, not touched before", 0xf8220020, (uint64_t)data + 4096);
    show("load of read-only", 0xf9400020, (uint64_t)data + 4096);
    show("store to read-only", 0xf9000020, (uint64_t)data + 4096);
    show("load of a pair over the end", 0xa9400020, (uint64_t)data + 8192 - 8);
    show("load of a vector over the end", 0x3dc00020, (uint64_t)data + 8192 - 8);
    show("stxr to read-only without a load", 0xc8027c20, (uint64_t)data + 4096);
    show("ldxp of read-only", 0xc87f0c20, (uint64_t)data + 4096);
    show("ldaxp of read-only", 0xc87f8c20, (uint64_t)data + 4096);
    show("ldar of read-only", 0xc8dffc20, (uint64_t)data + 4096);
    show("cas of read-only", 0xc8a27c20, (uint64_t)data + 4096);
    show("casp of read-only", 0x48227c24, (uint64_t)data + 4096);
    show("ldadd of read-only", 0xf8220020, (uint64_t)data + 4096);
    show("ldset of nothing", 0xf8223020, (uint64_t)data + 8192);
    show("dc cvac of read-only", 0xd50b7a21, (uint64_t)data + 4096);
    show("dc cvau of nothing", 0xd50b7b21, (uint64_t)data + 8192);
    show("dc civac of nothing", 0xd50b7e21, (uint64_t)data + 8192);
    show("dc zva of read-only", 0xd50b7421, (uint64_t)data + 4096 + 70);
    show("dc zva of nothing", 0xd50b7421, (uint64_t)data + 8192 + 70);
    show("ic ivau of data", 0xd50b7521, (uint64_t)data);
    show("prfm of nothing", 0xf9800020, (uint64_t)data + 8192);
    mprotect(data + 4096, 4096, PROT_NONE);
    show("load of a page without access", 0xf9400020, (uint64_t)data + 4096);
    /* Beyond what user space can have, and the kernel's half. */
    static const uint64_t bad[] = {1ull << 47, 1ull << 48, 1ull << 52, 1ull << 55, 0xffff000000000000, 0xfffffffffffffff0};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        data = (uint8_t *)bad[i];
        char name[60];
        snprintf(name, sizeof name, "load of %#llx", (unsigned long long)bad[i]);
        show(name, 0xf9400020, bad[i]);
        snprintf(name, sizeof name, "store to %#llx", (unsigned long long)bad[i]);
        show(name, 0xf9000020, bad[i]);
        snprintf(name, sizeof name, "ldadd of %#llx", (unsigned long long)bad[i]);
        show(name, 0xf8220020, bad[i]);
    }
    /* A jump to what is not aligned. */
    if (!sigsetjmp(back, 1))
        __asm__ volatile("blr %0" ::"r"((char *)page + 2) : "x30");
    printf("misaligned jump: signal %d, code %d, address +%d, pc +%d, class %#x\n", seen, code,
           (int)(address - (uint64_t)page), (int)(counter - (uint64_t)page), (int)(syndrome >> 26));
    /* A jump to nothing, and to what may not be executed. */
    uint64_t jumps[] = {0x123456788, (uint64_t)&seen & ~3ull};
    for (int i = 0; i < 2; i++) {
        if (!sigsetjmp(back, 1))
            __asm__ volatile("blr %0" ::"r"(jumps[i]) : "x30");
        printf("jump: signal %d, code %d, address %d, pc %d, fault %d, class %#x\n", seen, code, address == jumps[i],
               counter == jumps[i], fault_address == jumps[i], (int)(syndrome >> 26));
    }
    return 0;
}
