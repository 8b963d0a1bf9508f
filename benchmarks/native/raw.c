/* The limit: WSARecv and WSARecvFrom on a completion port, without Python.

   usage: raw packets|skip

   In "packets" every receive ends in a packet, in "skip" one that succeeds at once does not
   (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS).  Each line on the standard input is a task, WORK PORT
   CONNECTIONS, as in `programs/__init__.py`; `load.py` explains the works. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

enum { SMALL = 1024, PIECE = 64 * 1024, LARGE = 256 * 1024, LARGEST_FRAME = 1024 * 1024 };
enum { ROUND = 16 * 1024 * 1024, KERNEL_BUFFER = 512 * 1024, ENTRIES = 256 };
enum { LENGTH = 4 /* of what tells the length of a frame */ };
enum { ROOM = 2048, END = 1 /* the size of the last datagram */ };

static enum { PACED, BULK, DRY, FRAMES, ECHO, IDLE, DATAGRAMS, DATAGRAMS_ECHO } work;
static const char *const names[] = {"paced", "bulk", "dry",       "frames",
                                    "echo",  "idle", "datagrams", "datagrams-echo"};
static const size_t rooms[] = {LARGE, LARGE, PIECE, LARGEST_FRAME, SMALL, SMALL};

struct connection {
    OVERLAPPED overlapped;
    SOCKET sock;
    char *buffer;
    size_t wanted;   /* how much of the buffer to fill */
    size_t filled;   /* frames: how much is filled */
    size_t received; /* floods: since the last answer */
    int in_body;     /* frames: whether the length has come */
};

static int skip;
static HANDLE port;

static void check(int succeeded, const char *what)
{
    if (succeeded)
        return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static void answer(SOCKET sock, const char *data, size_t size)
{
    check(send(sock, data, (int)size, 0) == (int)size, "send");
}

/* Take what a receive brought; 0 at the end of the stream. */
static int take(struct connection *c, size_t size)
{
    if (work == ECHO && size)
        answer(c->sock, c->buffer, size);
    c->received += size;
    if ((work == BULK || work == DRY) && c->received >= ROUND) {
        c->received -= ROUND;
        answer(c->sock, "!", 1);
    }
    if (work != FRAMES || (c->filled += size) < c->wanted)
        return size > 0;
    uint32_t length;
    memcpy(&length, c->buffer, sizeof length);
    if (!c->in_body && !length)
        answer(c->sock, "!", 1);
    c->in_body = !c->in_body && length;
    c->wanted = c->in_body ? ntohl(length) : LENGTH;
    c->filled = 0;
    return 1;
}

/* Receive until a packet will tell of the next bytes; 0 at the end of the stream. */
static int submit(struct connection *c)
{
    for (;;) {
        WSABUF target = {(ULONG)(c->wanted - c->filled), c->buffer + c->filled};
        DWORD flags = 0, size = 0, *received = skip ? &size : NULL;
        memset(&c->overlapped, 0, sizeof c->overlapped);
        if (WSARecv(c->sock, &target, 1, received, &flags, &c->overlapped, NULL))
            return WSAGetLastError() == WSA_IO_PENDING;
        if (!skip)
            return 1;
        if (!take(c, size))
            return 0;
    }
}

static struct sockaddr_in loopback(int number)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)number);
    return address;
}

static SOCKET new_socket(int type, void *key, int kept)
{
    SOCKET sock = WSASocketW(AF_INET, type, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    check(CreateIoCompletionPort((HANDLE)sock, port, (ULONG_PTR)key, 0) != NULL, "associating");
    if (kept)
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, (const char *)&kept, sizeof kept);
    return sock;
}

static int connect_one(struct connection *c, int peer)
{
    struct sockaddr_in address = loopback(peer);
    int on = 1, flood = work == BULK || work == DRY || work == FRAMES;
    UCHAR modes = FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    c->sock = new_socket(SOCK_STREAM, c, flood ? KERNEL_BUFFER : 0);
    check(!connect(c->sock, (struct sockaddr *)&address, sizeof address), "connect");
    setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
    check(!skip || SetFileCompletionNotificationModes((HANDLE)c->sock, modes), "skipping");
    c->buffer = malloc(rooms[work]);
    c->wanted = work == FRAMES ? LENGTH : rooms[work];
    return submit(c);
}

static void receive_on_all(int peer, int count)
{
    static OVERLAPPED_ENTRY entries[ENTRIES];
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    int open = 0;
    for (int i = 0; i < count; i++)
        open += connect_one(&connections[i], peer);
    while (open) {
        ULONG dequeued = 0;
        check(GetQueuedCompletionStatusEx(port, entries, ENTRIES, &dequeued, INFINITE, FALSE),
              "GetQueuedCompletionStatusEx");
        for (ULONG i = 0; i < dequeued; i++) {
            struct connection *c = (struct connection *)entries[i].lpCompletionKey;
            open -= !take(c, entries[i].dwNumberOfBytesTransferred) || !submit(c);
        }
    }
    for (int i = 0; i < count; i++) {
        closesocket(connections[i].sock);
        free(connections[i].buffer);
    }
    free(connections);
}

static void receive_datagrams(int peer)
{
    char buffer[ROOM] = "!";
    uint32_t header[2], next = 0;
    struct sockaddr_in peers = loopback(peer), address = loopback(0);
    struct sockaddr *sender = (struct sockaddr *)&peers;
    int room = sizeof peers, size = 1;
    SOCKET sock = new_socket(SOCK_DGRAM, NULL, KERNEL_BUFFER);
    check(!bind(sock, (struct sockaddr *)&address, sizeof address), "bind");
    for (;;) {
        check(!size || sendto(sock, buffer, size, 0, sender, room) == size, "sendto");
        WSABUF target = {ROOM, buffer};
        OVERLAPPED overlapped = {0};
        OVERLAPPED_ENTRY entry;
        DWORD flags = 0, dequeued;
        room = sizeof peers;
        check(!WSARecvFrom(sock, &target, 1, NULL, &flags, sender, &room, &overlapped, NULL) ||
                  WSAGetLastError() == WSA_IO_PENDING,
              "WSARecvFrom");
        check(GetQueuedCompletionStatusEx(port, &entry, 1, &dequeued, INFINITE, FALSE),
              "GetQueuedCompletionStatusEx");
        size = (int)entry.dwNumberOfBytesTransferred;
        if (size == END)
            break;
        if (work == DATAGRAMS) {
            memcpy(header, buffer, sizeof header);
            next = ntohl(header[0]) == next ? next + 1 : UINT32_MAX;
            header[0] = htonl(next);
            memcpy(buffer, header, size = header[1] ? sizeof *header : 0);
        }
    }
    closesocket(sock);
}

int main(int argc, char **argv)
{
    WSADATA data;
    char line[64], name[32];
    skip = argc > 1 && !strcmp(argv[1], "skip");
    WSAStartup(MAKEWORD(2, 2), &data);
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    while (fgets(line, sizeof line, stdin)) {
        int peer, count;
        check(sscanf(line, "%31s %d %d", name, &peer, &count) == 3, "reading a task");
        for (work = PACED; strcmp(name, names[work]); work++)
            check(work < DATAGRAMS_ECHO, "finding the work");
        if (work >= DATAGRAMS)
            receive_datagrams(peer);
        else
            receive_on_all(peer, count);
        printf("bench done %s\n", name);
        fflush(stdout);
    }
    return 0;
}
