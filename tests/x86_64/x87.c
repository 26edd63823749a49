// Results of x87 instructions, their status words, and all layouts of the environment.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const long double values[] = {
    0.0L, -0.0L, 1, -1, 0.5L, -0.5L, 3.14159265358979323846264338327950288L, 1e-10L, -1e-10L, 1e10L, 123456.789L, -7.25L,
    0.29L, -0.29L, 1e300L, 1e-4940L, 3.6e-4951L, __builtin_infl(), -__builtin_infl(), __builtin_nanl(""), 9.2e18L, 1e19L,
    -9.3e18L, 0.99999999999999999L, 1e18L, 123456789012345678.0L, -999999999999999999.0L, 2.5L,
};
enum { VALUES = sizeof values / sizeof *values };

static void show(const char *what, int i, int j, long double value, unsigned status) {
    unsigned char bytes[16] = {0};
    uint64_t significand;
    memcpy(bytes, &value, 10);
    memcpy(&significand, bytes, 8);
    printf("%s %d %d: %02x%02x %016lx status %04x\n", what, i, j, bytes[9], bytes[8], significand, status);
}

#define UNARY(name, code)                                                                                             \
    for (int i = 0; i < VALUES; i++) {                                                                                \
        long double result;                                                                                           \
        uint16_t status;                                                                                              \
        __asm__ volatile("fninit\n\tfldt %2\n\t" code "\n\tfstpt %0\n\tfnstsw %1"                                       \
                         : "=m"(result), "=m"(status) : "m"(values[i]));                                              \
        show(name, i, 0, result, status);                                                                             \
    }

#define BINARY(name, code)                                                                                            \
    for (int i = 0; i < VALUES; i++) {                                                                                \
        for (int j = 0; j < VALUES; j++) {                                                                            \
            long double result;                                                                                       \
            uint16_t status;                                                                                          \
            __asm__ volatile("fninit\n\tfldt %3\n\tfldt %2\n\t" code "\n\tfstpt %0\n\tfnstsw %1"                        \
                             : "=m"(result), "=m"(status) : "m"(values[i]), "m"(values[j]) : "cc");                   \
            show(name, i, j, result, status);                                                                         \
        }                                                                                                             \
    }

static unsigned char image[128];

// Everything but the last instruction and its operand: whether they are noted is the processor's business.
static void show_image(const char *what, int size, int skip, int skipped) {
    memset(image + skip, 0, skipped);
    printf("%s", what);
    for (int i = 0; i < size; i++) printf(" %02x", image[i]);
    printf("\n");
    memset(image, 0x11, sizeof image);
}

#define FOUR "fninit\n\tfld1\n\tfldpi\n\tfldz\n\tfldl2t\n\tfxch\n\tffree %%st(2)\n\t"
#define SAVED(insn) __asm__ volatile(FOUR insn " %0" : "=m"(image))
#define LOADED(save, load, unsettle)                                                                                  \
    __asm__ volatile(FOUR save " %0\n\tfninit\n\tfldz\n\t" unsettle load " %0\n\tfnsave %0" : "+m"(image))

static void layouts(void) {
    SAVED("fnstenv");
    show_image("fnstenv", 32, 12, 16);
    SAVED("data16 fnstenv");
    show_image("fnstenv, 16 bits", 32, 6, 8);
    SAVED("fnsave");
    show_image("fnsave", 112, 12, 16);
    SAVED("data16 fnsave");
    show_image("fnsave, 16 bits", 112, 6, 8);
    LOADED("fnsave", "frstor", "");
    show_image("frstor", 108, 12, 16);
    LOADED("data16 fnsave", "data16 frstor", "");
    show_image("frstor, 16 bits", 108, 12, 16);
    LOADED("fnstenv", "fldenv", "andb $0xf0, %0\n\t");
    show_image("fldenv", 108, 12, 16);
    LOADED("data16 fnstenv", "data16 fldenv", "andb $0xf0, %0\n\t");
    show_image("fldenv, 16 bits", 108, 12, 16);
}

static void aliases(void) {
    const uint64_t value = 0x123456789abcdef0;
    uint64_t read;
    __asm__ volatile(FOUR "movq %1, %%mm3\n\tfnsave %0" : "=m"(image) : "m"(value) : "mm3");
    show_image("movq to mm3", 108, 12, 16);
    __asm__ volatile(FOUR "movq %%mm5, %1\n\tfnsave %0" : "=m"(image), "=m"(read));
    show_image("movq from mm5", 108, 12, 16);
    printf("mm5 %lx\n", read);
    __asm__ volatile(FOUR "movq %1, %%mm7\n\temms\n\tfnsave %0" : "=m"(image) : "m"(value) : "mm7");
    show_image("emms", 108, 12, 16);
}

static void decimals(void) {
    for (int i = 0; i < VALUES; i++) {
        long double result;
        uint16_t status;
        __asm__ volatile("fninit\n\tfldt %3\n\tfbstp %0\n\tfnstsw %1\n\tfbld %0\n\tfstpt %2"
                         : "=m"(image), "=m"(status), "=m"(result) : "m"(values[i]));
        show("fbld", i, 0, result, status);
        show_image("fbstp", 10, 10, 1);
    }
}

int main(void) {
    UNARY("fsqrt", "fsqrt");
    UNARY("frndint", "frndint");
    UNARY("fxtract", "fxtract");
    UNARY("exponent", "fxtract\n\tfstp %%st(0)");
    UNARY("ftst", "ftst");
    UNARY("fxam", "fxam");
    BINARY("fprem", "fprem");
    BINARY("fprem1", "fprem1");
    BINARY("fscale", "fscale");
    BINARY("faddp", "faddp");
    BINARY("fdivrp", "fdivrp");
    BINARY("fcomp", "fcomp");
    BINARY("fucomp", "fucomp");
    BINARY("fcomi", "fcomi %%st(1)");
    // These differ in their last bits from processor to processor: here the host's must come out.
    UNARY("fsin", "fsin");
    UNARY("fcos", "fcos");
    UNARY("fptan", "fptan\n\tfstp %%st(0)");
    UNARY("sine of fsincos", "fsincos\n\tfstp %%st(0)");
    UNARY("cosine of fsincos", "fsincos\n\tfstp %%st(1)");
    UNARY("f2xm1", "f2xm1");
    BINARY("fyl2x", "fyl2x");
    BINARY("fyl2xp1", "fyl2xp1");
    BINARY("fpatan", "fpatan");
    layouts();
    aliases();
    decimals();
    return 0;
}
