// A process in a root that has nothing but this program: no /proc, no emulator. It executes itself there by path, by
// descriptor, by a path from a directory, as a script, and in a child that vfork made.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void copy(const char *from, const char *to) {
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, n) != n) abort();
    close(in);
    close(out);
}

static void reap(const char *what, pid_t pid) {
    int status = -1;
    if (pid < 0) {
        printf("%s: %s\n", what, strerror(errno));
        return;
    }
    waitpid(pid, &status, 0);
    printf("%s: %d %d\n", what, WIFEXITED(status), WEXITSTATUS(status));
    fflush(stdout);
}

static void inside(void) {
    char *args[] = {"/prog", "9", NULL};
    pid_t pid;
    if (!(pid = fork())) { execv("/prog", args); _exit(errno); }
    reap("by path", pid);
    if (!(pid = fork())) { fexecve(open("/prog", O_RDONLY | O_CLOEXEC), args, environ); _exit(errno); }
    reap("by descriptor", pid);
    if (!(pid = fork())) { syscall(SYS_execveat, open("/", O_RDONLY), "prog", args, environ, 0); _exit(errno); }
    reap("from a directory", pid);
    if (!(pid = fork())) { execv("/script", args); _exit(errno); }
    reap("a script", pid);
    if (!(pid = vfork())) { execv("/prog", args); _exit(errno); }
    reap("after vfork", pid);
    int error = posix_spawn(&pid, "/missing", NULL, NULL, args, environ);
    printf("a missing file: %d\n", error == ENOENT);
    void *many[64];
    for (int i = 0; i < 64; i++) {
        many[i] = mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (many[i] == MAP_FAILED) puts("no room");
    }
    printf("/proc: %d\n", access("/proc/self", F_OK));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("executed with %s\n", argv[argc - 1]);
        fflush(stdout);
        return atoi(argv[argc - 1]);
    }
    char root[] = "/tmp/chroot-test-XXXXXX", path[64];
    if (!mkdtemp(root)) return 1;
    snprintf(path, sizeof path, "%s/prog", root);
    copy("/proc/self/exe", path);
    snprintf(path, sizeof path, "%s/script", root);
    int script = open(path, O_WRONLY | O_CREAT, 0755);
    dprintf(script, "#!/prog 8\n");
    close(script);
    pid_t pid = fork();
    if (!pid) {
        if (geteuid() != 0 && unshare(CLONE_NEWUSER)) { puts("no namespaces"); return 0; }
        if (chroot(root) || chdir("/")) { puts("no chroot"); return 0; }
        inside();
        fflush(stdout);
        _exit(0);
    }
    reap("the root", pid);
    snprintf(path, sizeof path, "%s/prog", root);
    unlink(path);
    snprintf(path, sizeof path, "%s/script", root);
    unlink(path);
    return rmdir(root);
}
