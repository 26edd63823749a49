/* Tagged pointers: every access and branch ignores the top byte; system calls take them only where asked to, but
   for places in the address space; and what a signal says of them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define TAG(p) ((void *)((uint64_t)(p) | 0x5aull << 56))
#define UNTAG(p) ((void *)((uint64_t)(p) << 8 >> 8))

static long call(long number, void *a, void *b, void *c, void *d, void *e) {
    register long x8 __asm__("x8") = number;
    register void *x0 __asm__("x0") = a, *x1 __asm__("x1") = b, *x2 __asm__("x2") = c, *x3 __asm__("x3") = d,
                  *x4 __asm__("x4") = e, *x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
    return (long)x0;
}
#define N(n) ((void *)(long)(n))
#define CALL1(n, a) call(n, N(a), 0, 0, 0, 0)
#define CALL2(n, a, b) call(n, N(a), N(b), 0, 0, 0)
#define CALL3(n, a, b, c) call(n, N(a), N(b), N(c), 0, 0)
#define CALL4(n, a, b, c, d) call(n, N(a), N(b), N(c), N(d), 0)
#define CALL5(n, a, b, c, d, e) call(n, N(a), N(b), N(c), N(d), N(e))

static char buffer[256], other[512];
static int pipes[2];

/* Arrays of messages: counts, and the lengths that the kernel has written. */
static void many_messages(int in, int out) {
    struct iovec vector[1] = {{TAG("abcd"), 4}}, into[2] = {{TAG(other), 4}, {TAG(other + 4), 3}};
    struct mmsghdr sent[2] = {{{.msg_iov = vector, .msg_iovlen = 1}, 9}, {{.msg_iov = TAG(vector), .msg_iovlen = 1}, 9}};
    struct mmsghdr got[2] = {{{.msg_iov = into, .msg_iovlen = 1}, 9}, {{.msg_iov = TAG(into + 1), .msg_iovlen = 1}, 9}};
    printf(", sendmmsg %ld", CALL4(SYS_sendmmsg, in, sent, 2, 0));
    printf(" %ld lengths %d %d", CALL4(SYS_sendmmsg, in, TAG(sent), 2, 0), sent[0].msg_len, sent[1].msg_len);
    send(in, "abcdabc", 7, 0);
    printf(", recvmmsg %ld", CALL5(SYS_recvmmsg, out, TAG(got), 2, MSG_DONTWAIT, 0));
    printf(" lengths %d %d", got[0].msg_len, got[1].msg_len);
}

/* Asynchronous requests: how many were taken, what became of them, and whether they are named and left as they were. */
static void requests(void) {
    aio_context_t queue = 0;
    struct io_event events[3] = {0};
    int file = memfd_create("file", 0);
    struct iovec vector = {TAG("efgh"), 4};
    struct iocb plain = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = file, .aio_buf = (uint64_t)TAG("abcd"), .aio_nbytes = 4};
    struct iocb vectored = {.aio_lio_opcode = IOCB_CMD_PWRITEV, .aio_fildes = file, .aio_buf = (uint64_t)TAG(&vector), .aio_nbytes = 1, .aio_offset = 4};
    struct iocb read = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = file, .aio_buf = (uint64_t)TAG(other), .aio_nbytes = 8};
    struct iocb *all[] = {&plain, TAG(&vectored), &read};
    syscall(SYS_io_setup, 8, &queue);
    printf(", io_submit %ld", CALL3(SYS_io_submit, queue, 3, TAG(all)));
    printf(" %ld", CALL3(SYS_io_submit, queue, 1, all + 1));
    long count = syscall(SYS_io_getevents, queue, 0, 3, events, 0);
    for (long i = 0; i < count; i++) printf(" [%lld %d]", events[i].res, (struct iocb *)events[i].obj == UNTAG(all[i]));
    printf(" %.8s %d", count > 0 ? other : "-", (void *)plain.aio_buf == TAG("abcd") && (void *)vectored.aio_buf == TAG(&vector));
    syscall(SYS_io_destroy, queue);
    close(file);
}

