/* The load generator: the far end of every measured connection.

   usage: load WORK CONNECTIONS [RATE [SIZE]]

   It says on which port it listens, waits for that many connections and says so.  Then each line
   "N" on its standard input asks for one round of N units of the work, and is answered by the
   seconds it took, the units done, and the processor seconds that the generator itself spent:

   paced    N messages of SIZE bytes, RATE of them per second, to one connection after the other
   bulk     N times ROUND_SIZE bytes, each answered by a byte
   burst    N times SIZE bytes to one connection after the other, each answered by a byte
   frames   N batches of frames, a length before each; the empty one at the end is answered by a byte
   echo     N messages that come back, one at a time on every connection
   idle     nothing at all

   It never sleeps while it waits for an echo: waking it would take longer than most answers. */

#include "net.h"

static SOCKET *sockets;
static int count;
static char *data;

static const int frame_kib[] = {16, 32, 64, 128, 256, 512, 1024};
static const int batch_repeats = 8;

static void paced(long units, double rate, size_t size)
{
    double begin = now();
    for (long done = 0; done < units; done++) {
        sleep_until(begin + (double)done / rate);
        send_all(sockets[done % count], data, size);
    }
}

static void send_and_wait(long units, size_t size)
{
    char answer;
    for (long done = 0; done < units; done++)
        send_all(sockets[0], data, size);
    for (long done = 0; done < units; done++)
        receive_all(sockets[0], &answer, 1);
}

static void burst(long units, size_t size)
{
    char answer;
    for (long done = 0; done < units; done++) {
        for (int i = 0; i < count; i++)
            send_all(sockets[i], data, size);
        for (int i = 0; i < count; i++)
            receive_all(sockets[i], &answer, 1);
    }
}

static size_t add_frame(char *target, size_t size)
{
    uint32_t length = htonl((uint32_t)size);
    memcpy(target, &length, sizeof length);
    return sizeof length + size;
}

static size_t make_batch(void)
{
    size_t size = 0;
    for (int repeat = 0; repeat < batch_repeats; repeat++)
        for (size_t i = 0; i < sizeof frame_kib / sizeof *frame_kib; i++)
            size += add_frame(data + size, (size_t)frame_kib[i] * 1024);
    return size + add_frame(data + size, 0);
}

static void echo(long units)
{
    struct pollfd *polled = calloc((size_t)count, sizeof *polled);
    int *missing = calloc((size_t)count, sizeof *missing);
    long asked = 0, answered = 0;
    for (int i = 0; i < count; i++) {
        polled[i].fd = sockets[i];
        polled[i].events = POLLIN;
        if (asked < units) {
            send_all(sockets[i], data, MESSAGE_SIZE);
            missing[i] = MESSAGE_SIZE;
            asked++;
        }
    }
    while (answered < units) {
        if (poll(polled, (unsigned)count, 0) < 0)
            fail("poll");
        for (int i = 0; i < count; i++) {
            if (!polled[i].revents)
                continue;
            char received[MESSAGE_SIZE];
            int size = (int)recv(sockets[i], received, (int)sizeof received, 0);
            if (size <= 0)
                fail("recv");
            missing[i] -= size;
            if (missing[i])
                continue;
            answered++;
            if (asked < units) {
                send_all(sockets[i], data, MESSAGE_SIZE);
                missing[i] = MESSAGE_SIZE;
                asked++;
            }
        }
    }
    free(polled);
    free(missing);
}

static void serve(int connections)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == INVALID_SOCKET || bind(listener, (struct sockaddr *)&address, size) ||
        listen(listener, 1024) || getsockname(listener, (struct sockaddr *)&address, &size))
        fail("listen");
    printf("bench port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (count < connections) {
        SOCKET sock = accept(listener, NULL, NULL);
        if (sock == INVALID_SOCKET)
            fail("accept");
        no_delay(sock);
        sockets[count++] = sock;
    }
    printf("bench connected\n");
    fflush(stdout);
    closesocket(listener);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("reading the arguments");
    const char *work = argv[1];
    int connections = atoi(argv[2]);
    double rate = argc > 3 ? atof(argv[3]) : 0;
    size_t size = argc > 4 ? (size_t)atol(argv[4]) : MESSAGE_SIZE;
    start_network();
    sockets = calloc((size_t)connections, sizeof *sockets);
    data = calloc(2, ROUND_SIZE);
    size_t batch = strcmp(work, "frames") ? ROUND_SIZE : make_batch();
    serve(connections);

    long units;
    while (scanf("%ld", &units) == 1) {
        double begin = now(), spent = processor_time();
        if (!strcmp(work, "paced"))
            paced(units, rate, size);
        else if (!strcmp(work, "bulk") || !strcmp(work, "frames"))
            send_and_wait(units, batch);
        else if (!strcmp(work, "burst"))
            burst(units, size);
        else if (!strcmp(work, "echo"))
            echo(units);
        printf("bench round %.9f %.9f\n", now() - begin, processor_time() - spent);
        fflush(stdout);
    }
    return 0;
}
