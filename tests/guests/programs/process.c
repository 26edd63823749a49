// fork, exec, wait statuses, descriptors, working directory, memory calls.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void show_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    int low = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
            low++;
    closedir(dir);
    printf("descriptors: %d\n", low);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("executed: %s %s\n", argv[0], getenv("MARK"));
        return 6;
    }
    int fd = open("/dev/null", O_RDONLY);
    printf("first descriptor: %d\n", fd);
    close(fd);
    show_descriptors();
    printf("close_range: %d\n", close_range(3, ~0U, 0));
    struct stat st;
    stat("/dev/null", &st);
    printf("null: %o %d\n", st.st_mode, st.st_rdev == 0x103);
    printf("directory flag: %d\n", open("/dev/null", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
    fd = open("/dev", O_RDONLY | O_DIRECTORY);
    printf("directory: %d\n", fcntl(fd, F_GETFL) & O_DIRECTORY ? 1 : 0);
    close(fd);
    int event = eventfd(0, 0), poll = epoll_create1(0);
    struct epoll_event want = {.events = EPOLLIN, .data.u64 = 0x123456789abcdefULL}, ready;
    epoll_ctl(poll, EPOLL_CTL_ADD, event, &want);
    (void)!write(event, &(uint64_t){1}, 8);
    printf("epoll: %d %llx\n", epoll_wait(poll, &ready, 1, 1000), (unsigned long long)ready.data.u64);
    int pair[2];
    char text[16] = "";
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    send(pair[0], "through", 8, 0);
    recv(pair[1], text, sizeof text, 0);
    printf("socket: %s\n", text);
    char *area = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(area + 100, "moved");
    area = mremap(area, 16384, 1 << 20, MREMAP_MAYMOVE);
    printf("mremap: %s %d\n", area + 100, munmap(area, 1 << 20));
    void *brk0 = sbrk(0);
    printf("brk: %d %d\n", sbrk(100000) == brk0, sbrk(-100000) == (char *)brk0 + 100000);
    fflush(stdout);
    for (int mode = 0; mode < 4; mode++) {
        pid_t pid = fork();
        if (pid == 0) {
            char *args[] = {"renamed", "x", NULL}, *env[] = {"MARK=here", NULL};
            switch (mode) {
            case 0: _exit(42);
            case 1: raise(SIGTERM); break;
            case 2: execve(argv[0], args, env); break;
            default: execve("/nonexistent", args, env);
            }
            _exit(errno == ENOENT ? 1 : 2);
        }
        int status;
        waitpid(pid, &status, 0);
        printf("child %d: %d %d\n", mode, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        fflush(stdout);
    }
    char link[256];
    ssize_t len = readlink("/proc/self/exe", link, sizeof link);
    printf("exe: %d\n", len > 0 && !strstr(link, "qemu-lua"));
    return 0;
}
