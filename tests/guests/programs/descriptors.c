// Many descriptors: the guest gets the numbers that it would get natively, also where the emulator's own stood.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 5000, FIRST = 3 };

static int most;

// Makes descriptors with `make` until there are `count`, and tells the first that does not follow the one before.
static void contiguous(const char *what, int count, int (*make)(int expected)) {
    for (int expected = FIRST; expected < count;) {
        int got = make(expected);
        if (got <= 0) {
            printf("%s: %d in the place of %d\n", what, got, expected);
            fflush(stdout);
            return;
        }
        expected += got;
    }
    printf("%s: contiguous\n", what);
    fflush(stdout);
}

static void close_all(void) {
    closefrom(FIRST);
}

static int by_dup(int expected) {
    return dup(0) == expected ? 1 : -1;
}

static int by_open(int expected) {
    return open("/dev/null", O_RDONLY) == expected ? 1 : -1;
}

static int by_socket(int expected) {
    return socket(AF_UNIX, SOCK_STREAM, 0) == expected ? 1 : -1;
}

static int by_pipe(int expected) {
    int ends[2];
    return pipe(ends) == 0 && ends[0] == expected && ends[1] == expected + 1 ? 2 : -1;
}

static int by_socketpair(int expected) {
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && ends[0] == expected && ends[1] == expected + 1 ? 2 : -1;
}

// Two at a time, over a pair of sockets that is made first.
static int by_message(int expected) {
    static int ends[2];
    if (expected == FIRST) {
        return by_socketpair(expected) == 2 ? (ends[0] = FIRST, ends[1] = FIRST + 1, 2) : -1;
    }
    char byte = 0, control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), (int[]){0, 1}, 2 * sizeof(int));
    if (sendmsg(ends[0], &message, 0) != 1 || recvmsg(ends[1], &message, 0) != 1) {
        return -1;
    }
    int got[2];
    memcpy(got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
    return got[0] == expected && got[1] == expected + 1 ? 2 : -1;
}

// All numbers of a range, from above; and the lowest from one on.
static void onto(int from, int to) {
    int failed = 0;
    for (int number = to; number >= from; number--) {
        failed += dup2(1, number) != number || write(number, "", 0) != 0;
    }
    printf("dup2 onto %d to %d: %d failed\n", from, to, failed);
    for (int number = from; number <= to; number++) {
        failed += close(number) != 0;
    }
    for (int number = from; number <= to; number++) {
        failed += fcntl(1, F_DUPFD, from) != number;
    }
    printf("F_DUPFD from %d: %d failed\n", from, failed);
    fflush(stdout);
    close_all();
}

static void execute(const char *how) {
    pid_t child = strcmp(how, "vfork") == 0 ? vfork() : fork();
    if (child == 0) {
        execl("/proc/self/exe", "descriptors", "executed", how, NULL);
        _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    printf("executed after %s: %d\n", how, status);
    fflush(stdout);
}

static void each_way(int count) {
    contiguous("dup", count, by_dup), close_all();
    contiguous("open", count, by_open), close_all();
    contiguous("socket", count, by_socket), close_all();
    contiguous("pipe", count - 1, by_pipe), close_all();
    contiguous("socketpair", count - 1, by_socketpair), close_all();
    contiguous("message", count - 1, by_message), close_all();
}

static void *in_thread(void *unused) {
    contiguous("in a thread", most, by_dup);
    execute("vfork");
    execute("fork");
    close_all();
    return unused;
}

static void in_child(void (*what)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        what();
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    printf("child: %d\n", status);
    fflush(stdout);
}

static void onto_tables(void) {
    onto(960, 1023);
    onto(most - 70, most - 1);
}

static void all_ways(void) {
    each_way(most < 1500 ? most : 1500);
}

static void with_threads(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
}

static void unshared(void) {
    unshare(CLONE_FILES);
    with_threads();
}

int main(int argc, char **argv) {
    if (argc > 2) {
        printf("%s: %s\n", argv[1], argv[2]);
        return 0;
    }
    close_all();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (argc == 1 && limit.rlim_max > 1024) {
        limit.rlim_cur = 1024;
        setrlimit(RLIMIT_NOFILE, &limit);
        execl("/proc/self/exe", "descriptors", "limited", NULL);
        return 1;
    }
    most = (int)limit.rlim_cur;
    in_child(onto_tables);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    // The last of all numbers that there are may be missed.
    most = limit.rlim_max < MANY + 100 ? (int)limit.rlim_max - 100 : MANY;
    in_child(all_ways);
    in_child(onto_tables);
    in_child(with_threads);
    in_child(unshared);
    contiguous("dup", most, by_dup);
    execute("vfork");
    execl("/proc/self/exe", "descriptors", "executed", "with many", NULL);
    return 1;
}
