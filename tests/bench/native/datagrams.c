/* The load generator for datagrams: it sends to one socket, from as many as there are peers.

   usage: datagrams WORK PEERS [RATE [SIZE]]

   It says on which port its first socket is, and waits for a datagram, which tells where to send.
   Then each line "N" on its standard input asks for one round of N units of the work, and is
   answered by the seconds it took, and by those in which it was busy sending:

   paced    N datagrams of SIZE bytes, RATE of them per second, the last of them to be answered
   burst    N times BURST datagrams of SIZE bytes, sent at once, the last of them to be answered
   echo     N datagrams that come back, one at a time for every peer

   A datagram begins with its number and with whether it is to be answered, by the number that the
   next one will have, or by a wrong one if any was lost, doubled or overtaken: then this program
   ends.  So no more are on the way than the receiver's kernel has room for.  When the standard input
   ends, a datagram of one byte is sent.

   It never sleeps while it waits for an answer, but for those of paced datagrams. */

#include "net.h"

enum { BURST = 64, DEADLINE = 60 /* seconds */ };

struct header {
    uint32_t number;
    uint32_t answer;
};

static struct pollfd *polled;
static int count;
static struct sockaddr_in receiver;
static char data[65536];
static uint32_t sent;

static void send_one(SOCKET sock, uint32_t number, int answer, size_t size)
{
    struct header header = {htonl(number), htonl((uint32_t)answer)};
    memcpy(data, &header, sizeof header);
    if (sendto(sock, data, size, 0, (struct sockaddr *)&receiver, sizeof receiver) != (int)size)
        fail("sendto");
}

/* Wait for an answer from any peer's socket. */
static void wait_for_answer(int spin)
{
    double deadline = now() + DEADLINE;
    for (;;) {
        int ready = poll(polled, (unsigned)count, spin ? 0 : 1000 * DEADLINE);
        if (ready < 0)
            fail("poll");
        if (ready)
            return;
        if (now() > deadline) {
            fprintf(stderr, "%u datagrams sent, and no answer\n", sent);
            exit(1);
        }
    }
}

static uint32_t receive_number(SOCKET sock)
{
    char received[MESSAGE_SIZE];
    uint32_t number;
    if (recv(sock, received, sizeof received, 0) < (int)sizeof number)
        fail("recv");
    memcpy(&number, received, sizeof number);
    return ntohl(number);
}

static void expect_all(int spin)
{
    wait_for_answer(spin);
    if (receive_number(polled[0].fd) != sent) {
        fprintf(stderr, "a datagram was lost, doubled or overtaken, of %u\n", sent);
        exit(1);
    }
}

static double paced(long units, double rate, size_t size)
{
    double begin = now();
    for (long done = 0; done < units; done++) {
        sleep_until(begin + (double)done / rate);
        send_one(polled[0].fd, sent++, done == units - 1, size);
    }
    expect_all(0);
    return 0;
}

static double burst(long units, size_t size)
{
    double busy = 0;
    for (long done = 0; done < units; done++) {
        double begin = now();
        for (int i = 0; i < BURST; i++)
            send_one(polled[0].fd, sent++, i == BURST - 1, size);
        busy += now() - begin;
        expect_all(1);
    }
    return busy;
}

static double echo(long units, size_t size)
{
    uint32_t *expected = calloc((size_t)count, sizeof *expected);
    long asked = 0, answered = 0;
    for (; asked < count && asked < units; asked++) {
        expected[asked] = sent;
        send_one(polled[asked].fd, sent++, 0, size);
    }
    while (answered < units) {
        wait_for_answer(1);
        for (int i = 0; i < count; i++) {
            if (!polled[i].revents)
                continue;
            uint32_t number = receive_number(polled[i].fd);
            if (number != expected[i]) {
                fprintf(stderr, "datagram %u came back, not %u\n", number, expected[i]);
                exit(1);
            }
            answered++;
            if (asked < units) {
                expected[i] = sent;
                send_one(polled[i].fd, sent++, 0, size);
                asked++;
            }
        }
    }
    free(expected);
    return 0;
}

static int bind_socket(SOCKET *sock)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    *sock = socket(AF_INET, SOCK_DGRAM, 0);
    if (*sock == INVALID_SOCKET || bind(*sock, (struct sockaddr *)&address, size) ||
        getsockname(*sock, (struct sockaddr *)&address, &size))
        fail("bind");
    return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("reading the arguments");
    const char *work = argv[1];
    count = atoi(argv[2]);
    double rate = argc > 3 ? atof(argv[3]) : 0;
    size_t size = argc > 4 ? (size_t)atol(argv[4]) : MESSAGE_SIZE;
    polled = calloc((size_t)count, sizeof *polled);
    start_network();
    for (int i = 0; i < count; i++) {
        SOCKET sock;
        int port = bind_socket(&sock);
        polled[i].fd = sock;
        polled[i].events = POLLIN;
        if (i)
            continue;
        printf("bench port %d\n", port);
        fflush(stdout);
    }
    char hello;
    socklen_t length = sizeof receiver;
    recvfrom(polled[0].fd, &hello, 1, 0, (struct sockaddr *)&receiver, &length);
    printf("bench connected\n");
    fflush(stdout);

    long units;
    while (scanf("%ld", &units) == 1) {
        double begin = now(), busy = 0;
        if (!strcmp(work, "paced"))
            busy = paced(units, rate, size);
        else if (!strcmp(work, "burst"))
            busy = burst(units, size);
        else if (!strcmp(work, "echo"))
            busy = echo(units, size);
        printf("bench round %.9f %.9f\n", now() - begin, busy);
        fflush(stdout);
    }
    send_one(polled[0].fd, 0, 0, 1);
    return 0;
}
