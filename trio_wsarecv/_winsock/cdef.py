"""What this package uses of ``winsock2.h`` and ``windows.h``, as cffi declarations.

The declarations are compiled (to Python, no C compiler takes part) into the committed module
``generated``.  All integer types have a fixed width, so that the layouts are those of Windows
wherever the module is imported: ``unsigned long`` is four bytes on Windows, but eight on
64-bit Linux.

``python -m trio_wsarecv._winsock.cdef`` writes the module; with ``--check`` it writes nothing
and exits with status 1 if the committed module is not what these declarations give.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cffi

MODULE = "trio_wsarecv._winsock.generated"
PATH = Path(__file__).with_name("generated.py")

DECLARATIONS = """
typedef uintptr_t SOCKET;
typedef uintptr_t HANDLE;
typedef uint32_t  DWORD;

typedef struct {
    uintptr_t Internal;      /* the NTSTATUS of the operation */
    uintptr_t InternalHigh;  /* the number of bytes transferred */
    DWORD     Offset;
    DWORD     OffsetHigh;
    HANDLE    hEvent;
} OVERLAPPED;

typedef struct {
    DWORD len;
    char *buf;
} WSABUF;

typedef struct {
    OVERLAPPED overlapped;
    WSABUF     wsabuf[2];    /* the second is for the area behind a datagram's own */
    DWORD      flags;        /* in and out: set before each call */
    DWORD      received;     /* where a call that ends without a packet counts the bytes */
    char       small[1024];  /* what a receive that waits is given, unless the program gives more */
} RECEIVE;                   /* what every receive needs, in one allocation */

typedef struct {
    void    *name;
    int32_t  namelen;
    WSABUF  *lpBuffers;
    DWORD    dwBufferCount;
    WSABUF   Control;
    DWORD    dwFlags;
} WSAMSG;

typedef int32_t (__stdcall *LPFN_WSARECVMSG)(
    SOCKET, WSAMSG *, DWORD *, OVERLAPPED *, void *);
typedef int32_t (__stdcall *LPFN_WSASENDMSG)(
    SOCKET, WSAMSG *, DWORD, DWORD *, OVERLAPPED *, void *);

int32_t __stdcall WSARecv(
    SOCKET, WSABUF *, DWORD, DWORD *, DWORD *, OVERLAPPED *, void *);
int32_t __stdcall WSARecvFrom(
    SOCKET, WSABUF *, DWORD, DWORD *, DWORD *, void *, int32_t *, OVERLAPPED *, void *);
int32_t __stdcall WSASend(
    SOCKET, WSABUF *, DWORD, DWORD *, DWORD, OVERLAPPED *, void *);
int32_t __stdcall WSASendTo(
    SOCKET, WSABUF *, DWORD, DWORD *, DWORD, void *, int32_t, OVERLAPPED *, void *);
int32_t __stdcall WSAIoctl(
    SOCKET, DWORD, void *, DWORD, void *, DWORD, DWORD *, OVERLAPPED *, void *);
int32_t __stdcall WSAGetLastError(void);

int32_t __stdcall CancelIoEx(HANDLE, OVERLAPPED *);
int32_t __stdcall SetFileCompletionNotificationModes(HANDLE, uint8_t);
"""


def generate() -> str:
    """Return the source text of the generated module."""
    builder = cffi.FFI()
    builder.cdef(DECLARATIONS)
    builder.set_source(MODULE, None)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, PATH.name)
        builder.emit_python_code(str(target))
        return target.read_text(encoding="ascii")


def main(arguments: list[str]) -> int:
    """Write the generated module, or compare it when asked to ``--check``."""
    text = generate()
    if arguments != ["--check"]:
        PATH.write_text(text, encoding="ascii", newline="\n")
    elif PATH.read_text(encoding="ascii") != text:
        print(f"{PATH.name} is out of date: run 'python -m {__spec__.name}'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
