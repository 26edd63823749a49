// Threads that fork while others are being created, and programs executed through descriptors.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *nothing(void *unused) { return unused; }

static void *storm(void *unused) {
    for (int i = 0; i < 20; i++) {
        free(malloc(100));
        pid_t child = fork();
        if (child == 0) {
            free(malloc(5000));
            _exit(i);
        }
        int status;
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != i)
            printf("bad child %d\n", status);
        pthread_t thread;
        if (pthread_create(&thread, 0, nothing, 0) == 0)
            pthread_join(thread, 0);
    }
    return unused;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("executed\n");
        return 7;
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, storm, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    char *arguments[] = {"x", "again", 0}, *none[] = {0};
    syscall(SYS_execveat, 99, "x", arguments, none, 0);
    printf("bad descriptor %d\n", errno == EBADF);
    syscall(SYS_execveat, AT_FDCWD, "/proc/self/cwd", arguments, none, AT_SYMLINK_NOFOLLOW);
    printf("link %d\n", errno == ELOOP);
    fflush(stdout);
    fexecve(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), arguments, none);
    return 1;
}
