/* What a CPU model advertises, shows in its identification registers and in /proc/cpuinfo, and executes: for every
   feature all four must agree. Prints those that are there, and every disagreement. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

enum { ISAR0, ISAR1, ISAR2, PFR0, PFR1, MMFR0, MMFR1, MMFR2, ZFR0, REGISTERS };

static const struct {
    const char *name;
    int hwcap, bit, reg, shift, least;
    uint32_t word;
    /* Of the access that the word makes. */
    int offset;
} features[] = {
    {"aes", 1, 3, ISAR0, 4, 1, 0x4e284820}, {"pmull", 1, 4, ISAR0, 4, 2, 0x0ee0e020},
    {"sha1", 1, 5, ISAR0, 8, 1, 0x5e280820}, {"sha2", 1, 6, ISAR0, 12, 1, 0x5e282820},
    {"sha512", 1, 21, ISAR0, 12, 2, 0xcec08020}, {"crc32", 1, 7, ISAR0, 16, 1, 0x1ac04020},
    {"atomics", 1, 8, ISAR0, 20, 2, 0xf8220020}, {"asimdrdm", 1, 12, ISAR0, 28, 1, 0x2e808420},
    {"sha3", 1, 17, ISAR0, 32, 1, 0xce020820}, {"sm3", 1, 18, ISAR0, 36, 1, 0xce420820},
    {"sm4", 1, 19, ISAR0, 40, 1, 0xcec08420}, {"asimddp", 1, 20, ISAR0, 44, 1, 0x2e829420},
    {"asimdfhm", 1, 23, ISAR0, 48, 1, 0x0e22ec20}, {"flagm", 1, 27, ISAR0, 52, 1, 0xd500401f},
    {"flagm2", 2, 7, ISAR0, 52, 2, 0xd500405f}, {"rng", 2, 16, ISAR0, 60, 1, 0xd53b2400},
    {"dcpop", 1, 16, ISAR1, 0, 1, 0xd50b7c21}, {"dcpodp", 2, 0, ISAR1, 0, 2, 0xd50b7d21},
    {"paca", 1, 30, ISAR1, 8, 1, 0xdac10020}, {"pacg", 1, 31, ISAR1, 28, 1, 0x9ac23020},
    {"jscvt", 1, 13, ISAR1, 12, 1, 0x1e7e0020}, {"fcma", 1, 14, ISAR1, 16, 1, 0x2e82e420},
    {"lrcpc", 1, 15, ISAR1, 20, 1, 0xf8bfc020}, {"ilrcpc", 1, 26, ISAR1, 20, 2, 0xd9400020},
    {"dgh", 2, 15, ISAR1, 48, 1, 0xd50320df}, {"frint", 2, 8, ISAR1, 32, 1, 0x1e284020}, {"sb", 1, 29, ISAR1, 36, 1, 0xd50330ff},
    {"bf16", 2, 14, ISAR1, 44, 1, 0x2e42fc20}, {"i8mm", 2, 13, ISAR1, 52, 1, 0x4e82a420},
    {"wfxt", 2, 31, ISAR2, 0, 2, 0xd5031003}, {"mops", 2, 43, ISAR2, 16, 1, 0x19c40462},
    {"hbc", 2, 44, ISAR2, 20, 1, 0x54000030}, {"cssc", 2, 34, ISAR2, 52, 1, 0xdac02020},
    {"fphp", 1, 9, PFR0, 16, 1, 0x1ee02820}, {"asimdhp", 1, 10, PFR0, 20, 1, 0x0e421420},
    {"dit", 1, 24, PFR0, 48, 1, 0xd53b42a0}, {"ssbs", 1, 28, PFR1, 4, 2, 0xd53b42c0},
    /* A misaligned access within 16 bytes. */
    {"uscat", 1, 25, MMFR2, 32, 1, 0xc8dffc20, 1},
    /* What no model has. */
    {"sve", 1, 22, PFR0, 32, 1, 0x04e0e3e0}, {"mte", 2, 18, PFR1, 8, 1, 0x9ac01020},
    {"sme", 2, 23, PFR1, 24, 1, 0xd503477f}, {"gcs", 1, 32, PFR1, 44, 1, 0xd53b2520},
    {"tme", 2, 63, ISAR0, 24, 1, 0xd5233060}, {"ls64", 2, 63, ISAR1, 60, 1, 0xf83fd020},
    {"lse128", 2, 47, ISAR0, 20, 3, 0x19211040}, {"lrcpc3", 2, 46, ISAR1, 20, 3, 0xd9401840},
    {"ecv", 2, 19, MMFR0, 60, 1, 0xd53be0c0}, {"afp", 2, 20, MMFR1, 44, 1, 0},
    {"rpres", 2, 21, ISAR2, 4, 1, 0}, {"svebf16", 2, 12, ZFR0, 20, 1, 0},
};

