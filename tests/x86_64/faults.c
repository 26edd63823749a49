// What signal each kind of fault or trap becomes, with its code, its address and the trap's number.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

enum { CODE = 0x10000000, DATA = 0x10010000, READ_ONLY = 0x10020000, NOTHING = 0x10030000 };

static sigjmp_buf back;

static void on_signal(int signal, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long long moved = r[REG_R15] - r[REG_RSP];
    if (moved < 0 || moved > 4096) moved = -1;  // somewhere else
    uint64_t address = (uint64_t)info->si_addr;
    printf("signal %d code %d addr %s%lx rip %llx trap %lld", signal, info->si_code,
           address >= CODE && address < DATA ? "code+" : "",
           address >= CODE && address < DATA ? address - CODE : address, r[REG_RIP] - CODE, r[REG_TRAPNO]);
    printf(" rsp %lld err %llx cr2 %llx RF %lld\n", moved, r[REG_ERR], r[REG_TRAPNO] == 14 ? r[REG_CR2] : 0, r[REG_EFL] >> 16 & 1);
    siglongjmp(back, 1);
}

struct attempt {
    const char *name, *bytes;
};

// rbx points to data, rsi to memory that can only be read, rdi to none, r8 to an address that is not canonical,
// rbp is 1 beyond data; rcx and rdx are 0.
static const struct attempt attempts[] = {
    {"ud2", "0f 0b"},
    {"ud1", "0f b9 c0"},
    {"ud0", "0f ff c0"},
    {"int3", "cc"},
    {"int 3", "cd 03"},
    {"int1", "f1"},
    {"int 4", "cd 04"},
    {"int 0x20", "cd 20"},
    {"int 0xff", "cd ff"},
    {"into", "ce"},
    {"bound or EVEX without a map", "62 c0 c0 c0 c0 c0"},
    {"push es", "06"},
    {"aaa", "37"},
    {"daa", "27"},
    {"pusha", "60"},
    {"les", "c4 03"},
    {"far call with a constant", "9a 00 00 00 00 33 00"},
    {"hlt", "f4"},
    {"cli", "fa"},
    {"sti", "fb"},
    {"in al, 1", "e4 01"},
    {"in eax, dx", "ed"},
    {"out dx, al", "ee"},
    {"insb", "6c"},
    {"outsd", "6f"},
    {"rdmsr", "0f 32"},
    {"wrmsr", "0f 30"},
    {"rdpmc of no counter", "b9 ff ff ff 7f 0f 33"},
    {"lgdt", "0f 01 13"},
    {"lidt", "0f 01 1b"},
    {"lldt", "0f 00 d0"},
    {"ltr", "0f 00 d8"},
    {"lmsw", "0f 01 f0"},
    {"clts", "0f 06"},
    {"invd", "0f 08"},
    {"wbinvd", "0f 09"},
    {"invlpg", "0f 01 3b"},
    {"swapgs", "0f 01 f8"},
    {"sysret", "48 0f 07"},
    {"mov rax, cr0", "0f 20 c0"},
    {"mov cr3, rax", "0f 22 d8"},
    {"mov rax, dr7", "0f 21 f8"},
    {"mov dr0, rax", "0f 23 c0"},
    {"xsetbv", "0f 01 d1"},
    {"xgetbv of nothing", "b9 07 00 00 00 0f 01 d0"},
    {"monitor", "0f 01 c8"},
    {"mwait", "0f 01 c9"},
    {"lock nop", "f0 90"},
    {"lock add reg", "f0 01 c8"},
    {"lock cmp", "f0 39 0b"},
    {"lock mov", "f0 89 0b"},
    {"lock movaps", "f0 0f 28 03"},
    {"lock VEX", "f0 c5 f8 28 03"},
    {"66 VEX", "66 c5 f8 28 03"},
    {"REX VEX", "48 c5 f8 28 03"},
    {"VEX.128 of a 256-bit one", "c4 e2 79 1a 03"},
    {"VEX.W1 of a W0 one", "c4 e3 fd 06 c1 00"},
    {"VEX with a third operand where there is none", "c5 e8 28 c1"},
    {"fifteen bytes and one", "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90"},
    {"mov cs", "8e c8"},
    {"mov segment 6", "8e f0"},
    {"mov from segment 7", "8c f8"},
    {"lea of a register", "8d c0"},
    {"cmpxchg8b of a register", "0f c7 c8"},
    {"movnti of a register", "0f c3 c0"},
    {"lddqu of a register", "f2 0f f0 c0"},
    {"pop r/m with another number", "8f 08"},
    {"mov r/m, imm with another number", "c6 08 00"},
    {"jmp, ff /7", "ff 38"},
    {"div by 0", "f7 f1"},
    {"idiv by 0", "48 f7 f9"},
    {"div of too much", "ba 05 00 00 00 b9 05 00 00 00 f7 f1"},
    {"idiv of the least by -1", "b8 00 00 00 80 99 83 c9 ff f7 f9"},
    {"div, 8 bits", "66 b8 00 05 b1 05 f6 f1"},
    {"load of nothing", "8b 07"},
    {"store to nothing", "89 07"},
    {"add to nothing", "01 07"},
    {"load at 0", "8b 04 25 00 00 00 00"},
    {"store to what can be read", "89 06"},
    {"add to what can be read", "01 06"},
    {"lock add to what can be read", "f0 01 06"},
    {"xchg with what can be read", "87 06"},
    {"cmpxchg with what can be read", "0f b1 0e"},
    {"load, not canonical", "41 8b 00"},
    {"store, not canonical", "41 89 00"},
    {"load across the end", "8b 45 fe"},
    {"store across the end", "48 89 45 fd"},
    {"16 bytes across the end", "0f 10 45 f9"},
    {"movaps, not aligned", "0f 28 43 08"},
    {"movaps store, not aligned", "0f 29 43 08"},
    {"vmovaps ymm, not aligned", "c5 fc 28 43 10"},
    {"addps, not aligned", "0f 58 43 04"},
    {"vaddps, not aligned, is fine", "c5 f8 58 43 04"},
    {"movntdq, not aligned", "66 0f e7 43 04"},
    {"cmpxchg16b, not aligned", "48 0f c7 4b 08"},
    {"fxsave, not aligned", "0f ae 43 08"},
    {"xsave, not aligned", "31 c0 0f ae 63 20"},
    {"ldmxcsr of reserved bits", "c7 03 00 00 01 00 0f ae 13"},
    {"push to nothing", "48 89 fc 50"},
    {"push, not canonical", "4c 89 c4 50"},
    {"pop, not canonical", "4c 89 c4 58"},
    {"call with such a stack", "4c 89 c4 e8 00 00 00 00"},
    {"[rbp], not canonical", "4c 89 c5 8b 45 00"},
    {"[rsp+8], not canonical", "4c 89 c4 8b 44 24 08"},
    {"jmp to nothing", "ff e7"},
    {"call to nothing", "ff d7"},
    {"jmp to data", "ff e3"},
    {"rep movsb into nothing", "b9 10 00 00 00 48 89 de 48 8d 7d f8 f3 a4"},
    {"rep stosb over what can be read", "b9 10 00 00 00 48 89 f7 f3 aa"},
    {"xlat of nothing", "48 89 fb d7"},
    {"enter to nothing", "48 8d 67 20 c8 40 00 00"},
    {"clflush of nothing", "0f ae 3f"},
    {"prefetch of nothing is fine", "0f 18 0f"},
    {"sse: divide by zero", "c7 03 80 1d 00 00 0f ae 13 f3 0f 5e 43 10"},
    {"sse: invalid", "c7 03 00 1f 00 00 0f ae 13 0f 57 c0 f3 0f 5e c0"},
    {"sse: inexact", "c7 03 80 0f 00 00 0f ae 13 f3 0f 10 43 14 f3 0f 5e 43 18"},
    {"sse: overflow", "c7 03 80 1b 00 00 0f ae 13 f3 0f 10 43 1c f3 0f 59 43 1c"},
    {"sse: underflow", "c7 03 80 17 00 00 0f ae 13 f3 0f 10 43 20 f3 0f 59 43 20"},
    {"sse: denormal", "c7 03 80 1e 00 00 0f ae 13 f3 0f 10 43 24 f3 0f 58 c0"},
    {"sse: invalid conversion", "c7 03 00 1f 00 00 0f ae 13 f3 0f 2c 43 28"},
    {"sse: compare with a signalling NaN", "c7 03 00 1f 00 00 0f ae 13 f3 0f 10 43 2c 0f 2e c0"},
    {"avx: divide by zero", "c7 03 80 1d 00 00 0f ae 13 c4 e2 7d 18 4b 14 c5 f4 5e 43 30"},
    {"x87: divide by zero", "66 c7 03 7b 03 d9 2b d9 e8 d9 ee de f9 9b"},
    {"x87: invalid", "66 c7 03 7e 03 d9 2b d9 ee d9 ee de f9 9b"},
    {"x87: stack", "66 c7 03 7e 03 d9 2b dd c0 d9 c0 9b"},
    {"x87: inexact, at the next one", "66 c7 03 5f 03 d9 2b d9 e8 d9 eb de f9 d9 e8"},
    {"x87: overflow on a store", "66 c7 03 77 03 d9 2b db 6b 40 d9 5b 10 9b"},
    {"x87: underflow on a store", "66 c7 03 6f 03 d9 2b db 6b 50 d9 5b 10 9b"},
    {"x87: denormal", "66 c7 03 7d 03 d9 2b d9 43 24 d9 e8 de c1 9b"},
    {"mmx with an exception pending", "66 c7 03 7b 03 d9 2b d9 e8 d9 ee de f9 0f ef c0"},
    {"fnstenv with an exception pending is fine", "66 c7 03 7b 03 d9 2b d9 e8 d9 ee de f9 d9 73 60 db e2"},
};

