/* The limit: WSARecv and WSARecvFrom on a completion port, without Python.

   usage: raw MODE

   MODE is "packets", where every receive ends in a packet, or "skip", where one that succeeds at
   once does not (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS).  Each line on the standard input is a
   task: WORK PORT CONNECTIONS, as in `programs/__init__.py`; `load.py` explains the works. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#define WRONG 0xFFFFFFFF

enum {
    ENTRIES = 256,
    LARGE = 256 * 1024,
    PIECE = 64 * 1024,
    LARGEST_FRAME = 1024 * 1024,
    ROUND = 16 * 1024 * 1024,
    KERNEL_BUFFER = 512 * 1024,
    ROOM = 2048,
    END = 1 /* the size of the last datagram */
};

struct connection {
    OVERLAPPED overlapped;
    SOCKET sock;
    char *buffer;
    size_t wanted;   /* how much of the buffer to offer */
    size_t filled;   /* frames: what has come of the body */
    size_t received; /* floods: since the last answer */
    char *body;
    int in_body;
};

static enum { PACED, BULK, DRY, FRAMES, ECHO, IDLE, DATAGRAMS, DATAGRAMS_ECHO } work;
static const char *const names[] = {"paced", "bulk", "dry",       "frames",
                                    "echo",  "idle", "datagrams", "datagrams-echo"};
static struct connection *connections;
static int count, open_connections, skip;
static HANDLE port;

static void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static struct sockaddr_in loopback(int number)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)number);
    return address;
}

static void keep(SOCKET sock)
{
    int size = KERNEL_BUFFER;
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, (const char *)&size, sizeof size);
}

static void answer(SOCKET sock, const char *data, size_t size)
{
    if (send(sock, data, (int)size, 0) != (int)size)
        fail("send");
}

/* Take what a receive brought; 0 at the end of the stream. */
static int handle(struct connection *c, size_t size)
{
    if (!size)
        return 0;
    switch (work) {
    case BULK:
    case DRY:
        c->received += size;
        if (c->received >= ROUND) {
            c->received -= ROUND;
            answer(c->sock, "!", 1);
        }
        break;
    case ECHO:
        answer(c->sock, c->buffer, size);
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
            answer(c->sock, "!", 1);
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

static void connect_all(int peer)
{
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        struct sockaddr_in address = loopback(peer);
        int on = 1;
        c->sock = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
        if (connect(c->sock, (struct sockaddr *)&address, sizeof address))
            fail("connect");
        setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
        if (work == BULK || work == DRY || work == FRAMES)
            keep(c->sock);
        if (!CreateIoCompletionPort((HANDLE)c->sock, port, (ULONG_PTR)c, 0))
            fail("CreateIoCompletionPort");
        UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
        if (skip && !SetFileCompletionNotificationModes((HANDLE)c->sock, modes))
            fail("SetFileCompletionNotificationModes");
        c->wanted = work == FRAMES                 ? 4
                    : work == BULK || work == PACED ? LARGE
                    : work == DRY                   ? PIECE
                                                    : 1024;
        c->buffer = malloc(c->wanted);
        c->body = work == FRAMES ? malloc(LARGEST_FRAME) : NULL;
        submit(c);
    }
}

static void receive_on_all(int peer)
{
    static OVERLAPPED_ENTRY entries[ENTRIES];
    open_connections = count;
    connections = calloc((size_t)count, sizeof *connections);
    connect_all(peer);
    while (open_connections > 0) {
        ULONG dequeued = 0;
        if (!GetQueuedCompletionStatusEx(port, entries, ENTRIES, &dequeued, INFINITE, FALSE))
            fail("GetQueuedCompletionStatusEx");
        for (ULONG i = 0; i < dequeued; i++) {
            struct connection *c = (struct connection *)entries[i].lpCompletionKey;
            if (handle(c, entries[i].dwNumberOfBytesTransferred))
                submit(c);
            else
                open_connections--;
        }
    }
    for (int i = 0; i < count; i++) {
        closesocket(connections[i].sock);
        free(connections[i].buffer);
        free(connections[i].body);
    }
    free(connections);
}

static void receive_datagrams(int peer)
{
    static char buffer[ROOM];
    OVERLAPPED overlapped;
    OVERLAPPED_ENTRY entry;
    uint32_t header[2], next = 0;
    struct sockaddr_in sender = loopback(peer), address = loopback(0);
    int size = sizeof sender;
    SOCKET sock = WSASocketW(AF_INET, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    keep(sock);
    if (bind(sock, (struct sockaddr *)&address, size) ||
        !CreateIoCompletionPort((HANDLE)sock, port, 0, 0) ||
        sendto(sock, "!", 1, 0, (struct sockaddr *)&sender, size) < 0)
        fail("bind");
    for (;;) {
        WSABUF target = {ROOM, buffer};
        DWORD flags = 0;
        ULONG dequeued;
        size = sizeof sender;
        memset(&overlapped, 0, sizeof overlapped);
        if (WSARecvFrom(sock, &target, 1, NULL, &flags, (struct sockaddr *)&sender, &size,
                        &overlapped, NULL) &&
            WSAGetLastError() != WSA_IO_PENDING)
            fail("WSARecvFrom");
        if (!GetQueuedCompletionStatusEx(port, &entry, 1, &dequeued, INFINITE, FALSE))
            fail("GetQueuedCompletionStatusEx");
        int received = (int)entry.dwNumberOfBytesTransferred;
        if (received == END)
            break;
        if (work == DATAGRAMS) {
            memcpy(header, buffer, sizeof header);
            next = ntohl(header[0]) == next ? next + 1 : WRONG;
            if (!header[1])
                continue;
            uint32_t number = htonl(next);
            received = sizeof number;
            memcpy(buffer, &number, sizeof number);
        }
        if (sendto(sock, buffer, received, 0, (struct sockaddr *)&sender, size) < 0)
            fail("sendto");
    }
    closesocket(sock);
}

int main(int argc, char **argv)
{
    WSADATA data;
    char line[64], name[32];
    if (argc < 2)
        fail("reading the arguments");
    skip = !strcmp(argv[1], "skip");
    WSAStartup(MAKEWORD(2, 2), &data);
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    while (fgets(line, sizeof line, stdin)) {
        int peer;
        if (sscanf(line, "%31s %d %d", name, &peer, &count) != 3)
            fail("reading a task");
        for (work = PACED; strcmp(name, names[work]); work++)
            if (work == DATAGRAMS_ECHO)
                fail("finding the work");
        if (work >= DATAGRAMS)
            receive_datagrams(peer);
        else
            receive_on_all(peer);
        printf("bench done %s\n", name);
        fflush(stdout);
    }
    return 0;
}
