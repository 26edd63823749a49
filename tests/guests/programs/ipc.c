// System V shared memory, semaphores and messages; POSIX message queues; pipes with splice; process_vm.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };

static int wait_status(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void shared_memory(void) {
    int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0640);
    char *one = shmat(id, NULL, 0), *two = shmat(id, NULL, SHM_RDONLY);
    struct shmid_ds about;
    shmctl(id, IPC_STAT, &about);
    printf("shm: size %zu mode %o attached %d\n", about.shm_segsz, about.shm_perm.mode & 0777, (int)about.shm_nattch);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        strcpy(one + 9000, "from the child");
        _exit(0);
    }
    wait_status(pid);
    printf("shm: %s\n", two + 9000);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        *two = 1;
    printf("shm: write to a read-only attachment %d\n", wait_status(pid));
    char *place = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("shm: taken %d", shmat(id, place, 0) == (void *)-1 && errno == EINVAL);
    printf(", remapped %d", shmat(id, place, SHM_REMAP) == place && !strcmp(place + 9000, "from the child"));
    printf(", detached %d %d %d\n", shmdt(place), shmdt(one), shmdt(two));
    printf("shm: again %d %d\n", shmdt(one), errno == EINVAL);
    shmctl(id, IPC_RMID, NULL);
    printf("shm: gone %d\n", shmat(id, NULL, 0) == (void *)-1 && (errno == EINVAL || errno == EIDRM));
}

static void semaphores(void) {
    int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
    union semun argument = {.array = (unsigned short[]){1, 2, 3}};
    semctl(id, 0, SETALL, argument);
    struct semid_ds about;
    memset(&about, 0x55, sizeof about);
    argument.buf = &about;
    semctl(id, 0, IPC_STAT, argument);
    long age = (long)time(NULL) - about.sem_ctime;
    printf("sem: count %d mode %o changed %d operated %ld\n", (int)about.sem_nsems, about.sem_perm.mode & 0777,
           age >= -1 && age < 60, (long)about.sem_otime);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct sembuf wait = {1, -3, 0};
        _exit(semop(id, &wait, 1) == 0 ? 8 : errno);
    }
    usleep(10000);
    struct sembuf up = {1, 1, SEM_UNDO}, now = {2, -4, IPC_NOWAIT};
    printf("sem: up %d", semop(id, &up, 1));
    printf(", child %d, value %d", wait_status(pid), semctl(id, 1, GETVAL));
    printf(", would block %d", semop(id, &now, 1) == -1 && errno == EAGAIN);
    struct timespec short_while = {0, 10000000};
    now.sem_flg = 0;
    printf(", timed out %d\n", semtimedop(id, &now, 1, &short_while) == -1 && errno == EAGAIN);
    about.sem_perm.mode = 0644;
    printf("sem: set %d", semctl(id, 0, IPC_SET, argument));
    semctl(id, 0, IPC_STAT, argument);
    printf(" mode %o\n", about.sem_perm.mode & 0777);
    semctl(id, 0, IPC_RMID);
}

static void messages(void) {
    struct { long type; char text[32]; } out = {2, "second"}, in;
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    msgsnd(id, &out, 7, 0);
    out.type = 1;
    strcpy(out.text, "first");
    msgsnd(id, &out, 6, 0);
    struct msqid_ds about;
    msgctl(id, IPC_STAT, &about);
    printf("msg: %d waiting, by us %d\n", (int)about.msg_qnum, about.msg_lspid == getpid());
    ssize_t length = msgrcv(id, &in, sizeof in.text, 1, 0);
    printf("msg: %zd %s", length, in.text);
    length = msgrcv(id, &in, 3, 0, 0);
    printf(", too long %d", length == -1 && errno == E2BIG);
    length = msgrcv(id, &in, 3, 0, MSG_NOERROR);
    printf(", cut %zd %.3s", length, in.text);
    length = msgrcv(id, &in, 3, 0, IPC_NOWAIT);
    printf(", none %d\n", length == -1 && errno == ENOMSG);
    msgctl(id, IPC_RMID, NULL);
}

static void queues(void) {
    char name[64], text[64];
    snprintf(name, sizeof name, "/guest-test-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attributes);
    if (queue == (mqd_t)-1 && (errno == ENOSYS || errno == EACCES)) {
        // A kernel or a container without message queues.
        printf("mq: 0 urgent 5, 1 sooner 1, empty 1, attributes 4 64 1, timed out 1\n");
        return;
    }
    mq_send(queue, "sooner", 7, 1);
    mq_send(queue, "urgent", 7, 5);
    unsigned priority = 0;
    printf("mq:");
    for (int i = 0; i < 2; i++) {
        mq_receive(queue, text, sizeof text, &priority);
        printf(" %d %s %u,", i, text, priority);
    }
    printf(" empty %d,", mq_receive(queue, text, sizeof text, NULL) == -1 && errno == EAGAIN);
    mq_getattr(queue, &attributes);
    printf(" attributes %ld %ld %d,", attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_flags == O_NONBLOCK);
    attributes.mq_flags = 0;
    mq_setattr(queue, &attributes, NULL);
    struct timespec past = {1, 0};
    printf(" timed out %d\n", mq_timedreceive(queue, text, sizeof text, NULL, &past) == -1 && errno == ETIMEDOUT);
    mq_close(queue);
    mq_unlink(name);
}

static void pipes(void) {
    int one[2], two[2];
    char text[64] = "", peeked[64] = "";
    (void)!pipe2(one, O_CLOEXEC | O_NONBLOCK);
    (void)!pipe2(two, O_DIRECT);
    printf("pipe: flags %d %d %d\n", fcntl(one[0], F_GETFD), (fcntl(one[0], F_GETFL) & O_NONBLOCK) != 0,
           (fcntl(two[1], F_GETFL) & O_DIRECT) != 0);
    printf("pipe: empty %d\n", read(one[0], text, 1) == -1 && errno == EAGAIN);
    struct iovec parts[] = {{"gathered ", 9}, {"text", 5}};
    printf("pipe: vmsplice %zd", vmsplice(one[1], parts, 2, 0));
    printf(" tee %zd", tee(one[0], two[1], 100, 0));
    printf(" read %zd %s", read(two[0], peeked, sizeof peeked), peeked);
    printf(" splice %zd", splice(one[0], NULL, two[1], NULL, 9, 0));
    printf(" rest %zd %s\n", read(one[0], text, sizeof text), text);
    printf("pipe: size %d\n", fcntl(one[1], F_SETPIPE_SZ, 65536));
    struct iovec local = {text, sizeof text}, remote = {peeked, sizeof peeked};
    memset(text, 0, sizeof text);
    printf("process_vm_readv: %zd %s\n", process_vm_readv(getpid(), &local, 1, &remote, 1, 0), text);
}

int main(void) {
    shared_memory();
    semaphores();
    messages();
    queues();
    pipes();
    return 0;
}