// Where a jump to what is no address faults is the manufacturer's choice; the guest's processor is one of Intel's.
static const struct attempt jumps[] = {
    {"jmp, not canonical", "41 ff e0"},
    {"call, not canonical", "41 ff d0"},
    {"call from memory, not canonical", "4c 89 03 ff 13"},
    {"ret, not canonical", "41 50 c3"},
    {"ret 16, not canonical", "41 50 c2 10 00"},
};

static void attempt(const char *name, const char *text) {
    char *code = (char *)CODE;
    int length = 0, used;
    unsigned byte;
    for (; sscanf(text, "%x%n", &byte, &used) == 1; text += used) code[length++] = byte;
    code[length++] = 0xc3;
    memset((char *)DATA, 0, 4096);
    const float floats[] = {0, 1, 3, 1e30f, 1e-30f, 1e-41f, 1e30f};
    memcpy((char *)DATA + 0x10, floats, sizeof floats);
    *(uint32_t *)(DATA + 0x2c) = 0x7f800001;
    long double big = 1e4000L, little = 1e-4000L;
    memcpy((char *)DATA + 0x40, &big, 10);
    memcpy((char *)DATA + 0x50, &little, 10);
    printf("%s: ", name);
    if (!sigsetjmp(back, 1)) {
        register uint64_t r8 __asm__("r8") = 0x8000000000000000;
        register uint64_t r15 __asm__("r15");
        __asm__ volatile("mov %%rsp, %[r15]\n\tpush %%rbp\n\tsub $256, %%rsp\n\tmov %[end], %%ebp\n\tcall *%%rax\n\t"
                         "add $256, %%rsp\n\tpop %%rbp"
                         : [r15] "=&r"(r15)
                         : "a"(code), "b"(DATA), "c"(0), "d"(0), "S"(READ_ONLY), "D"(NOTHING), "r"(r8),
                           [end] "i"(DATA + 4096)
                         : "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc");
        printf("went on\n");
    }
    __asm__ volatile("fninit\n\tmovl $0x1f80, (%0)\n\tldmxcsr (%0)" : : "r"((char *)DATA) : "memory");
}

int main(int count, char **arguments) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    mmap((void *)CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);
    mmap((void *)DATA, 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    mmap((void *)READ_ONLY, 4096, PROT_READ, flags, -1, 0);
    attempt("store to what was never touched", "89 06");
    (void)*(volatile char *)READ_ONLY;  // there is a page from now on, as error codes tell
    const int int1 = count < 3 || !strcmp(arguments[2], "int1");
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++)
        if (int1 || strcmp(attempts[i].name, "int1")) attempt(attempts[i].name, attempts[i].bytes);
    mprotect((void *)READ_ONLY, 4096, PROT_NONE);
    attempt("store to what is closed", "89 06");
    if (count > 1 && !strcmp(arguments[1], "GenuineIntel"))
        for (unsigned i = 0; i < sizeof jumps / sizeof *jumps; i++) attempt(jumps[i].name, jumps[i].bytes);
    return 0;
}
