// posix_spawn: a missing file is reported by the call itself, a good one runs.
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv, char **envp) {
    if (argc > 1) {
        printf("child: %s\n", argv[1]);
        return 9;
    }
    char *args[] = {argv[0], "hello", NULL};
    pid_t pid = -1;
    int error = posix_spawn(&pid, "/nonexistent/program", NULL, NULL, args, envp);
    printf("missing: %s\n", strerror(error));
    error = posix_spawn(&pid, "/", NULL, NULL, args, envp);
    printf("directory: %s\n", strerror(error));
    fflush(stdout);
    error = posix_spawn(&pid, argv[0], NULL, NULL, args, envp);
    int status = 0;
    waitpid(pid, &status, 0);
    printf("good: %d %d\n", error, WEXITSTATUS(status));
    // As make does: the child gives up an identity before it executes something.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_RESETIDS);
    for (int round = 0; round < 3; round++) {
        fflush(stdout);
        error = posix_spawn(&pid, argv[0], NULL, &attributes, args, envp);
        waitpid(pid, &status, 0);
        printf("identity given up: %d %d\n", error, WEXITSTATUS(status));
    }
    fflush(stdout);
    pid = vfork();
    if (pid == 0) {
        execve("/nonexistent/program", args, envp);
        _exit(errno == ENOENT ? 4 : 5);
    }
    waitpid(pid, &status, 0);
    printf("vfork: %d\n", WEXITSTATUS(status));
    return 0;
}
