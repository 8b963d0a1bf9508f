/* python.exe: the interpreter is all in python3X.dll, this only calls it. */

#include <windows.h>

int Py_Main(int argc, wchar_t **argv);

int _dowildcard = 0; /* an argument "*" is passed on as it is, as by the real python.exe */

int wmain(int argc, wchar_t **argv)
{
    return Py_Main(argc, argv);
}
