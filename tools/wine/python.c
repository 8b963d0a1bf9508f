/* python.exe: the interpreter is all in python3X.dll, this only calls it. */

#include <windows.h>

int Py_Main(int argc, wchar_t **argv);

int _dowildcard = 0; /* an argument "*" is passed on as it is, as by the real python.exe */

/* When this process ends, for whatever reason, the kernel ends the processes that it started. */
static void take_children_along(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    BOOL is_child;
    HANDLE job;

    if (IsProcessInJob(GetCurrentProcess(), NULL, &is_child) && is_child)
        return;
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    job = CreateJobObjectW(NULL, NULL); /* stays open as long as this process lives */
    SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    AssignProcessToJobObject(job, GetCurrentProcess());
}

int wmain(int argc, wchar_t **argv)
{
    take_children_along();
    return Py_Main(argc, argv);
}
