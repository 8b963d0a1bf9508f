"""Runs the fast tests on each mutant: ``python -m tools.mutants [MODULE[:LINE[-LINE]]…]``.

First of all they run on the package as it is: where they fail there, they cannot judge a mutant.
Those that run the line in question are tried first.  A mutant is killed when a test fails or hangs.
One that is known to be equivalent is counted and not tried.  The exit status is 1 if one survives.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

assert sys.platform != "win32"

from .covering import Covering  # noqa: E402
from .equivalent import reason  # noqa: E402
from .mutation import Mutant, mutants_of  # noqa: E402
from .trial import copy_repository, measure_tests, try_source  # noqa: E402

#: The tests, in the order in which they are tried.
TABLES = ("tests/winsock", "tests/simulation/oracle/test_status_table.py")
ENGINE = ("tests/engine",)
REST = (
    "tests/simulation/oracle",
    *("tests/system/test_wsarecv.py", "tests/system/test_wsarecv_flags.py"),
    *("tests/system/test_stream.py", "tests/system/test_recvmsg.py", "tests/system/test_socket.py"),
    *("tests/system/test_socket_handle.py", "tests/system/test_batch.py"),
    "tests/system/test_sending.py",
    *("tests/system/test_cancellation.py", "tests/system/test_statistics.py"),
)


#: The modules to mutate.
MODULES = (
    "_winsock/status.py",
    "_winsock/codes.py",
    "_winsock/parse.py",
    "_winsock/provider.py",
    "_winsock/buffers.py",
    "_winsock/calls.py",
    "_winsock/operation.py",
    "_winsock/datagram.py",
    "_winsock/send.py",
    "_engine/overlapped.py",
    "_engine/requests.py",
    "_engine/receiver.py",
    "_engine/batch.py",
    "_engine/messages.py",
    "_engine/receive.py",
    "_engine/send.py",
    "_sending.py",
    "_engine/readiness.py",
    "_engine/choose.py",
    "_engine/port.py",
    "_engine/memory.py",
)


def try_module(
    module: str, lines: range, copies: queue.Queue[Path], covering: Covering
) -> Counter[str]:
    """Try all mutants of some lines, and return how many were killed and how many were not."""
    source = (copies.queue[0] / "trio_wsarecv" / module).read_text(encoding="utf-8")
    mutants = [mutant for mutant in mutants_of(source) if mutant.line in lines]
    began = time.monotonic()

    def attempt(mutant: Mutant) -> str:
        if reason(module, mutant.before, mutant.after):
            return "equivalent"
        copy = copies.get()
        try:
            stages = covering.tests(module, mutant.line), TABLES, ENGINE, REST
            outcome = try_source(copy, module, mutant.source, stages)
        finally:
            copies.put(copy)
        verdict = "killed" if outcome.killed else "SURVIVED"
        if verdict == "SURVIVED" or "VERBOSE" in os.environ:
            print(f"{verdict} {module}:{mutant}  {outcome.how}", flush=True)
        return verdict

    with ThreadPoolExecutor(copies.qsize()) as pool:
        verdicts = Counter(pool.map(attempt, mutants))
    seconds = time.monotonic() - began
    print(f"{module}: {_in_words(verdicts)}, in {seconds:.0f} s", flush=True)
    return verdicts


def _in_words(verdicts: Counter[str]) -> str:
    return (
        f"{verdicts['killed']}/{verdicts.total()} killed, "
        f"{verdicts['equivalent']} equivalent, {verdicts['SURVIVED']} survived"
    )


def _range(lines: str) -> range:
    # The lines that "", "5" or "5-9" means.
    first, _, last = lines.partition("-")
    return range(int(first or 1), int(last or first or sys.maxsize) + 1)


def main(words: list[str]) -> int:
    modules = [
        (module, _range(lines))
        for part, _, lines in (word.partition(":") for word in words or [""])
        for module in MODULES
        if part in module
    ]
    verdicts: Counter[str] = Counter()
    copies: queue.Queue[Path] = queue.Queue()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        first = Path(folder, "0")
        copy_repository(first)
        # The tests run there as it is, and so are compiled once for all mutants.
        baseline = measure_tests(first, (*TABLES[:1], *ENGINE, *REST))
        if baseline.killed:
            print(f"The tests fail on the package as it is: {baseline.how}")
            return 1
        covering = Covering(first)
        (first / "tried").touch()
        copies.put(first)
        for number in range(1, os.cpu_count() or 1):
            copies.put(Path(shutil.copytree(first, Path(folder, str(number)))))
        for module, lines in modules:
            verdicts += try_module(module, lines, copies, covering)
    print(f"mutants: {_in_words(verdicts)}")
    return 1 if verdicts["SURVIVED"] or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