static void calls(const char *name) {
    int pair[2];
    strcpy(buffer, "text");
    pipe(pipes);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct iovec vector[2] = {{TAG(buffer), 2}, {buffer + 2, 2}};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = 2}, tagged = {.msg_iov = TAG(vector), .msg_iovlen = 2};
    struct iovec into[1] = {{TAG(other), 4}};
    struct msghdr received = {.msg_iov = into, .msg_iovlen = 1, .msg_flags = 77};
    struct timespec moment = {0, 1};
    sigset_t set;
    sigemptyset(&set);
    char *const argv[] = {TAG("false"), 0}, *const envp[] = {0};
    printf("%s: write %ld", name, CALL3(SYS_write, pipes[1], TAG(buffer), 4));
    printf(", writev %ld", CALL3(SYS_writev, pipes[1], vector, 2));
    printf(", readv %ld", CALL3(SYS_readv, pipes[0], into, 1));
    printf(", read %ld", CALL3(SYS_read, pipes[0], TAG(other), 4));
    printf(", sendmsg %ld", CALL3(SYS_sendmsg, pair[0], &message, 0));
    printf(" %ld", CALL3(SYS_sendmsg, pair[0], TAG(&tagged), 0));
    send(pair[0], "ab", 2, 0);
    printf(", recvmsg %ld", CALL3(SYS_recvmsg, pair[1], &received, 0));
    printf(" flags %d", received.msg_flags);
    many_messages(pair[0], pair[1]);
    requests();
    printf(", openat %ld", CALL3(SYS_openat, AT_FDCWD, TAG("/no such file"), O_RDONLY));
    printf(", newfstatat %ld", CALL4(SYS_newfstatat, AT_FDCWD, "/", TAG(other), 0));
    printf(", uname %ld", CALL1(SYS_uname, TAG(other)));
    printf(", getcwd %d", CALL2(SYS_getcwd, TAG(other), 200) > 0);
    printf(", nanosleep %ld", CALL2(SYS_nanosleep, TAG(&moment), 0));
    printf(", clock_gettime %ld", CALL2(SYS_clock_gettime, 0, TAG(&moment)));
    printf(", futex %ld", CALL4(SYS_futex, TAG(other), 1, 1, 0));
    printf(", rt_sigprocmask %ld", CALL4(SYS_rt_sigprocmask, SIG_BLOCK, TAG(&set), 0, 8));
    printf(", rt_sigaction %ld", CALL4(SYS_rt_sigaction, SIGUSR1, 0, TAG(other), 8));
    printf(", sigaltstack %ld", CALL2(SYS_sigaltstack, 0, TAG(other)));
    printf(", getrandom %ld", CALL3(SYS_getrandom, TAG(other), 4, 0));
    printf(", pipe2 %ld", CALL2(SYS_pipe2, TAG(other), 0));
    memset(other, 0, sizeof other);
    printf(", fcntl %ld", CALL3(SYS_fcntl, pipes[0], F_GETLK, TAG(other)));
    printf(", ioctl %ld", CALL3(SYS_ioctl, pipes[0], 0x541b, TAG(other)));
    printf(", prctl %ld", CALL2(SYS_prctl, PR_SET_NAME, TAG("name")));
    fflush(stdout);
    if (fork() == 0) {
        long result = CALL3(SYS_execve, "/no such file", argv, envp);
        printf(", execve %ld", result);
        fflush(stdout);
        _exit(0);
    }
    wait(0);
    puts("");
    char *place = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("places: mprotect %ld", CALL3(SYS_mprotect, TAG(place), 4096, PROT_READ));
    printf(", madvise %ld", CALL3(SYS_madvise, TAG(place), 4096, MADV_DONTNEED));
    printf(", msync %ld", CALL3(SYS_msync, TAG(place), 4096, MS_ASYNC));
    printf(", mincore %ld", CALL3(SYS_mincore, TAG(place), 4096, other));
    printf(" %ld", CALL3(SYS_mincore, place, 4096, TAG(other)));
    printf(", mremap %d", CALL4(SYS_mremap, TAG(place), 4096, 4096, 0) == (long)place);
    printf(" %ld", CALL5(SYS_mremap, place, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, TAG(place + 8192)));
    printf(", brk %d", CALL1(SYS_brk, TAG(sbrk(0))) == (long)sbrk(0));
    printf(", mmap %ld", call(SYS_mmap, TAG(place), N(4096), N(PROT_READ), N(MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS), N(-1)));
    printf(", shmat %ld", CALL3(SYS_shmdt, TAG(place), 0, 0));
    printf(", munmap %ld\n", CALL2(SYS_munmap, TAG(place), 3 * 4096));
    close(pipes[0]), close(pipes[1]), close(pair[0]), close(pair[1]);
}

