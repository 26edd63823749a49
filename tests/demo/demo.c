// What scripts/demo runs: a few system calls, without a C library, so that the program is small enough to
// be kept beside its source. Rebuild both with:
//   gcc -Os -static -nostdlib -fno-stack-protector -fno-asynchronous-unwind-tables -ffreestanding -fno-tree-loop-distribute-patterns -Wl,--build-id=none -s -o demo-x86_64 demo.c
//   aarch64-linux-gnu-gcc (the same flags) -o demo-aarch64 demo.c
#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, CLOSE = 3, GETPID = 39, SOCKET = 41, EXIT = 60, OPENAT = 257 };
static long call(long n, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\nmov %rsp, %rdi\nand $-16, %rsp\ncall run\n");
#else
enum { READ = 63, WRITE = 64, CLOSE = 57, GETPID = 172, SOCKET = 198, EXIT = 93, OPENAT = 56 };
static long call(long n, long a, long b, long c, long d) {
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                  x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x29, #0\nmov x0, sp\nbl run\n");
#endif

static void say(const char *text) {
    long len = 0;
    while (text[len])
        len++;
    call(WRITE, 1, (long)text, len, 0);
}

static void number(long value) {
    char digits[24];
    int at = sizeof digits - 1, negative = value < 0;
    digits[at] = 0;
    if (negative)
        value = -value;
    do
        digits[--at] = '0' + value % 10;
    while (value /= 10);
    if (negative)
        digits[--at] = '-';
    say(digits + at);
}

static void show(const char *what, long value) {
    say(what);
    number(value);
    say("\n");
}

void run(long *stack) {
    say("hello from the guest\n");
    long pid = call(GETPID, 0, 0, 0, 0);
    show("getpid looks right: ", pid > 0);
    char buffer[64];
    long fd = call(OPENAT, -100, (long)"/proc/version", 0, 0);
    show("read of /proc/version: ", call(READ, fd, (long)buffer, 16, 0));
    call(CLOSE, fd, 0, 0, 0);
    show("internet socket: ", call(SOCKET, 2, 1, 0, 0));
    fd = call(SOCKET, 1, 1, 0, 0);
    show("unix socket works: ", fd >= 0);
    (void)stack;
    call(EXIT, 0, 0, 0, 0);
    __builtin_unreachable();
}
