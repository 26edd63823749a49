// Signals for threads that wait for a page (userfaultfd): their handlers run before the page is there, and what was waited for
// is done once.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef __aarch64__
#pragma GCC target("arch=armv8.1-a") // atomics are instructions, not functions of libgcc's
#endif

#define PAGE 4096
#define TIMES 100

// What waits is in a section of its own.
#define TOUCH static __attribute__((noinline, section("touching"))) long
extern char __start_touching[], __stop_touching[];

static sem_t handled;
static volatile int inside, ticks;
static sigjmp_buf away;
static int leaves, ends[2];

static void handler(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    ucontext_t *interrupted = context;
#ifdef __x86_64__
    uintptr_t pc = interrupted->uc_mcontext.gregs[REG_RIP];
#else
    uintptr_t pc = interrupted->uc_mcontext.pc;
#endif
    inside += pc >= (uintptr_t)__start_touching && pc < (uintptr_t)__stop_touching;
    sem_post(&handled);
    if (leaves) siglongjmp(away, 1);
}

static void tick(int number) {
    (void)number;
    ticks++;
}

TOUCH reads(char *page) { return *(volatile char *)page + 7; }
TOUCH writes(char *page) {
    *(volatile long *)(page + 8) = 77;
    return 0;
}
TOUCH adds(char *page) { return __atomic_fetch_add((long *)(page + 8), 5, __ATOMIC_SEQ_CST); }
TOUCH masks(char *page) { return __atomic_fetch_or((long *)(page + 8), 0x50, __ATOMIC_SEQ_CST); }
TOUCH swaps(char *page) {
    long expected = 0;
    return __atomic_compare_exchange_n((long *)(page + 8), &expected, 9, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
TOUCH stores_sixteen_bytes(char *page) {
    typedef long pair __attribute__((vector_size(16)));
    *(volatile pair *)page = (pair){3, 4};
    return 1;
}
TOUCH loads_a_long_double(char *page) { return *(volatile long double *)(page + 16) == 0; }
TOUCH copies_up(char *page) {
    char *to = page - 100, *from = page - 1000;
    long count = 300;
#ifdef __x86_64__
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count)::"memory");
#else
    while (count--) *(volatile char *)to++ = *(volatile char *)from++;
#endif
    return to - page;
}
TOUCH fills_down(char *page) {
    long *to = (long *)(page + PAGE + 64), count = 20;
#ifdef __x86_64__
    asm volatile("std; rep stosq; cld" : "+D"(to), "+c"(count) : "a"(0x0101010101010101) : "memory");
#else
    while (count--) *(volatile long *)to-- = 0x0101010101010101;
#endif
    return (char *)to - page;
}
// Two values that live in registers, and a third that is dead wherever the loop reads.
TOUCH sums(char *const *places, long count) {
    long sum = 0, mixed = 1;
    for (long i = 0; i < count; i++) {
        sum += *(volatile char *)places[i % 64] + i;
        mixed = mixed * 3 + sum;
    }
    return sum ^ mixed;
}
static char *places[64];
static long in_a_hot_loop(char *page) {
    static char there;
    for (int i = 0; i < 64; i++) places[i] = &there;
    long before = sums(places, 1000000);
    places[40] = page;
    return sums(places, 1000000) - before;
}
static long leaves_for_good(char *page) {
    leaves = 1;
    return sigsetjmp(away, 1) ? 5 : reads(page);
}
static long in_read(char *page) { return read(ends[0], page + 10, 20); }
static long in_write(char *page) { return write(ends[1], page, 30); }
static long in_sigprocmask(char *page) { return sigprocmask(SIG_BLOCK, NULL, (sigset_t *)(page + 8)); }

static const struct {
    const char *name;
    long (*touch)(char *page);
    enum { BEFORE_THE_PAGE, WITH_THE_PAGE, WITHOUT_A_PAGE } handled;
} cases[] = {
    {"reads", reads, BEFORE_THE_PAGE},
    {"writes", writes, BEFORE_THE_PAGE},
    {"adds", adds, BEFORE_THE_PAGE},
    {"masks", masks, BEFORE_THE_PAGE},
    {"swaps", swaps, BEFORE_THE_PAGE},
    {"stores sixteen bytes", stores_sixteen_bytes, BEFORE_THE_PAGE},
    {"loads a long double", loads_a_long_double, BEFORE_THE_PAGE},
    {"copies up", copies_up, BEFORE_THE_PAGE},
    {"fills down", fills_down, BEFORE_THE_PAGE},
    {"in a hot loop", in_a_hot_loop, BEFORE_THE_PAGE},
    {"leaves for good", leaves_for_good, WITHOUT_A_PAGE},
    {"in read", in_read, WITH_THE_PAGE},
    {"in write", in_write, WITH_THE_PAGE},
    {"in sigprocmask", in_sigprocmask, WITH_THE_PAGE},
};

struct run {
    long (*touch)(char *page);
    char *page;
    long result;
};

static void *start(void *argument) {
    struct run *run = argument;
    run->result = run->touch(run->page);
    return NULL;
}

static int comes(void) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 20;
    return sem_timedwait(&handled, &end) == 0;
}

