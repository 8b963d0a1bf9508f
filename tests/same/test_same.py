"""Random programs do the same as on stock Trio, and the comparison itself finds differences."""

from __future__ import annotations

import faulthandler
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.windows import WINE

from .__main__ import Session
from .compare import compare
from .differences import DIFFERENCES, Case
from .outcome import CANCELLED, WELL, WHOLE, Entry, Outcome, account_for
from .program import Burst, Cancel, Own, Peer, Program, Receive, Shutdown, generate, parse
from .shrink import shrink
from .worker import Worker, workers

PROGRAMS = 300
PARTS = 6
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def players() -> Iterator[tuple[Worker, Worker]]:
    if WINE:
        pytest.skip("the native run starts Windows processes, and watches them from outside")
    if sys.platform != "win32":
        from tools.wine.environment import ensure
        from tools.wine.system import Problem

        faulthandler.cancel_dump_traceback_later()  # setting up may take longer than any test
        try:
            ensure()
        except Problem as problem:
            pytest.skip(str(problem))
    with workers() as players:
        yield players


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs(part: int, players: tuple[Worker, Worker]) -> None:
    """A failure prints the smallest program, and the command that replays it."""
    faulthandler.cancel_dump_traceback_later()  # the workers have deadlines of their own
    count = PROGRAMS // PARTS
    first = part * count if "CI" in os.environ else random.randrange(1 << 32)
    session = Session(*(each.play for each in players))
    for seed in range(first, first + count):
        session.check(generate(seed), f"--programs 1 --seed {seed}")
        assert not session.failed, session
    assert session.receives


def outcome(
    result: str, whose: str = "socket 0", *, ended: str = WELL, account: str = WHOLE
) -> Outcome:
    return Outcome(ended, {whose: [entry(result)]}, {"socket 0": account}, 1)


def entry(result: str) -> Entry:
    return Entry(1, "recv(10)@0", result)


def problems(program: Program, patched: Outcome, *plain: Outcome) -> str:
    """Return what is reported if the package does this, and stock Trio these in turn."""
    comparison = compare(
        lambda _, schedule: plain[schedule % len(plain)], lambda *_: patched, program
    )
    return "\n".join(line for problem in comparison.problems.items() for line in problem)


DATA, MORE, END = "3 bytes 0a0b0c0d", "6 bytes 0a0b0c0e", "end"
BUSY, CLOSED, OVERFLOW = "BusyResourceError", "ClosedResourceError", "RecursionError"
BROKEN, RESET = "BrokenPipeError 10058", "ConnectionResetError 10054"

RECEIVE, SENT, FINISH = Receive(1, 0), Peer(0, "send", 3), Peer(0, "finish")


def program(kind: str, before: Burst, burst: Burst) -> Program:
    return Program([kind], [[before, burst]])


WAITS = program("made", [RECEIVE], [SENT, Cancel(1)])
FINISHED = program("made", [RECEIVE], [FINISH, Shutdown(0, 2)])


def owned(cancelled: int | None) -> Program:
    """Return a program in which group 2 owns the stream, and this group, or all, is cancelled."""
    return program("made", [RECEIVE, Own(0, group=2)], [FINISH, Cancel(group=cancelled)])


def test_what_stock_trio_does_in_one_of_its_orders_is_the_same() -> None:
    assert not problems(WAITS, outcome(DATA), outcome(BUSY), outcome(BUSY), outcome(DATA))


@pytest.mark.parametrize(
    ("program", "plain", "patched", "said"),
    [
        (WAITS, outcome(DATA), outcome(BUSY), "BusyResourceError instead of data"),
        (WAITS, outcome(DATA), outcome(BUSY), "300 of 300 times"),
        (WAITS, outcome(DATA), outcome(DATA, ended="never"), "ended: never"),
        (WAITS, outcome(CANCELLED), outcome(DATA), ""),
        (WAITS, outcome(CANCELLED), outcome(DATA, account="2 of 3 bytes"), "2 of 3 bytes"),
        (
            WAITS,
            outcome(END, account="2 of 3, then OSError 1"),
            outcome(END, account="whole, then OSError 1"),
            "",
        ),
        (
            WAITS,
            outcome(END, account="2 of 3, then OSError 1"),
            outcome(END, account="whole, then OSError 2"),
            "OSError 2",
        ),
        (WAITS, outcome(CANCELLED, "group 0"), outcome(RESET, "group 0"), "Reset"),
        (FINISHED, outcome(BROKEN), outcome(END), ""),
        (FINISHED, outcome(BROKEN), outcome(RESET), ""),
        (FINISHED, outcome(END), outcome(BUSY), "BusyResourceError instead of end"),
        *((owned(cancel), outcome(END), outcome(CLOSED), "") for cancel in (None, 2)),
        (owned(3), outcome(END), outcome(CLOSED), "ClosedResourceError instead of end"),
    ],
)
def test_what_stock_trio_never_does_is_a_problem_unless_it_is_allowed(
    program: Program, plain: Outcome, patched: Outcome, said: str
) -> None:
    found = problems(program, patched, plain)
    assert (said in found) if said else not found


