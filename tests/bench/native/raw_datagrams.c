/* The limit for datagrams: one WSARecvFrom on a completion port, without Python.

   Each line on the standard input is a task: WORK PORT PEERS.  See datagrams.c for what is received
   and what is answered. */

#include "net.h"

#define WRONG 0xFFFFFFFF

enum { ROOM = 2048, END = 1 };

static HANDLE port;
static struct sockaddr_in sender;
static int sender_size;
static char buffer[ROOM];
static OVERLAPPED overlapped;

/* Ask for a datagram; a packet tells of it even if it is there already. */
static void submit(SOCKET sock)
{
    WSABUF target = {ROOM, buffer};
    DWORD flags = 0;
    sender_size = sizeof sender;
    memset(&overlapped, 0, sizeof overlapped);
    if (WSARecvFrom(sock, &target, 1, NULL, &flags, (struct sockaddr *)&sender, &sender_size,
                    &overlapped, NULL) &&
        WSAGetLastError() != WSA_IO_PENDING)
        fail("WSARecvFrom");
}

static void send_to(SOCKET sock, const void *data, size_t size)
{
    if (sendto(sock, data, (int)size, 0, (struct sockaddr *)&sender, sender_size) < 0)
        fail("sendto");
}

static long receive_until_end(SOCKET sock, int echo)
{
    uint32_t header[2], next = 0;
    for (long receives = 1;; receives++) {
        OVERLAPPED_ENTRY entry;
        ULONG dequeued;
        submit(sock);
        if (!GetQueuedCompletionStatusEx(port, &entry, 1, &dequeued, INFINITE, FALSE))
            fail("GetQueuedCompletionStatusEx");
        if (entry.dwNumberOfBytesTransferred == END)
            return receives;
        if (echo) {
            send_to(sock, buffer, entry.dwNumberOfBytesTransferred);
            continue;
        }
        memcpy(header, buffer, sizeof header);
        next = ntohl(header[0]) == next ? next + 1 : WRONG;
        if (header[1]) {
            uint32_t answer = htonl(next);
            send_to(sock, &answer, sizeof answer);
        }
    }
}

int main(void)
{
    char line[64], name[32];
    start_network();
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    while (fgets(line, sizeof line, stdin)) {
        int peer, kept = KERNEL_BUFFER;
        if (sscanf(line, "%31s %d", name, &peer) != 2)
            fail("reading a task");
        SOCKET sock = WSASocketW(AF_INET, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
        struct sockaddr_in address = loopback(0);
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, (const char *)&kept, sizeof kept);
        if (bind(sock, (struct sockaddr *)&address, sizeof address) ||
            !CreateIoCompletionPort((HANDLE)sock, port, 0, 0))
            fail("bind");
        sender = loopback(peer);
        sender_size = sizeof sender;
        send_to(sock, "!", 1);
        printf("bench receives %ld\n", receive_until_end(sock, !strcmp(name, "datagrams-echo")));
        fflush(stdout);
        closesocket(sock);
    }
    return 0;
}
