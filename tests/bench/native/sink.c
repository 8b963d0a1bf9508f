/* A native receiver that does as little as it can: it shows what the generator can do.

   Where the system can, it drops a flood without copying it, and it never sleeps for an echo.

   usage: sink PORT CONNECTIONS ANSWER_EACH

   One byte is answered for each so many bytes; 0 means that all that comes is sent back. */

#include "net.h"

#ifdef _WIN32
#define DROP 0
#else
#define DROP MSG_TRUNC
#endif

static char buffer[2 * ROUND_SIZE];

static void receive_bulk(SOCKET sock, size_t answer_each)
{
    for (size_t received = 0;;) {
        sleep_until(now() + 50e-6); /* many small receives would hold the generator up */
        int size = (int)recv(sock, buffer, ROUND_SIZE, DROP);
        if (size <= 0)
            return;
        received += (size_t)size;
        while (received >= answer_each) {
            received -= answer_each;
            send_all(sock, "!", 1);
        }
    }
}

static void answer(SOCKET *sockets, int count)
{
    struct pollfd *polled = calloc((size_t)count, sizeof *polled);
    for (int i = 0; i < count; i++) {
        polled[i].fd = sockets[i];
        polled[i].events = POLLIN;
    }
    for (;;) {
        if (poll(polled, (unsigned)count, 0) < 0)
            fail("poll");
        for (int i = 0; i < count; i++) {
            if (!polled[i].revents)
                continue;
            int size = (int)recv(sockets[i], buffer, MESSAGE_SIZE, 0);
            if (size <= 0)
                return;
            send_all(sockets[i], buffer, (size_t)size);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("reading the arguments");
    int count = atoi(argv[2]);
    size_t answer_each = (size_t)atol(argv[3]);
    SOCKET *sockets = calloc((size_t)count, sizeof *sockets);
    start_network();
    for (int i = 0; i < count; i++)
        sockets[i] = connect_to(atoi(argv[1]));
    if (answer_each)
        receive_bulk(sockets[0], answer_each);
    else
        answer(sockets, count);
    return 0;
}
