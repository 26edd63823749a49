// A signal for a thread that waits for a page (userfaultfd): its handler runs before the page is there.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static sem_t handled;

static void handler(int number) {
    (void)number;
    sem_post(&handled);
}

static void *touch(void *page) { return (void *)(long)*(volatile char *)page; }

int main(void) {
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api)) {
        puts("no userfaultfd");
        return 0;
    }
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register watched = {.range = {(uintptr_t)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    struct uffdio_zeropage zero = {.range = {(uintptr_t)page, 4096}};
    struct uffd_msg message;
    struct timespec end;
    pthread_t thread;
    sem_init(&handled, 0, 0);
    signal(SIGUSR1, handler);
    if (ioctl(fd, UFFDIO_REGISTER, &watched)) return 1;
    pthread_create(&thread, NULL, touch, page);
    if (read(fd, &message, sizeof message) != sizeof message) return 2;
    pthread_kill(thread, SIGUSR1);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 20;
    int early = sem_timedwait(&handled, &end) == 0;
    ioctl(fd, UFFDIO_ZEROPAGE, &zero);
    pthread_join(thread, NULL);
    puts(early ? "before the page" : "after the page");
    return 0;
}