static int run_case(int fd, int which) {
    // Three pages, of which the middle one is missing.
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(pages, 2, PAGE), memset(pages + 2 * PAGE, 2, PAGE);
    struct run run = {cases[which].touch, pages + PAGE, 0};
    struct uffdio_register watched = {.range = {(uintptr_t)run.page, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    struct uffdio_zeropage zero = {.range = {(uintptr_t)run.page, PAGE}};
    struct uffd_msg message;
    pthread_t thread;
    int early = 0;
    if (ioctl(fd, UFFDIO_REGISTER, &watched)) return 1;
    inside = 0;
    pthread_create(&thread, NULL, start, &run);
    if (read(fd, &message, sizeof message) != sizeof message) return 2;
    int signals = cases[which].handled == BEFORE_THE_PAGE ? TIMES : 1;
    for (int i = 0; i < signals; i++) {
        // So that they come anywhere on the way back to the access.
        for (volatile int n = i * 397 % 20000; n > 0; n--) {}
        pthread_kill(thread, SIGUSR1);
        if (cases[which].handled != WITH_THE_PAGE) early += comes();
    }
    if (cases[which].handled != WITHOUT_A_PAGE) ioctl(fd, UFFDIO_ZEROPAGE, &zero);
    pthread_join(thread, NULL);
    if (cases[which].handled == WITH_THE_PAGE) early += comes();
    if (cases[which].handled == WITHOUT_A_PAGE) ioctl(fd, UFFDIO_ZEROPAGE, &zero);
    long sum = 0;
    for (int i = 0; i < 3 * PAGE; i++) sum = sum * 31 % 1000003 + pages[i];
    if (cases[which].touch == in_sigprocmask) sum = 0;
    printf("%s: %ld, pages %ld; %d handled, %d at the access\n", cases[which].name, run.result, sum, early, inside);
    munmap(pages, 3 * PAGE);
    leaves = 0;
    // What was told of the same fault again.
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (read(fd, &message, sizeof message) > 0) {}
    fcntl(fd, F_SETFL, 0);
    return 0;
}

// Signals at any instruction, none of which waits.
static void storm(void) {
    static long added, or_ed, and_ed = -1, plain[64];
    static char from[200], to[200];
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &often, NULL);
    long i;
    for (i = 0; i < 200000 || (ticks < 20 && i < 100000000); i++) {
        __atomic_fetch_add(&added, 1, __ATOMIC_SEQ_CST);
        if (__atomic_fetch_or(&or_ed, i, __ATOMIC_SEQ_CST) & 1L << 40) break;
        if (!(__atomic_fetch_and(&and_ed, ~(1L << i % 60), __ATOMIC_SEQ_CST) >> 62)) break;
        plain[i % 64]++;
        from[i % 200] = i;
        long count = 150;
        char *a = to, *b = from;
#ifdef __x86_64__
        asm volatile("rep movsb" : "+D"(a), "+S"(b), "+c"(count)::"memory");
#else
        memcpy(a, b, count);
#endif
    }
    setitimer(ITIMER_REAL, &never, NULL);
    long rest = i;
    for (int n = 0; n < 64; n++) rest -= plain[n];
    printf("storm: %ld %ld %lx %d\n", added - i, rest, and_ed & 0xfff, memcmp(to, from, 150));
}

static void *call(void *code) { return (void *)(intptr_t)((int (*)(void))code)(); }

// Code at the end of a page, of which the next one is missing: it is asked for when an instruction of it is executed, and not
// before; and whoever brings it may map memory and run code of its own.
static void code(int fd) {
#ifdef __x86_64__
    static const unsigned char ends_there[] = {0xb8, 5, 0, 0, 0, 0xc3}, goes_on[] = {0xb8, 7, 0, 0, 0, 0xc3};
    size_t first = 3;
#else
    static const unsigned int ends_there[] = {0x528000a0, 0xd65f03c0}, goes_on[] = {0x528000e0, 0xd65f03c0};
    size_t first = 4;
#endif
    static char rest[PAGE] __attribute__((aligned(PAGE)));
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *behind = pages + PAGE, *there = behind - sizeof ends_there;
    struct uffdio_register watched = {.range = {(uintptr_t)behind, PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    struct uffdio_copy copy = {.dst = (uintptr_t)behind, .src = (uintptr_t)rest, .len = PAGE};
    struct uffd_msg message;
    pthread_t thread;
    memcpy(there, ends_there, sizeof ends_there);
    __builtin___clear_cache(there, behind);
    if (ioctl(fd, UFFDIO_REGISTER, &watched)) return;
    printf("code: %d", ((int (*)(void))(uintptr_t)there)());
    there = behind - first;
    memcpy(there, goes_on, first);
    memcpy(rest, (const char *)goes_on + first, sizeof goes_on - first);
    __builtin___clear_cache(there, behind);
    pthread_create(&thread, NULL, call, there);
    if (read(fd, &message, sizeof message) != sizeof message) return;
    printf(", asked for the page behind it: %d", message.arg.pagefault.address == (uintptr_t)behind);
    char *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(other, PAGE);
    pthread_kill(thread, SIGUSR1);
    printf(", handled %d", comes());
    ioctl(fd, UFFDIO_COPY, &copy);
    void *result;
    pthread_join(thread, &result);
    printf(", then %d\n", (int)(intptr_t)result);
}

int main(void) {
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || pipe(ends) || write(ends[1], "twenty bytes of text", 20) != 20) {
        puts("no userfaultfd");
        return 0;
    }
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    sem_init(&handled, 0, 0);
    for (unsigned which = 0; which < sizeof cases / sizeof *cases; which++) {
        int failed = run_case(fd, which);
        if (failed) return failed;
    }
    code(fd);
    storm();
    return 0;
}
