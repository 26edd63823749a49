// A system call with known values in registers, and what is in them afterwards.
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

// getsid(what); `skipped` becomes 0 unless the instruction after the system call is jumped over.
static long call(long what, long *kept, char vector[16], long *skipped) {
    long result, skip = 1, keep = 1;
#ifdef __x86_64__
    register long r12 __asm__("r12") = 1;
    __asm__ volatile("movdqu (%[v]), %%xmm0\n\tmov $1, %%ebx\n\tsyscall\n\t"
                     ".byte 0x41, 0xbc, 0, 0, 0, 0\n\t" // mov $0, %r12d
                     "movdqu %%xmm0, (%[v])\n\tmov %%rbx, %[k]"
                     : "=a"(result), [k] "=r"(keep), "+r"(r12)
                     : "0"((long)SYS_getsid), "D"(what), [v] "S"(vector)
                     : "rbx", "rcx", "r11", "xmm0", "memory");
    skip = r12;
#else
    register long x0 __asm__("x0") = what;
    register long x8 __asm__("x8") = SYS_getsid;
    register long x20 __asm__("x20") = 1;
    __asm__ volatile("ldr q0, [%[v]]\n\tmov x19, #1\n\tsvc #0\n\tmov x20, #0\n\tstr q0, [%[v]]\n\tmov %[k], x19"
                     : "+r"(x0), [k] "=r"(keep), "+r"(x20)
                     : "r"(x8), [v] "r"(vector)
                     : "x19", "v0", "memory");
    result = x0;
    skip = x20;
#endif
    *kept = keep;
    *skipped = skip;
    return result;
}

int main(void) {
    char vector[17] = "abcdefghijklmnop";
    long kept, skipped;
    long result = call(1, &kept, vector, &skipped);
    printf("result %ld kept %ld vector %s%s\n", result, kept, vector, skipped ? " jumped" : "");
#ifdef __x86_64__
    result = call(6, &kept, vector, &skipped);
#else
    result = call(4, &kept, vector, &skipped);
#endif
    printf("result %ld%s\n", result, skipped ? " jumped" : "");
    return 0;
}
