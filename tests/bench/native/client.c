/* The load generator for servers: it connects, where `load` has others connect to it.

   usage: client PORT CONNECTIONS

   It says when it is connected.  Then each line "N" on its standard input asks for N messages that
   come back, one at a time on every connection, and is answered by the seconds that took and the
   processor seconds spent here.  It sleeps while no answer is there: the servers that it is for
   have use for every processor. */

#include "net.h"

static struct pollfd *polled;
static int *missing;
static int count;
static const char message[MESSAGE_SIZE];

static void ask(int i)
{
    send_all(polled[i].fd, message, sizeof message);
    missing[i] = sizeof message;
}

static void echo(long units)
{
    long asked = 0, answered = 0;
    for (int i = 0; i < count && asked < units; i++, asked++)
        ask(i);
    while (answered < units) {
        if (poll(polled, (unsigned)count, -1) < 0)
            fail("poll");
        for (int i = 0; i < count; i++) {
            if (!polled[i].revents)
                continue;
            char answer[MESSAGE_SIZE];
            int size = (int)recv(polled[i].fd, answer, (size_t)missing[i], 0);
            if (size <= 0)
                fail("recv");
            missing[i] -= size;
            if (missing[i])
                continue;
            answered++;
            if (asked < units) {
                ask(i);
                asked++;
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("reading the arguments");
    count = atoi(argv[2]);
    polled = calloc((size_t)count, sizeof *polled);
    missing = calloc((size_t)count, sizeof *missing);
    start_network();
    for (int i = 0; i < count; i++) {
        polled[i].fd = connect_to(atoi(argv[1]));
        polled[i].events = POLLIN;
    }
    printf("bench connected\n");
    fflush(stdout);

    long units;
    while (scanf("%ld", &units) == 1) {
        double begin = now(), spent = processor_time();
        echo(units);
        printf("bench round %.9f %.9f\n", now() - begin, processor_time() - spent);
        fflush(stdout);
    }
    return 0;
}
