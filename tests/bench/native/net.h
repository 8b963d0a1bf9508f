/* Sockets, clocks and processor time of Linux and Windows under one set of names. */

#ifndef NET_H
#define NET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#define poll WSAPoll

static inline void start_network(void)
{
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    timeBeginPeriod(1);
}

static inline double now(void)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}

static inline double processor_time(void)
{
    FILETIME created, ended, kernel, user;
    GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user);
    return 1e-7 * ((double)kernel.dwLowDateTime + (double)user.dwLowDateTime) +
           429.4967296 * ((double)kernel.dwHighDateTime + (double)user.dwHighDateTime);
}

static inline void sleep_until(double moment)
{
    while (moment - now() > 0.002)
        Sleep(1);
    while (now() < moment)
        SwitchToThread();
}

#else

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef int SOCKET;
#define INVALID_SOCKET (-1)
#define closesocket close

static inline void start_network(void) {}

static inline double read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static inline double now(void) { return read_clock(CLOCK_MONOTONIC); }
static inline double processor_time(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

static inline void sleep_until(double moment)
{
    struct timespec time = {(time_t)moment, (long)(1e9 * (moment - (double)(time_t)moment))};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

#endif

/* What generator and subjects agree on. */
enum {
    MESSAGE_SIZE = 64,             /* of paced messages and of echoed ones */
    ROUND_SIZE = 16 * 1024 * 1024, /* a bulk receiver answers one byte for each so many */
    KERNEL_BUFFER = 512 * 1024     /* what the kernel keeps of a flood: see programs/__init__.py */
};

static inline void fail(const char *what)
{
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static inline struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static inline void no_delay(SOCKET sock)
{
    int on = 1;
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
}

static inline SOCKET connect_to(int port)
{
    struct sockaddr_in address = loopback(port);
    SOCKET sock = socket(AF_INET, SOCK_STREAM, 0);
    if (sock == INVALID_SOCKET || connect(sock, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    no_delay(sock);
    return sock;
}

static inline void send_all(SOCKET sock, const char *data, size_t size)
{
    while (size) {
        int sent = (int)send(sock, data, size > 1 << 20 ? 1 << 20 : (int)size, 0);
        if (sent <= 0)
            fail("send");
        data += sent;
        size -= (size_t)sent;
    }
}

static inline void receive_all(SOCKET sock, char *data, size_t size)
{
    while (size) {
        int received = (int)recv(sock, data, (int)size, 0);
        if (received <= 0)
            fail("recv");
        data += received;
        size -= (size_t)received;
    }
}

#endif
