// Limits of the address space and of data: what is refused under them, who inherits them, who may raise them. And one of files,
// which is not the emulator's business.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t MEGABYTE = 1 << 20;

static const char *said(int failed) { return failed ? strerror(errno) : "ok"; }

static void show(const char *who) {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    printf("%s: %lld of %lld\n", who, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    // Most of what is there differs from one machine to the next, but not how a line looks.
    char line[128];
    FILE *shown = fopen("/proc/self/limits", "r");
    for (int number = 0; fgets(line, sizeof line, shown); number++)
        if (number == 0 || strstr(line, "address space")) printf("%s", line);
    fclose(shown);
}

static void *map(size_t megabytes) {
    return mmap(NULL, megabytes * MEGABYTE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void *thread(void *unused) {
    printf("in a thread: %s\n", said(map(150) == MAP_FAILED));
    struct rlimit lower = {180 * MEGABYTE, 200 * MEGABYTE};
    setrlimit(RLIMIT_AS, &lower);
    return unused;
}

static void *writable(size_t megabytes, int flags) {
    return mmap(NULL, megabytes * MEGABYTE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void data(const char *own) {
    struct rlimit limit = {40 * MEGABYTE, 80 * MEGABYTE}, none = {0, 0};
    setrlimit(RLIMIT_DATA, &limit);
    char line[128];
    FILE *shown = fopen("/proc/self/limits", "r");
    while (fgets(line, sizeof line, shown))
        if (strstr(line, "data size")) printf("%s", line);
    fclose(shown);
    char *area = writable(30, MAP_PRIVATE), *other = map(30);
    printf("data: %s", said(area == MAP_FAILED));
    printf(", more: %s", said(writable(30, MAP_PRIVATE) == MAP_FAILED));
    printf(", shared: %s", said(writable(30, MAP_SHARED) == MAP_FAILED));
    printf(", not writable: %s", said(other == MAP_FAILED));
    printf(", then writable: %s", said(mprotect(other, 30 * MEGABYTE, PROT_READ | PROT_WRITE)));
    printf(", a part: %s", said(mprotect(other, MEGABYTE, PROT_READ | PROT_WRITE)));
    printf(", again: %s", said(mprotect(area, 30 * MEGABYTE, PROT_READ | PROT_WRITE)));
    printf(", grown: %s", said(mremap(area, 30 * MEGABYTE, 60 * MEGABYTE, MREMAP_MAYMOVE) == MAP_FAILED));
    printf(", break: %s", said(sbrk(20 * MEGABYTE) == (void *)-1));
    printf(", gone: %d", munmap(area, 30 * MEGABYTE));
    printf(", break: %s\n", said(sbrk(20 * MEGABYTE) == (void *)-1));
    setrlimit(RLIMIT_FSIZE, &none);
    fflush(stdout);
    execl(own, own, "data", NULL);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1 && argv[1][0] == 'd') {
        printf("executed: %s %s", said(writable(20, MAP_PRIVATE) == MAP_FAILED), said(writable(60, MAP_PRIVATE) == MAP_FAILED));
        show(", with what can be said");
        return 0;
    }
    if (argc > 1) {
        show("executed");
        printf("and there: %s %s\n", said(map(20) == MAP_FAILED), said(map(200) == MAP_FAILED));
        return 0;
    }
    if (fork() == 0) {
        data(argv[0]);
        _exit(9);
    }
    wait(NULL);
    show("at first");
    struct rlimit limit = {200 * MEGABYTE, 400 * MEGABYTE}, old;
    setrlimit(RLIMIT_AS, &limit);
    show("set");
    char *area = map(100);
    printf("within: %s\n", said(area == MAP_FAILED));
    printf("too much: %s\n", said(map(150) == MAP_FAILED));
    printf("in place of it: %s\n",
           said(mmap(area, 100 * MEGABYTE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED));
    printf("grown: %s\n", said(mremap(area, 100 * MEGABYTE, 250 * MEGABYTE, MREMAP_MAYMOVE) == MAP_FAILED));
    printf("shrunk: %s\n", said(mremap(area, 100 * MEGABYTE, 50 * MEGABYTE, MREMAP_MAYMOVE) == MAP_FAILED));
    printf("break: %s\n", said(sbrk(200 * MEGABYTE) == (void *)-1));
    printf("a smaller one: %s\n", said(sbrk(MEGABYTE) == (void *)-1));
    int segment = shmget(IPC_PRIVATE, 180 * MEGABYTE, 0600);
    printf("segment: %s\n", said(shmat(segment, NULL, 0) == (void *)-1));
    shmctl(segment, IPC_RMID, NULL);
    pthread_t other;
    int error = pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
    printf("thread: %d\n", error);
    show("as the thread set it");
    prlimit(getpid(), RLIMIT_AS, NULL, &old);
    printf("by number: %lld\n", (long long)old.rlim_cur);
    struct rlimit wrong = {2, 1};
    printf("soft above hard: %s", said(setrlimit(RLIMIT_AS, &wrong)));
    printf(", nowhere: %s", said(syscall(SYS_prlimit64, 0, RLIMIT_AS, 8, 0)));
    printf(", other: %s\n", said(getrlimit(RLIMIT_NOFILE, &old)));
    int status;
    if (fork() == 0) {
        show("child");
        struct rlimit own = {60 * MEGABYTE, 60 * MEGABYTE};
        munmap(area, 50 * MEGABYTE);
        setrlimit(RLIMIT_AS, &own);
        if (syscall(SYS_setresuid, 65534, 65534, 65534) == 0) {
            own.rlim_max++;
            printf("raised: %s\n", said(setrlimit(RLIMIT_AS, &own)));
        }
        execl(argv[0], argv[0], "again", NULL);
        _exit(9);
    }
    wait(&status);
    printf("status %d\n", status);
    show("parent");
    return 0;
}
