/* The load generator for web servers: a client that keeps its connections, and checks all answers.

   usage: http_load PORT CONNECTIONS BODY [AUTHORITY]

   With the file of an authority it speaks TLS, and trusts no other.  It says when it is connected.
   Then each line "N RATE" on its standard input asks for N requests, one at a time on every
   connection, and is answered by the seconds that took and the processor seconds spent here.  They
   are made RATE times per second, on one connection after the other; or, where RATE is 0, as fast
   as they are answered, and then it never sleeps.

   Each answer has to be of status 200, with a body of that length that is BODY. */

#include <openssl/ssl.h>

#include "net.h"

enum { LARGEST_ANSWER = 4096 };

static const char request[] = "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

struct connection {
    SSL *ssl; /* NULL without TLS; it reads from memory and writes to it */
    int waiting;
    size_t filled;
    char answer[LARGEST_ANSWER + 1];
};

static struct connection *connections;
static struct pollfd *polled;
static int count;
static const char *body;
static long answered;

static void send_encrypted(int i)
{
    char data[LARGEST_ANSWER];
    int size;
    while ((size = BIO_read(SSL_get_wbio(connections[i].ssl), data, sizeof data)) > 0)
        send_all(polled[i].fd, data, (size_t)size);
}

static int receive(int i, char *data, size_t size)
{
    int received = (int)recv(polled[i].fd, data, (int)size, 0);
    if (received <= 0)
        fail("recv");
    return received;
}

static void receive_encrypted(int i)
{
    char data[LARGEST_ANSWER];
    BIO_write(SSL_get_rbio(connections[i].ssl), data, receive(i, data, sizeof data));
}

static void shake_hands(int i, SSL_CTX *context)
{
    SSL *ssl = connections[i].ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    for (;;) {
        int result = SSL_do_handshake(ssl);
        send_encrypted(i);
        if (result == 1)
            return;
        if (SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
            fail("the TLS handshake");
        receive_encrypted(i);
    }
}

static void ask(int i)
{
    struct connection *one = &connections[i];
    one->waiting = 1;
    one->filled = 0;
    if (one->ssl) {
        if (SSL_write(one->ssl, request, sizeof request - 1) <= 0)
            fail("SSL_write");
        send_encrypted(i);
    } else {
        send_all(polled[i].fd, request, sizeof request - 1);
    }
}

/* Whether all of an answer is there; it had better be the right one. */
static int complete(const struct connection *one)
{
    static const char status[] = "HTTP/1.1 200 ", field[] = "\r\ncontent-length: ";
    const char *end = strstr(one->answer, "\r\n\r\n");
    if (!end)
        return 0;
    const char *length = strstr(one->answer, field);
    if (strncmp(one->answer, status, sizeof status - 1) || !length || length > end ||
        strtoul(length + sizeof field - 1, NULL, 10) != strlen(body))
        fail("checking the status and length of an answer");
    const char *content = end + 4;
    size_t missing = strlen(body) - strlen(content);
    if (strncmp(content, body, strlen(content)))
        fail("checking the body of an answer");
    return missing == 0;
}

static void hear(int i)
{
    struct connection *one = &connections[i];
    size_t room = LARGEST_ANSWER - one->filled;
    if (!one->ssl) {
        one->filled += (size_t)receive(i, one->answer + one->filled, room);
    } else {
        receive_encrypted(i);
        int size;
        while ((size = SSL_read(one->ssl, one->answer + one->filled, (int)room)) > 0) {
            one->filled += (size_t)size;
            room -= (size_t)size;
        }
        if (SSL_get_error(one->ssl, size) != SSL_ERROR_WANT_READ)
            fail("SSL_read");
    }
    one->answer[one->filled] = 0;
    if (one->filled && !one->waiting)
        fail("waiting before more is asked for: an answer");
    if (one->waiting && complete(one)) {
        one->waiting = 0;
        one->filled = 0;
        answered++;
    }
}

static void hear_all(int milliseconds)
{
    if (poll(polled, (unsigned)count, milliseconds) < 0)
        fail("poll");
    for (int i = 0; i < count; i++)
        if (polled[i].revents)
            hear(i);
}

static void paced(long units, double rate)
{
    double begin = now();
    for (long asked = 0; asked < units; asked++) {
        double left;
        while ((left = begin + (double)asked / rate - now()) > 0)
            hear_all((int)(1e3 * left));
        while (connections[asked % count].waiting)
            hear_all(-1);
        ask((int)(asked % count));
    }
}

static void as_fast_as_can_be(long units)
{
    for (long asked = 0; asked < units; hear_all(0))
        for (int i = 0; i < count && asked < units; i++)
            if (!connections[i].waiting) {
                ask(i);
                asked++;
            }
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("reading the arguments");
    count = atoi(argv[2]);
    body = argv[3];
    connections = calloc((size_t)count, sizeof *connections);
    polled = calloc((size_t)count, sizeof *polled);
    start_network();
    SSL_CTX *context = NULL;
    if (argc > 4) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (!SSL_CTX_load_verify_locations(context, argv[4], NULL))
            fail("reading the certificate of the authority");
    }
    for (int i = 0; i < count; i++) {
        polled[i].fd = connect_to(atoi(argv[1]));
        polled[i].events = POLLIN;
        if (context)
            shake_hands(i, context);
    }
    printf("bench connected\n");
    fflush(stdout);

    long units;
    double rate;
    while (scanf("%ld %lf", &units, &rate) == 2) {
        double begin = now(), spent = processor_time();
        answered = 0;
        if (rate > 0)
            paced(units, rate);
        else
            as_fast_as_can_be(units);
        while (answered < units)
            hear_all(rate > 0 ? -1 : 0);
        printf("bench round %.9f %.9f\n", now() - begin, processor_time() - spent);
        fflush(stdout);
    }
    return 0;
}