static sigjmp_buf back;
static void handler(int signal) { siglongjmp(back, signal); }

static uint32_t *page;
static uint8_t data[64] __attribute__((aligned(64)));

static int runs(uint32_t word, int offset) {
    page[0] = word, page[1] = 0xd65f03c0;
    __builtin___clear_cache((char *)page, (char *)(page + 2));
    if (sigsetjmp(back, 1))
        return 0;
    register uint8_t *x1 __asm__("x1") = data + offset;
    __asm__ volatile("mov x2, 0\n mov x3, 0\n mov x4, 0\n blr %1"
                     : "+r"(x1) : "r"(page)
                     : "x0", "x2", "x3", "x4", "x16", "x30", "v0", "memory", "cc");
    return 1;
}

#define READ(n) ({ uint64_t v_; __asm__("mrs %0, " #n : "=r"(v_)); v_; })

int main(void) {
    signal(SIGILL, handler), signal(SIGBUS, handler), signal(SIGSEGV, handler);
    page = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t hwcap[] = {0, getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
    uint64_t registers[REGISTERS] = {
        [ISAR0] = READ(s3_0_c0_c6_0), [ISAR1] = READ(s3_0_c0_c6_1), [ISAR2] = READ(s3_0_c0_c6_2),
        [PFR0] = READ(s3_0_c0_c4_0), [PFR1] = READ(s3_0_c0_c4_1), [MMFR0] = READ(s3_0_c0_c7_0),
        [MMFR1] = READ(s3_0_c0_c7_1), [MMFR2] = READ(s3_0_c0_c7_2), [ZFR0] = READ(s3_0_c0_c4_4),
    };
    char text[4096] = "", *line;
    FILE *file = fopen("/proc/cpuinfo", "r");
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    unsigned part = 0, implementer = 0, variant = 0, revision = 0;
    sscanf(strstr(text, "CPU implementer"), "CPU implementer : %x", &implementer);
    sscanf(strstr(text, "CPU variant"), "CPU variant : %x", &variant);
    sscanf(strstr(text, "CPU part"), "CPU part : %x", &part);
    sscanf(strstr(text, "CPU revision"), "CPU revision : %u", &revision);
    printf("midr %#llx %d:", (unsigned long long)READ(midr_el1),
           READ(midr_el1) == (implementer << 24 | variant << 20 | 15 << 16 | part << 4 | revision));
    line = strstr(text, "Features");
    *strchr(line, '\n') = 0;
    for (unsigned i = 0; i < sizeof features / sizeof *features; i++) {
        char word[32];
        snprintf(word, sizeof word, " %s ", features[i].name);
        strcat(line, " ");
        int told = features[i].bit < 63 ? hwcap[features[i].hwcap] >> features[i].bit & 1 : 0;
        int field = registers[features[i].reg] >> features[i].shift & 15;
        /* Of the fields that count up from -1, none of ours is 15. */
        int shown = field >= features[i].least && field != 15, listed = strstr(line, word) != 0;
        /* Hints run everywhere. */
        int hint = features[i].word >> 12 == 0xd5032;
        int ran = features[i].word && !hint ? runs(features[i].word, features[i].offset) : told;
        line[strlen(line) - 1] = 0;
        if (features[i].bit == 63)
            listed = told = ran;
        if (told && shown && ran && listed)
            printf(" %s", features[i].name);
        else if (told || shown || ran || listed)
            printf("\n%s: advertised %d, field %d, runs %d, listed %d\n", features[i].name, told, field, ran, listed);
    }
    puts("");
    return 0;
}
