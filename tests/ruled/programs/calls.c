// What the example rules decide over.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static long result(long value) { return value < 0 ? -errno : value; }
static int ok(long value) { return value < 0 ? -errno : 1; }

static void faults(const char *path) {
    static char block[1 << 20];
    int zero = open("/dev/zero", O_RDONLY), fd = open(path, O_RDWR | O_CREAT, 0600);
    for (int i = 0; i < 5; i++)
        printf("%ld ", result(read(zero, block, 8)));
    printf("\nwrote %ld\n", result(write(fd, block, sizeof block)));
    printf("then %ld\n", result(write(fd, block, 1)));
}

int main(int argc, char **argv) {
    char buffer[8];
    long total = 0;
    if (argc > 2 && !strcmp(argv[1], "read")) {
        int fd = open(argv[2], O_RDONLY);
        for (int i = 0; i < 100; i++)
            total += read(fd, buffer, 8);
        printf("read %ld\n", total);
    } else if (argc > 2 && !strcmp(argv[1], "faults")) {
        faults(argv[2]);
    } else if (argc > 1 && !strcmp(argv[1], "socket")) {
        printf("unix %d\n", ok(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
        printf("inet %d\n", ok(socket(AF_INET, SOCK_STREAM, 0)));
        printf("inet6 %d\n", ok(socket(AF_INET6, SOCK_DGRAM, 0)));
        printf("raw %d\n", ok(socket(AF_UNIX, SOCK_RAW, 0)));
#ifdef SYS_open
    } else if (argc > 2 && !strcmp(argv[1], "open")) {
        printf("reading %d\n", ok(syscall(SYS_open, argv[2], O_RDONLY)));
        printf("writing %d\n", ok(syscall(SYS_open, argv[2], O_WRONLY)));
#endif
    }
    return 0;
}