@pytest.mark.parametrize("caught", [False, True])
def test_an_allowed_difference_may_end_a_group(caught: bool) -> None:
    deep = Receive(1, 0, group=2, frames=9, caught=caught)
    program = Program(["made", "made"], [[[deep, Receive(2, 1, group=2)], [SENT]]])
    plain, patched = outcome(DATA), outcome(OVERFLOW)
    plain.histories["socket 1"] = [Entry(2, "recv(10)@1", CANCELLED)]
    patched.histories["socket 1"] = [Entry(1, "recv(10)@1", CANCELLED)]
    assert bool(problems(program, patched, plain)) is caught


@pytest.mark.parametrize("extra", ["", ", OSError 1"])
def test_a_group_may_raise_what_its_receives_raised_and_nothing_else(extra: str) -> None:
    receives: Burst = [Receive(1, 0, group=2, caught=False), Receive(2, 1, group=2, caught=False)]
    program = Program(["made", "made"], [[receives, [SENT]]])
    busy = {"socket 0": [entry(BUSY)], "group 2": [entry(f"ExceptionGroup[{BUSY}]")]}
    reset = {"socket 1": [entry(RESET)], "group 2": [entry(f"ExceptionGroup[{RESET}]")]}
    both = {"group 2": [entry(f"ExceptionGroup[{BUSY}, {RESET}{extra}]")]}
    patched = Outcome(histories={**busy, **reset, **both})
    plain = Outcome(histories={**busy, "socket 1": [entry(RESET)]}), Outcome(histories=reset)
    assert bool(problems(program, patched, *plain)) is bool(extra)


def case(program: Program, package: str, *stock: str) -> Case:
    return Case(program, 1, 0, Counter([entry(package)]), Counter(map(entry, stock)))


EXAMPLES = {
    "data_beats_cancel_and_close": case(WAITS, DATA, CANCELLED),
    "first_bytes_end_a_receive": case(program("made", [RECEIVE], [SENT, SENT]), DATA, MORE),
    "shutdown_ends_a_receive": case(program("made", [RECEIVE], [Shutdown(0, 2)]), BROKEN),
    "cancelled_a_step_later": case(
        program("tls", [RECEIVE], [Cancel(), Receive(2, 0)]), BUSY, CANCELLED
    ),
    "other_recursion_limit": case(
        program("made", [Receive(1, 0, frames=9)], [SENT]), OVERFLOW, DATA
    ),
    "reset_on_old_wine": case(program("hostile", [RECEIVE], [Peer(0, "reset")]), RESET, END),
}


@pytest.mark.parametrize("predicate", DIFFERENCES, ids=lambda each: each.__name__)
def test_a_predicate_allows_what_it_says_and_no_more(predicate: Callable[[Case], bool]) -> None:
    for name, example in EXAMPLES.items():
        assert predicate(example) is (name == predicate.__name__)
    assert not predicate(case(WAITS, BUSY, CANCELLED))


def test_the_documentation_lists_what_is_allowed() -> None:
    changes = (DOCS / "changes.rst").read_text(encoding="utf-8")
    section = changes.partition("What it may see\n")[2].partition("What it must not do\n")[0]
    listed = {" ".join(bold.split()) for bold in re.findall(r"\*\*(.+?)\*\*", section, re.DOTALL)}
    allowed = {" ".join((each.__doc__ or "?").split()) for each in DIFFERENCES}
    (wine,) = allowed - listed
    assert listed < allowed
    limitations = (DOCS / "limitations.rst").read_text(encoding="utf-8")
    assert wine.lower().rstrip(".") in " ".join(limitations.split()).lower()


@pytest.mark.parametrize(
    ("chunks", "answer"),
    [
        ([(0, b"ab"), (1, b"cd")], WHOLE),
        ([(1, b"cd"), (1, b"ab")], WHOLE),
        ([(0, b"cd"), (1, b"ab")], "out of order"),
        ([(0, b"ab")], "2 of 4 bytes"),
        ([(0, b"abcd"), (1, b"d")], "5 of 4 bytes"),
    ],
)
def test_bytes_are_accounted_for(chunks: list[tuple[int, bytes]], answer: str) -> None:
    assert account_for(chunks, b"abcd", to_the_end=True) == answer


def test_a_program_is_made_again_from_its_seed_and_from_its_text() -> None:
    for seed in range(50):
        program = generate(seed)
        assert parse(repr(program)) == program == generate(seed)


def test_shrinking_leaves_what_is_needed() -> None:
    def fails(program: Program) -> bool:
        bursts = program.bursts()
        sends = {each.socket for burst in bursts for each in burst if type(each) is Peer}
        return any(each.socket in sends for each in program.receives())

    programs = map(generate, range(1000))
    small = shrink(next(each for each in programs if len(each.runs) > 1 and fails(each)), fails)
    (receive,) = small.receives()
    assert len(small.sockets) == len(small.runs) == 1
    assert {each for burst in small.bursts() for each in burst} == {
        Receive(receive.name, 0),
        Peer(0),
    }
