/* A plain native receiver, as quick as blocking calls are: it shows what the generator can do.

   usage: sink WORK PORT CONNECTIONS */

#include "net.h"

static char buffer[2 * ROUND_SIZE];

static void receive_bulk(SOCKET sock)
{
    for (size_t received = 0;;) {
        int size = (int)recv(sock, buffer, 256 * 1024, 0);
        if (size <= 0)
            return;
        received += (size_t)size;
        if (received >= ROUND_SIZE) {
            received -= ROUND_SIZE;
            send_all(sock, "!", 1);
        }
    }
}

static void receive_frames(SOCKET sock)
{
    for (;;) {
        uint32_t length;
        if (recv(sock, (char *)&length, sizeof length, MSG_WAITALL) != sizeof length)
            return;
        if (length)
            receive_all(sock, buffer, ntohl(length));
        else
            send_all(sock, "!", 1);
    }
}

static void answer(SOCKET *sockets, int count, int echo)
{
    struct pollfd *polled = calloc((size_t)count, sizeof *polled);
    for (int i = 0; i < count; i++) {
        polled[i].fd = sockets[i];
        polled[i].events = POLLIN;
    }
    for (;;) {
        if (count > 1 && poll(polled, (unsigned)count, -1) < 0)
            fail("poll");
        for (int i = 0; i < count; i++) {
            if (count > 1 && !polled[i].revents)
                continue;
            int size = (int)recv(sockets[i], buffer, MESSAGE_SIZE, 0);
            if (size <= 0)
                return;
            if (echo)
                send_all(sockets[i], buffer, (size_t)size);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("reading the arguments");
    const char *work = argv[1];
    int count = atoi(argv[3]);
    SOCKET *sockets = calloc((size_t)count, sizeof *sockets);
    start_network();
    for (int i = 0; i < count; i++) {
        struct sockaddr_in address = loopback(atoi(argv[2]));
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(sockets[i], (struct sockaddr *)&address, sizeof address))
            fail("connect");
        no_delay(sockets[i]);
    }
    if (!strcmp(work, "bulk"))
        receive_bulk(sockets[0]);
    else if (!strcmp(work, "frames"))
        receive_frames(sockets[0]);
    else
        answer(sockets, count, !strcmp(work, "echo"));
    return 0;
}
