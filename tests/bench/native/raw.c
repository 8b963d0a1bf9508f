/* The limit: WSARecv on a completion port, without Python.

   usage: raw MODE

   MODE is "packets", where every receive ends in a packet, or "skip", where one that succeeds at
   once does not (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS).  Each line on the standard input is a
   task: WORK PORT CONNECTIONS.  WORK is one of the generator's, or "cancel": then each further
   line "again" has all receives cancelled once, and is answered by the seconds that took. */

#include "net.h"

#define ENTRIES 256
#define LARGE (256 * 1024)

struct connection {
    OVERLAPPED overlapped;
    SOCKET sock;
    char *buffer;
    size_t wanted;   /* how much of the buffer to offer */
    size_t filled;   /* frames: what has come of the body */
    size_t received; /* bulk: since the last answer */
    char *body;
    int in_body;
};

static enum { PACED, BULK, FRAMES, ECHO, IDLE } work;
static struct connection *connections;
static int count, open_connections, skip;
static long receives;
static HANDLE port;

/* Take what a receive brought; 0 at the end of the stream. */
static int handle(struct connection *c, size_t size)
{
    receives++;
    if (!size)
        return 0;
    switch (work) {
    case BULK:
        c->received += size;
        if (c->received >= ROUND_SIZE) {
            c->received -= ROUND_SIZE;
            send_all(c->sock, "!", 1);
        }
        break;
    case ECHO:
        send_all(c->sock, c->buffer, size);
        break;
    case FRAMES:
        c->filled += size;
        if (c->filled < c->wanted)
            break;
        c->filled = 0;
        if (c->in_body) {
            c->in_body = 0;
            c->wanted = 4;
            break;
        }
        uint32_t length;
        memcpy(&length, c->buffer, sizeof length);
        if (length) {
            c->wanted = ntohl(length);
            c->in_body = 1;
        } else {
            send_all(c->sock, "!", 1);
        }
        break;
    default:
        break;
    }
    return 1;
}

/* Receive until a packet will tell of the next bytes. */
static void submit(struct connection *c)
{
    for (;;) {
        WSABUF target;
        DWORD flags = 0, size = 0;
        target.buf = (c->in_body ? c->body : c->buffer) + c->filled;
        target.len = (ULONG)(c->wanted - c->filled);
        memset(&c->overlapped, 0, sizeof c->overlapped);
        int failed = WSARecv(c->sock, &target, 1, skip ? &size : NULL, &flags, &c->overlapped, NULL);
        if (failed && WSAGetLastError() != WSA_IO_PENDING) {
            open_connections--;
            return;
        }
        if (failed || !skip)
            return;
        if (!handle(c, size)) {
            open_connections--;
            return;
        }
    }
}

static ULONG dequeue(OVERLAPPED_ENTRY *entries)
{
    ULONG dequeued = 0;
    if (!GetQueuedCompletionStatusEx(port, entries, ENTRIES, &dequeued, INFINITE, FALSE))
        fail("GetQueuedCompletionStatusEx");
    return dequeued;
}

static void cancel_on_demand(void)
{
    static OVERLAPPED_ENTRY entries[ENTRIES];
    char line[16];
    while (fgets(line, sizeof line, stdin) && !strncmp(line, "again", 5)) {
        double begin = now();
        for (int i = 0; i < count; i++)
            CancelIoEx((HANDLE)connections[i].sock, &connections[i].overlapped);
        for (int left = count; left > 0;)
            left -= (int)dequeue(entries);
        printf("bench seconds %.9f\n", now() - begin);
        fflush(stdout);
        for (int i = 0; i < count; i++)
            submit(&connections[i]);
    }
}

static int index_of(const char *name)
{
    static const char *const names[] = {"paced", "bulk", "frames", "echo", "idle", "cancel"};
    for (int i = 0; i < 6; i++)
        if (!strcmp(name, names[i]))
            return i;
    fail("finding the work");
    return 0;
}

static void connect_all(int peer)
{
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        struct sockaddr_in address = loopback(peer);
        c->sock = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
        if (connect(c->sock, (struct sockaddr *)&address, sizeof address))
            fail("connect");
        no_delay(c->sock);
        int kept = KERNEL_BUFFER;
        if (work == BULK || work == FRAMES)
            setsockopt(c->sock, SOL_SOCKET, SO_RCVBUF, (const char *)&kept, sizeof kept);
        if (!CreateIoCompletionPort((HANDLE)c->sock, port, (ULONG_PTR)c, 0))
            fail("CreateIoCompletionPort");
        UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
        if (skip && !SetFileCompletionNotificationModes((HANDLE)c->sock, modes))
            fail("SetFileCompletionNotificationModes");
        c->wanted = work == FRAMES ? 4 : work == BULK || work == PACED ? LARGE : 1024;
        c->buffer = malloc(c->wanted);
        c->body = work == FRAMES ? malloc(1024 * 1024) : NULL;
        submit(c);
    }
}

static void receive_until_closed(void)
{
    static OVERLAPPED_ENTRY entries[ENTRIES];
    while (open_connections > 0) {
        ULONG dequeued = dequeue(entries);
        for (ULONG i = 0; i < dequeued; i++) {
            struct connection *c = (struct connection *)entries[i].lpCompletionKey;
            if (handle(c, entries[i].dwNumberOfBytesTransferred))
                submit(c);
            else
                open_connections--;
        }
    }
}

int main(int argc, char **argv)
{
    char line[64], name[16];
    if (argc < 2)
        fail("reading the arguments");
    skip = !strcmp(argv[1], "skip");
    start_network();
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    while (fgets(line, sizeof line, stdin)) {
        int peer;
        if (sscanf(line, "%15s %d %d", name, &peer, &count) != 3)
            fail("reading a task");
        int kind = index_of(name);
        work = kind > IDLE ? IDLE : kind;
        receives = 0;
        open_connections = count;
        connections = calloc((size_t)count, sizeof *connections);
        connect_all(peer);
        if (kind > IDLE)
            cancel_on_demand();
        receive_until_closed();
        for (int i = 0; i < count; i++) {
            closesocket(connections[i].sock);
            free(connections[i].buffer);
            free(connections[i].body);
        }
        free(connections);
        printf("bench receives %ld\n", receives - count);
        fflush(stdout);
    }
    return 0;
}
