// TCP, UDP and Unix sockets: descriptors and credentials in messages, batches, options, shutdown.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int listener(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    socklen_t size = sizeof *address;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (void *)address, size) || listen(fd, 5) || getsockname(fd, (void *)address, &size))
        perror("listener");
    return fd;
}

static void *echo(void *argument) {
    int fd = accept4(*(int *)argument, NULL, NULL, SOCK_CLOEXEC);
    char buffer[1000];
    ssize_t got, all = 0;
    while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        all += got;
        send(fd, buffer, got, MSG_NOSIGNAL);
    }
    close(fd);
    return (void *)all;
}

static void tcp(void) {
    struct sockaddr_in address, peer;
    int server = listener(&address), client = socket(AF_INET, SOCK_STREAM, 0), value = 1, pending = 0;
    socklen_t size = sizeof value;
    pthread_t thread;
    pthread_create(&thread, NULL, echo, &server);
    printf("tcp: connect %d\n", connect(client, (void *)&address, sizeof address));
    printf("tcp: nodelay %d", setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
    value = 0;
    printf(" %d", getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &size));
    printf(" %d\n", value != 0);
    size = sizeof peer;
    getpeername(client, (void *)&peer, &size);
    printf("tcp: peer %s %d\n", inet_ntoa(peer.sin_addr), peer.sin_port == address.sin_port);
    char *big = malloc(200000), *back = malloc(200000);
    for (int i = 0; i < 200000; i++)
        big[i] = i * 7;
    struct pollfd ready = {client, POLLIN | POLLOUT, 0};
    size_t sent = 0, received = 0;
    fcntl(client, F_SETFL, O_NONBLOCK);
    while (received < 200000 && poll(&ready, 1, 20000) > 0) {
        if (ready.revents & POLLOUT && sent < 200000) {
            ssize_t done = send(client, big + sent, 200000 - sent, 0);
            sent += done > 0 ? done : 0;
        }
        if (ready.revents & POLLIN) {
            ssize_t done = recv(client, back + received, 200000 - received, 0);
            received += done > 0 ? done : 0;
        }
        if (sent == 200000)
            ready.events = POLLIN;
    }
    printf("tcp: %zu back, same %d\n", received, !memcmp(big, back, 200000));
    printf("tcp: ioctl %d", ioctl(client, FIONREAD, &pending));
    printf(" %d, shutdown %d", pending, shutdown(client, SHUT_WR));
    void *all;
    pthread_join(thread, &all);
    printf(", echoed %ld", (long)all);
    fcntl(client, F_SETFL, 0);
    printf(", end %zd\n", recv(client, back, 10, 0));
    close(client);
    close(server);
    client = socket(AF_INET, SOCK_STREAM, 0);
    printf("tcp: refused %d\n", connect(client, (void *)&address, sizeof address) == -1 && errno == ECONNREFUSED);
    close(client);
}

static void udp(void) {
    int one = socket(AF_INET, SOCK_DGRAM, 0), two = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, from;
    socklen_t size = sizeof address;
    bind(one, (void *)&address, size);
    getsockname(one, (void *)&address, &size);
    struct mmsghdr out[3] = {0}, in[4] = {0};
    struct iovec parts[3][2], places[4];
    char rooms[4][32];
    for (int i = 0; i < 3; i++) {
        parts[i][0] = (struct iovec){"datagram ", 9};
        parts[i][1] = (struct iovec){(char *)"one\0two\0six" + 4 * i, 4};
        out[i].msg_hdr = (struct msghdr){.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = parts[i], .msg_iovlen = 2};
    }
    for (int i = 0; i < 4; i++) {
        places[i] = (struct iovec){rooms[i], sizeof rooms[i]};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
    }
    printf("udp: sent %d", sendmmsg(two, out, 3, 0));
    struct timespec patience = {5, 0};
    int got = recvmmsg(one, in, 3, 0, &patience);
    printf(", received %d:", got);
    for (int i = 0; i < got; i++)
        printf(" %s (%u)", rooms[i], in[i].msg_len);
    sendto(two, "x", 1, 0, (void *)&address, sizeof address);
    size = sizeof from;
    char byte;
    printf("\nudp: peek %zd", recvfrom(one, &byte, 1, MSG_PEEK, (void *)&from, &size));
    printf(" %zd %d", recvfrom(one, &byte, 1, 0, NULL, NULL), from.sin_addr.s_addr == address.sin_addr.s_addr);
    printf(", none %d\n", recv(one, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    struct timeval limit = {0, 20000};
    setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    printf("udp: timeout %d\n", recv(one, &byte, 1, 0) == -1 && errno == EAGAIN);
    close(one);
    close(two);
}

static void descriptors_in_messages(void) {
    int pair[2], pipes[2], on = 1;
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    (void)!pipe(pipes);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char space[CMSG_SPACE(sizeof pipes)] = {0};
        struct iovec part = {"fds", 4};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof pipes);
        memcpy(CMSG_DATA(header), pipes, sizeof pipes);
        (void)!write(pipes[1], "through a passed pipe", 22);
        _exit(sendmsg(pair[0], &message, 0) == 4 ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    close(pipes[0]);
    close(pipes[1]);
    char space[256], text[64] = "", word[8];
    struct iovec part = {word, sizeof word};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    ssize_t got = recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC);
    printf("unix: %zd %s, flags %d\n", got, word, message.msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_type == SCM_RIGHTS) {
            int fds[2];
            memcpy(fds, CMSG_DATA(header), sizeof fds);
            (void)!read(fds[0], text, sizeof text);
            printf("unix: %s, close-on-exec %d\n", text, fcntl(fds[0], F_GETFD));
        } else if (header->cmsg_type == SCM_CREDENTIALS) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(header), sizeof who);
            printf("unix: from the child %d\n", who.pid == pid && who.uid == getuid());
        }
    }
    struct ucred peer;
    socklen_t size = sizeof peer;
    getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &size);
    printf("unix: peer %d\n", peer.pid == getpid());
    signal(SIGPIPE, SIG_IGN);
    close(pair[1]);
    printf("unix: broken %d\n", send(pair[0], "x", 1, 0) == -1 && errno == EPIPE);
}

static void abstract_names(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, 64, "guest-test-%d", getpid());
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + length;
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    printf("abstract: %d", bind(server, (void *)&name, size));
    printf(" %d", listen(server, 1));
    printf(" %d", connect(client, (void *)&name, size));
    int served = accept(server, NULL, NULL), file = open("/bin/sh", O_RDONLY);
    char text[32] = "";
    printf(", sendfile %d", sendfile(served, file, NULL, 100) > 0);
    printf(" %d\n", recv(client, text, sizeof text, 0) > 0);
}

int main(void) {
    tcp();
    udp();
    descriptors_in_messages();
    abstract_names();
    return 0;
}
