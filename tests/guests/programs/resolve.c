// openat2: paths from the root and from a directory of it, under conditions on the way.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int directory;

static void opened(int from, const char *path, unsigned long resolve) {
    struct open_how how = {.flags = O_RDONLY, .resolve = resolve};
    char text[16] = "";
    int fd = syscall(SYS_openat2, from, path, &how, sizeof how);
    int error = errno;
    if (fd >= 0 && read(fd, text, sizeof text - 1) < 0) strcpy(text, "unread");
    printf("%s %s, %lx: %s\n", from == AT_FDCWD ? "/" : "directory", path, resolve, fd >= 0 ? text : strerrorname_np(error));
    if (fd >= 0) close(fd);
}

int main(void) {
    static const unsigned long conditions[] = {0, RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS,
                                               RESOLVE_BENEATH, RESOLVE_IN_ROOT};
    static const char *const paths[] = {"/only/file", "//only/link", "/only/../only/file", "/only/none"};
    directory = open("/only", O_PATH | O_DIRECTORY);
    for (unsigned c = 0; c < sizeof conditions / sizeof *conditions; c++) {
        for (unsigned p = 0; p < sizeof paths / sizeof *paths && c < 5; p++) opened(AT_FDCWD, paths[p], conditions[c]);
        opened(directory, "file", conditions[c]);
        opened(directory, "link", conditions[c]);
        opened(directory, "../only/file", conditions[c]);
        opened(directory, "/file", conditions[c]);
    }
    return 0;
}
