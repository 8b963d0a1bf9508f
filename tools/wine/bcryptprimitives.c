/* bcryptprimitives.dll: Rust's standard library, in `cryptography`, gets random bytes from it, and Wine 8.0 has none. */

#include <windows.h>

BOOLEAN WINAPI SystemFunction036(void *buffer, ULONG length); /* advapi32's RtlGenRandom, under its exported name */

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
