/* What a CPU model says by CPUID and in /proc/cpuinfo, and what it executes: for every feature the three must agree.
   Prints the features that are there, and every disagreement. Without the C library's string functions, which take it
   for granted that a processor with one extension has the older ones. */
#include <cpuid.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { EAX, EBX, ECX, EDX };

/* Name, name in /proc/cpuinfo, leaf, subleaf, register, bit, and code that fails without it; edi is then 0, and the flag
   Z says whether what was executed is the feature's. */
#define FEATURES(X) \
    X("cx16", "cx16", 1, 0, ECX, 13, "cmpxchg16b (%rsi); xor %edi, %edi") \
    X("lahf-lm", "lahf_lm", 0x80000001, 0, ECX, 0, "lahf; xor %edi, %edi") \
    X("popcnt", "popcnt", 1, 0, ECX, 23, "popcnt %rdi, %rax; xor %edi, %edi") \
    X("sse3", "pni", 1, 0, ECX, 0, "haddps %xmm1, %xmm0; xor %edi, %edi") \
    X("ssse3", "ssse3", 1, 0, ECX, 9, "pabsb %xmm1, %xmm0; xor %edi, %edi") \
    X("sse4.1", "sse4_1", 1, 0, ECX, 19, "pmulld %xmm1, %xmm0; xor %edi, %edi") \
    X("sse4.2", "sse4_2", 1, 0, ECX, 20, "crc32b %dil, %eax; pcmpgtq %xmm1, %xmm0; xor %edi, %edi") \
    X("movbe", "movbe", 1, 0, ECX, 22, "movbe (%rsi), %eax; xor %edi, %edi") \
    X("rdtscp", "rdtscp", 0x80000001, 0, EDX, 27, "rdtscp; xor %edi, %edi") \
    X("fsgsbase", "fsgsbase", 7, 0, EBX, 0, "rdfsbase %rax; xor %edi, %edi") \
    X("erms", "erms", 7, 0, EBX, 9, "") \
    X("3dnowprefetch", "3dnowprefetch", 0x80000001, 0, ECX, 8, "") \
    X("xsave", "xsave", 1, 0, ECX, 26, "xor %ecx, %ecx; xgetbv; mov $7, %eax; xsave (%rsi); xor %edi, %edi") \
    X("avx", "avx", 1, 0, ECX, 28, "vaddps %ymm0, %ymm1, %ymm2; xor %edi, %edi") \
    X("avx2", "avx2", 7, 0, EBX, 5, "vpaddd %ymm0, %ymm1, %ymm2; xor %edi, %edi") \
    X("fma", "fma", 1, 0, ECX, 12, "vfmadd132ps %xmm0, %xmm1, %xmm2; xor %edi, %edi") \
    X("f16c", "f16c", 1, 0, ECX, 29, "vcvtph2ps %xmm0, %xmm1; xor %edi, %edi") \
    X("bmi1", "bmi1", 7, 0, EBX, 3, "andn %eax, %edx, %ecx; tzcnt %edi, %eax; cmp $32, %eax") \
    X("bmi2", "bmi2", 7, 0, EBX, 8, "pdep %eax, %edx, %ecx; xor %edi, %edi") \
    X("lzcnt", "abm", 0x80000001, 0, ECX, 5, "mov $1, %edx; lzcnt %rdx, %rax; cmp $63, %rax") \
    X("adx", "adx", 7, 0, EBX, 19, "adcx %eax, %edx; xor %edi, %edi") \
    X("aes", "aes", 1, 0, ECX, 25, "aesenc %xmm0, %xmm1; xor %edi, %edi") \
    X("pclmulqdq", "pclmulqdq", 1, 0, ECX, 1, "pclmulqdq $1, %xmm0, %xmm1; xor %edi, %edi") \
    X("sha-ni", "sha_ni", 7, 0, EBX, 29, "sha1msg1 %xmm0, %xmm1; xor %edi, %edi") \
    X("gfni", "gfni", 7, 0, ECX, 8, "gf2p8mulb %xmm0, %xmm1; xor %edi, %edi") \
    X("vaes", "vaes", 7, 0, ECX, 9, "vaesenc %ymm0, %ymm1, %ymm2; xor %edi, %edi") \
    X("vpclmulqdq", "vpclmulqdq", 7, 0, ECX, 10, "vpclmulqdq $1, %ymm0, %ymm1, %ymm2; xor %edi, %edi") \
    X("avx-vnni", "avx_vnni", 7, 1, EAX, 4, "{vex} vpdpbusd %ymm0, %ymm1, %ymm2; xor %edi, %edi") \
    X("rdrand", "rdrand", 1, 0, ECX, 30, "rdrand %eax; xor %edi, %edi") \
    X("rdseed", "rdseed", 7, 0, EBX, 18, "rdseed %eax; xor %edi, %edi") \
    X("rdpid", "rdpid", 7, 0, ECX, 22, "rdpid %rax; xor %edi, %edi") \
    X("xsaveopt", "xsaveopt", 0xd, 1, EAX, 0, "mov $7, %eax; xsaveopt (%rsi); xor %edi, %edi") \
    X("xsavec", "xsavec", 0xd, 1, EAX, 1, "mov $7, %eax; xsavec (%rsi); xor %edi, %edi") \
    X("xgetbv1", "xgetbv1", 0xd, 1, EAX, 2, "mov $1, %ecx; xgetbv; xor %edi, %edi") \
    X("clflushopt", "clflushopt", 7, 0, EBX, 23, "clflushopt (%rsi); xor %edi, %edi") \
    X("clwb", "clwb", 7, 0, EBX, 24, "clwb (%rsi); xor %edi, %edi") \
    X("fsrm", "fsrm", 7, 0, EDX, 4, "")