static void *in_thread(void *unused) {
    printf("thread: %d\n", prctl(56, 0, 0, 0, 0));
    prctl(55, 0, 0, 0, 0);
    return unused;
}

static sigjmp_buf back;
static volatile uint64_t address, fault_address, code;
static void handler(int number, siginfo_t *info, void *context) {
    address = (uint64_t)info->si_addr, code = info->si_code;
    fault_address = ((ucontext_t *)context)->uc_mcontext.fault_address;
    siglongjmp(back, number);
}

static void fault(const char *name, int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigaction(SIGSEGV, &action, 0), sigaction(SIGBUS, &action, 0);
    sigaction(SIGSEGV, 0, &action);
    static char *gap;
    if (!gap) {
        gap = mmap(0, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(gap + 4096, 4096);
    }
    for (int i = 0; i < 6; i++) {
        int signal = sigsetjmp(back, 1);
        uint64_t *tagged = TAG(gap + 4096 - (i == 1 ? 4 : 0)), loaded;
        if (!signal)
            switch (i) {
            case 0: *(volatile uint64_t *)tagged; break;
            case 1: *(volatile uint64_t *)tagged = 1; break;
            case 2: __atomic_fetch_add(tagged, 1, __ATOMIC_SEQ_CST); break;
            case 3: __asm__ volatile("ldar %0, [%1]" : "=r"(loaded) : "r"((char *)tagged - 9)); break;
            case 4: __asm__ volatile("ld1 {v0.16b, v1.16b}, [%0]" ::"r"(tagged) : "v0", "v1"); break;
            case 5: __asm__ volatile("dc zva, %0" ::"r"(tagged)); break;
            }
        printf("%s %d: signal %d, code %d, address %s%+d, fault address %+d, flags %x\n", name, i, signal, (int)code,
               address >> 56 == 0x5a ? "tagged" : address >> 56 ? "?" : "plain", (int)((char *)UNTAG(address) - gap - 4096),
               fault_address ? (int)((char *)fault_address - gap - 4096) : -99999, action.sa_flags);
    }
}

static int function(int x) { return x + 1; }

int main(void) {
    /* Accesses and branches. */
    char *p = TAG(buffer);
    memset(p, 3, sizeof buffer);
    *(volatile int *)(p + 4) = 9;
    __atomic_fetch_add((int *)(p + 4), 1, __ATOMIC_SEQ_CST);
    int (*volatile f)(int) = (int (*)(int))TAG(function);
    printf("%d %d %d %s\n", buffer[0], *(int *)(buffer + 4), f(4), (char *)TAG("text"));
    uint64_t here, there;
    __asm__ volatile("bl 1f\n1: mov %0, x30\n movk %0, 0x5a00, lsl 48\n add %0, %0, 20\n br %0\n nop\n2: adr %1, 2b"
                     : "=&r"(here), "=r"(there)::"x30");
    printf("a branch's tag does not stay: %d\n", (int)(there >> 56));

    printf("control: %d", prctl(56, 0, 0, 0, 0));
    printf(" %d", prctl(56, 1, 0, 0, 0));
    printf(" %d", prctl(55, 2, 0, 0, 0));
    printf(" %d", prctl(55, 1, 1, 0, 0));
    printf(" %d\n", prctl(55, 1 << 1 | 1, 0, 0, 0));
    calls("refused");
    printf("control: %d", prctl(55, 1, 0, 0, 0));
    printf(" %d\n", prctl(56, 0, 0, 0, 0));
    calls("taken");
    pthread_t thread;
    pthread_create(&thread, 0, in_thread, 0), pthread_join(thread, 0);
    fflush(stdout);
    if (fork() == 0) {
        printf("fork: %d\n", prctl(56, 0, 0, 0, 0));
        fflush(stdout), _exit(0);
    }
    wait(0);
    fault("hidden", 0);
    fault("shown", 0x800 | 0x400);
    return 0;
}
