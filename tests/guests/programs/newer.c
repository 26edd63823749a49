// Calls of newer kernels: how openat2 resolves paths, advice for another process, keys of pages.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *said(long result) { return result >= 0 ? "ok" : strerror(errno); }

static int open2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    struct open_how how = {flags, mode, resolve};
    return syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static void try(const char *path, uint64_t flags, uint64_t resolve) {
    int fd = open2(AT_FDCWD, path, flags, 0, resolve);
    printf("%s, %s%s%sresolve %#llx: %s\n", path, flags & O_DIRECTORY ? "directory, " : "", flags & O_NOFOLLOW ? "no follow, " : "",
           flags & O_PATH ? "path, " : "", (unsigned long long)resolve, said(fd));
    if (fd >= 0) close(fd);
}

static void paths(void) {
    char directory[] = "/tmp/newer.XXXXXX";
    if (!mkdtemp(directory) || chdir(directory) || mkdir("sub", 0700) || symlink("sub", "link") || symlink("/etc", "out"))
        return;
    int made = open2(AT_FDCWD, "sub/file", O_CREAT | O_WRONLY, 0640, 0);
    struct stat status;
    fstat(made, &status);
    printf("made: %o\n", status.st_mode & 0777);
    try("sub/file", O_RDONLY, 0);
    try("link/file", O_RDONLY, RESOLVE_NO_SYMLINKS);
    try("link/file", O_RDONLY, RESOLVE_BENEATH);
    try("../x", O_RDONLY, RESOLVE_BENEATH);
    try("out", O_RDONLY, RESOLVE_BENEATH);
    try("out", O_RDONLY | O_NOFOLLOW, 0);
    try("out", O_PATH | O_NOFOLLOW, 0);
    try("out/passwd", O_RDONLY, RESOLVE_IN_ROOT);
    try("/etc/passwd", O_RDONLY, 0);
    try("/etc/passwd", O_RDONLY | O_DIRECTORY, 0);
    try("/etc", O_RDONLY | O_DIRECTORY, 0);
    try("/etc/passwd", O_RDONLY, RESOLVE_BENEATH);
    try("/etc/passwd", O_RDONLY, RESOLVE_IN_ROOT);
    try("/sub/../../sub/file", O_RDONLY, RESOLVE_IN_ROOT);
    try("/proc/version", O_RDONLY, RESOLVE_NO_XDEV);
    try("/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS);
    try("/proc/self/status", O_RDONLY, RESOLVE_NO_MAGICLINKS);
    try("/proc/self/status", O_RDONLY, RESOLVE_NO_SYMLINKS);
    try("sub/file", O_RDONLY, 1 << 20);
    try("sub/file", 1ull << 40, 0);
    struct { struct open_how how; uint64_t more[2]; } long_how = {{O_RDONLY, 0, 0}, {0, 0}};
    printf("longer: %s", said(syscall(SYS_openat2, AT_FDCWD, "sub/file", &long_how, sizeof long_how)));
    long_how.more[1] = 1;
    printf(", unknown: %s", said(syscall(SYS_openat2, AT_FDCWD, "sub/file", &long_how, sizeof long_how)));
    printf(", shorter: %s", said(syscall(SYS_openat2, AT_FDCWD, "sub/file", &long_how, 16)));
    printf(", nowhere: %s\n", said(syscall(SYS_openat2, AT_FDCWD, "sub/file", 8, 24)));
    // The program's own files.
    char name[64] = "", line[512] = "";
    int fd = open2(AT_FDCWD, "/proc/self/maps", O_RDONLY, 0, 0), emulator = 0;
    FILE *maps = fdopen(fd, "r");
    while (fgets(line, sizeof line, maps)) emulator += strstr(line, "qemu-lua") != NULL;
    fclose(maps);
    fd = open2(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0, 0);
    printf("own program: %d, emulator in maps: %d\n", (int)read(fd, name, 4) == 4 && !memcmp(name, "\177ELF", 4), emulator);
    unlink("sub/file"), rmdir("sub"), unlink("link"), unlink("out");
    if (chdir("/") == 0) rmdir(directory);
}

static void advice(void) {
    char *area = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 1, 16384);
    struct iovec parts[] = {{area, 4096}, {area + 8192, 8192}};
    int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
    printf("advice: %ld", syscall(SYS_process_madvise, pidfd, parts, 2, MADV_COLD, 0));
    printf(", flags: %s", said(syscall(SYS_process_madvise, pidfd, parts, 2, MADV_COLD, 1)));
    printf(", no process: %s", said(syscall(SYS_process_madvise, 99, parts, 2, MADV_COLD, 0)));
    printf(", unknown: %s", said(syscall(SYS_process_madvise, pidfd, parts, 2, 12345, 0)));
    printf(", nowhere: %s", said(syscall(SYS_process_madvise, pidfd, 8, 2, MADV_COLD, 0)));
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    int other = syscall(SYS_pidfd_open, child, 0);
    printf(", of a child: %ld\n", syscall(SYS_process_madvise, other, parts, 2, MADV_PAGEOUT, 0));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("contents: %d\n", area[0] + area[16383]);
}

// Where a key can be had, its use works; where none can, it is said so (by EINVAL where the kernel has keys, but the processor none).
static void keys(void) {
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int key = syscall(SYS_pkey_alloc, 0, 0), none = errno == ENOSPC || errno == ENOSYS || errno == EINVAL;
    int usable = key < 0 ? none
        : syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, key) == 0 && syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, 0) == 0;
    printf("keys are consistent: %d\n", usable);
    printf("not allocated: %s", said(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, 9)));
    printf(", none: %s", said(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_WRITE, -1)));
    printf(", flags: %s", said(syscall(SYS_pkey_alloc, 1, 0)));
    printf(", rights: %s", said(syscall(SYS_pkey_alloc, 0, 99)));
    printf(", freed: %s\n", said(syscall(SYS_pkey_free, 9)));
    page[0] = 1;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    paths();
    advice();
    keys();
    return 0;
}
