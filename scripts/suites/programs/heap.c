// What AddressSanitizer and UndefinedBehaviorSanitizer look for, by the argument; `clean` has none of it: threads, forks,
// exceptions of every allocation size, and deep stacks.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void *allocate(void *seed) {
    unsigned state = (unsigned)(size_t)seed, sum = 0;
    char *kept[64] = {0};
    for (int i = 0; i < 20000; i++) {
        state = state * 1103515245 + 12345;
        unsigned slot = state >> 26, size = (state >> 8) % 3000 + 1;
        free(kept[slot]);
        kept[slot] = malloc(size);
        memset(kept[slot], (int)slot, size);
        sum += (unsigned char)kept[slot][size - 1] + size;
    }
    for (int i = 0; i < 64; i++) free(kept[i]);
    return (void *)(size_t)sum;
}

static int deep(int n) {
    char room[256];
    memset(room, n, sizeof room);
    return n == 0 ? room[7] : deep(n - 1) + room[255] * 0;
}

static sigjmp_buf escape;
static void caught(int signal) { siglongjmp(escape, signal); }

static void clean(void) {
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++) pthread_create(&threads[i], NULL, allocate, (void *)(i + 1));
    size_t sum = 0;
    for (int i = 0; i < 8; i++) {
        void *one;
        pthread_join(threads[i], &one);
        sum += (size_t)one;
    }
    printf("allocated %zu, deep %d\n", sum, deep(5000));
    for (int i = 0; i < 4; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) _exit((int)(size_t)allocate((void *)(size_t)(i + 1)) & 63);
        int status;
        waitpid(child, &status, 0);
        printf("child %d\n", WEXITSTATUS(status));
    }
    signal(SIGBUS, caught);
    FILE *file = tmpfile();
    char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    if (sigsetjmp(escape, 1) == 0) printf("%d\n", *(volatile char *)page);
    else puts("bus error, and on");
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "clean";
    volatile int n = (int)strlen(what);
    int *numbers = malloc(10 * sizeof *numbers);
    int local[4] = {0};
    memset(numbers, 0, 10 * sizeof *numbers);
    if (!strcmp(what, "clean")) clean();
    if (!strcmp(what, "heap")) numbers[n + 6] = 1;
    if (!strcmp(what, "stack")) printf("%d\n", *(local + n - 1));
    if (!strcmp(what, "null")) printf("%d\n", *(volatile int *)(size_t)(n - 4));
    if (!strcmp(what, "undefined")) {
        int big = 0x7ffffff0 + n * 2;
        printf("%d\n", big + n);
        printf("%d\n", 1 << (n + 30));
        printf("%d\n", numbers[0] / (n - 8));
    }
    free(numbers);
    if (!strcmp(what, "free")) printf("%d\n", ((volatile int *)numbers)[1]);
    return 0;
}