static uint8_t area[8192] __attribute__((aligned(64)));

/* One function for each, from a table of them. */
#define CODE(name, shown, leaf, subleaf, reg, bit, code) \
    "1: push %rbx; xor %edx, %edx; xor %edi, %edi; " code "; sete %al; movzbl %al, %eax; pop %rbx; ret\n" \
    ".pushsection .data; .quad 1b; .popsection\n"
__asm__(".data; .balign 8; codes:; .text\n" FEATURES(CODE));
typedef int Code(uint64_t zero, void *area);
extern Code *codes[];

static const struct {
    const char *name, *shown;
    unsigned leaf, subleaf, reg, bit, executes;
} features[] = {
#define ROW(name, shown, leaf, subleaf, reg, bit, code) {name, shown, leaf, subleaf, reg, bit, sizeof code > 1},
    FEATURES(ROW)
};

static sigjmp_buf back;
static void handler(int signal) { siglongjmp(back, signal); }

static int runs(Code *code) {
    if (sigsetjmp(back, 1)) return 0;
    return code(0, area);
}

static char cpuinfo[65536];
static void read_cpuinfo(void) {
    int file = open("/proc/cpuinfo", O_RDONLY);
    for (int size = 0, more = 1; file >= 0 && more > 0; size += more)
        more = read(file, cpuinfo + size, sizeof cpuinfo - 1 - size);
}

static int is_word_character(char c) { return c > ' '; }

/* Whether one of the first processor's words is `name`. */
static int is_shown(const char *name) {
    for (const char *at = cpuinfo; *at; at++) {
        int length = 0;
        while (name[length] && at[length] == name[length]) length++;
        if (!name[length] && !is_word_character(at[length]) && (at == cpuinfo || !is_word_character(at[-1]))) return 1;
    }
    return 0;
}

static int is_said(unsigned leaf, unsigned subleaf, unsigned reg, unsigned bit) {
    unsigned words[4];
    if (!__get_cpuid_count(leaf, subleaf, &words[EAX], &words[EBX], &words[ECX], &words[EDX])) return 0;
    return words[reg] >> bit & 1;
}

int main(void) {
    signal(SIGILL, handler);
    signal(SIGSEGV, handler);
    read_cpuinfo();
    for (unsigned i = 0; i < sizeof features / sizeof *features; i++) {
        int said = is_said(features[i].leaf, features[i].subleaf, features[i].reg, features[i].bit);
        int shown = is_shown(features[i].shown), executed = features[i].executes ? runs(codes[i]) : said;
        if (said) printf(" %s", features[i].name);
        if (said != shown || said != executed)
            printf("\n%s: CPUID %d, cpuinfo %d, executed %d\n", features[i].name, said, shown, executed);
    }
    printf("\n");
    return 0;
}
