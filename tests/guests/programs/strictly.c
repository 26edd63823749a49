// Strict mode: what may be called, and what kills.
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    for (int forbidden = 0; forbidden < 2; forbidden++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
            (void)!write(1, "strict\n", 7);
            if (forbidden)
                syscall(SYS_getpid);
            syscall(SYS_exit, 5);
        }
        int status;
        waitpid(child, &status, 0);
        printf("ended: %x\n", status);
    }
    return 0;
}
