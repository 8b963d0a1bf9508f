/* A Winsock that does nothing, for `own_share`: every receive is one of SIZE bytes from HOST.

   An overlapped receive succeeds at once, or is pending if `waits` is set; in both cases its
   OVERLAPPED has the result.  The next AVAILABLE - 1 receives without OVERLAPPED succeed, too. */

#include <stdint.h>
#include <string.h>

enum { SIZE = 64, AVAILABLE = 32, IO_PENDING = 997, WOULD_BLOCK = 10035 };

typedef struct {
    uintptr_t internal, internal_high;
} overlapped;

int32_t waits;
static int32_t left, last_error;
static const unsigned char HOST[16] = {2, 0, 0x30, 0x39, 127, 0, 0, 1}; /* AF_INET, port 12345 */

static int32_t receive(uint32_t *received, overlapped *operation)
{
    if (received)
        *received = SIZE;
    if (!operation) {
        last_error = WOULD_BLOCK;
        return left-- > 0 ? 0 : -1;
    }
    left = AVAILABLE - 1;
    operation->internal = 0;
    operation->internal_high = SIZE;
    last_error = IO_PENDING;
    return waits ? -1 : 0;
}

int32_t WSARecv(uintptr_t sock, void *buffers, uint32_t count, uint32_t *received, uint32_t *flags,
                overlapped *operation, void *routine)
{
    (void)sock, (void)buffers, (void)count, (void)flags, (void)routine;
    return receive(received, operation);
}

int32_t WSARecvFrom(uintptr_t sock, void *buffers, uint32_t count, uint32_t *received,
                    uint32_t *flags, void *from, int32_t *length, overlapped *operation,
                    void *routine)
{
    memcpy(from, HOST, sizeof HOST);
    *length = sizeof HOST;
    return WSARecv(sock, buffers, count, received, flags, operation, routine);
}

int32_t WSAIoctl(void) { return 0; }

int32_t WSAGetLastError(void) { return last_error; }

int32_t CancelIoEx(void) { return 1; }

int32_t SetFileCompletionNotificationModes(void) { return 1; }
