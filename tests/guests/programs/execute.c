// Programs executed through descriptors and directories, files that are being written, scripts without a name.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1
#endif

static void execute(const char *what, int fd, const char *path, int flags) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *arguments[] = {"renamed", "child", NULL}, *environment[] = {"MARK=here", NULL};
        syscall(SYS_execveat, fd, path, arguments, environment, flags);
        printf("%s: %s\n", what, strerror(errno));
        fflush(stdout);
        _exit(1);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("%s: status %x\n", what, status);
}

static int copy(int to) {
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat st;
    fstat(from, &st);
    sendfile(to, from, &(off_t){0}, st.st_size);
    close(from);
    return to;
}

static int script(unsigned flags) {
    int fd = syscall(SYS_memfd_create, "script", flags);
    (void)!write(fd, "#!/bin/echo hi\n", 15);
    return fd;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        char link[PATH_MAX] = "";
        (void)!readlink("/proc/self/exe", link, sizeof link - 1);
        printf("executed: %s %s %s, program %s\n", argv[0], argv[1], getenv("MARK"), strrchr(link, '/') + 1);
        return 3;
    }
    char directory[] = "/tmp/guest-execute-XXXXXX", path[PATH_MAX];
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/copy", directory);
    int fd = copy(open(path, O_RDWR | O_CREAT, 0755));
    execute("while open for writing", AT_FDCWD, path, 0);
    close(fd);
    execute("closed", AT_FDCWD, path, 0);
    int place = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    execute("below a descriptor", place, "copy", 0);
    execute("nothing below it", place, "none", 0);
    execute("the directory", place, "", AT_EMPTY_PATH);
    execute("a file in memory", copy(syscall(SYS_memfd_create, "memory", MFD_CLOEXEC)), "", AT_EMPTY_PATH);
    int unlinked = open(path, O_RDONLY | O_CLOEXEC);
    chmod(path, 0644);
    execute("not executable", AT_FDCWD, path, 0);
    chmod(path, 0755);
    unlink(path);
    execute("unlinked", unlinked, "", AT_EMPTY_PATH);
    int named = script(0);
    dup2(named, 50);
    execute("a script", 50, "", AT_EMPTY_PATH);
    execute("a script that vanishes", script(MFD_CLOEXEC), "", AT_EMPTY_PATH);
    execute("a link", AT_FDCWD, "/proc/self/exe", AT_SYMLINK_NOFOLLOW);
    execute("bad flags", AT_FDCWD, "/bin/true", 0x40);
    execute("no path", AT_FDCWD, "", 0);
    rmdir(directory);
    return 0;
}
