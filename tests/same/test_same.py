"""Random programs do the same as on stock Trio; and what shows that would show the opposite."""

from __future__ import annotations

import faulthandler
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.windows import WINE

from .__main__ import Session
from .compare import compare
from .differences import DIFFERENCES, Case, first_difference
from .generate import generate
from .outcome import CANCELLED, WHOLE, Entry, Outcome, account_for, of_error
from .program import Cancel, Peer, Program, Receive, Send, Shutdown
from .shrink import shrink
from .workers import Worker, workers

PROGRAMS = 300
PARTS = 6
DOCS = Path(__file__).parents[2] / "docs"

WAITS = Program(["made"], [[[Receive(1, 0)], [Peer(0, "send", 3), Cancel(1)]]])


@pytest.fixture(scope="module")
def players() -> Iterator[tuple[Worker, Worker]]:
    if WINE:
        pytest.skip("the native run starts Windows processes, and watches them from outside")
    if sys.platform != "win32":
        from tools.wine.environment import ensure
        from tools.wine.speak import Problem

        faulthandler.cancel_dump_traceback_later()  # setting up may take longer than any test
        try:
            ensure()
        except Problem as problem:
            pytest.skip(str(problem))
    with workers("--patched") as players:
        yield players


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_programs(part: int, players: tuple[Worker, Worker]) -> None:
    """A failure has printed the smallest program, and the command that replays it."""
    faulthandler.cancel_dump_traceback_later()  # the workers have deadlines of their own
    count = PROGRAMS // PARTS
    first = part * count if "CI" in os.environ else random.randrange(1 << 32)
    session = Session(*players)
    for seed in range(first, first + count):
        session.check(generate(seed), f"--programs 1 --seed {seed}")
        assert not session.failed, session
    assert session.receives


class Scripted:
    """Plays every program alike: with one outcome, or with several in turn."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = outcomes

    def play(self, program: Program, schedule: int) -> Outcome:
        return self._outcomes[schedule % len(self._outcomes)]


def outcome(*entries: Entry, whose: str = "socket 0", ended: str = "well") -> Outcome:
    return Outcome(ended, {whose: list(entries)}, {"socket 0": WHOLE}, 1)


DATA = Entry(1, "recv(10)@0", "3 bytes 0a0b0c0d")
CANCEL = Entry(1, "recv(10)@0", CANCELLED)
BUSY = Entry(1, "recv(10)@0", "BusyResourceError")


def test_what_stock_trio_does_in_one_of_its_orders_is_the_same() -> None:
    plain = Scripted(outcome(BUSY), outcome(BUSY), outcome(DATA))
    assert compare(plain, Scripted(outcome(DATA)), WAITS).problems == []


def test_what_stock_trio_never_does_is_different() -> None:
    (problem,) = compare(Scripted(outcome(DATA)), Scripted(outcome(BUSY)), WAITS).problems
    assert problem.kind == "BusyResourceError instead of data"
    assert "40 of 40 times" in problem.text


@pytest.mark.parametrize("ended", ["TrioInternalError", "never"])
def test_the_end_of_a_run_is_compared(ended: str) -> None:
    bad = Scripted(outcome(DATA, ended=ended))
    assert [each.kind for each in compare(Scripted(outcome(DATA)), bad, WAITS).problems] == [
        f"ended: {ended}"
    ]


def test_what_is_sent_is_compared() -> None:
    program = Program(["datagrams"], [[[Send(0, "sendto_many", 3)]]])
    three, two = (outcome(Entry(0, "send", f"{number} sent")) for number in (3, 2))
    (problem,) = compare(Scripted(three), Scripted(two), program).problems
    assert problem.kind == "2 sent instead of 3 sent"


def test_what_leaves_a_nursery_is_compared() -> None:
    left = Entry(1, "nursery", of_error(OSError(10054, "reset")))
    plain = Scripted(outcome(left._replace(result=CANCELLED), whose="group 0"))
    assert compare(plain, Scripted(outcome(left, whose="group 0")), WAITS).problems


def test_an_allowed_difference_does_not_hide_lost_bytes() -> None:
    got = outcome(DATA)
    plain = Scripted(outcome(CANCEL))
    comparison = compare(plain, Scripted(got), WAITS)
    assert (comparison.problems, sum(comparison.tolerated.values())) == ([], 1)
    got.accounts["socket 0"] = "2 of 3 bytes"
    (problem,) = compare(plain, Scripted(got), WAITS).problems
    assert "2 of 3 bytes" in problem.text


OTHER = Entry(1, "recv(10)@1", CANCELLED)


@pytest.mark.parametrize(
    ("caught", "kinds"), [(False, []), (True, ["cancelled instead of nothing"])]
)
def test_an_allowed_difference_may_end_a_group(caught: bool, kinds: list[str]) -> None:
    deep = Receive(1, 0, group=2, frames=9, caught=caught)
    program = Program(["made", "made"], [[[deep, Receive(2, 1, group=2)], [Peer(0, "send", 3)]]])
    plain, patched = outcome(DATA), outcome(OVERFLOW)
    plain.histories["socket 1"] = [OTHER._replace(burst=2)]
    patched.histories["socket 1"] = [OTHER]
    comparison = compare(Scripted(plain), Scripted(patched), program)
    assert [each.kind for each in comparison.problems] == kinds


def test_what_comes_behind_the_last_byte_is_compared() -> None:
    plain, patched = outcome(DATA), outcome(DATA)
    plain.accounts["socket 0"] = "2 of 3 bytes, then OSError 10058"
    patched.accounts["socket 0"] = "whole, then OSError 10058"
    assert compare(Scripted(plain), Scripted(patched), WAITS).problems == []
    patched.accounts["socket 0"] = "whole, then OSError 10054"
    assert compare(Scripted(plain), Scripted(patched), WAITS).problems


@pytest.mark.parametrize("before", ["end", "ConnectionResetError 10054"])
def test_what_comes_before_a_shutdown_may_end_a_receive(before: str) -> None:
    program = Program(["made"], [[[Receive(1, 0)], [Peer(0, "finish"), Shutdown(0, 2)]]])
    stock = Entry(1, "recv(10)@0", "BrokenPipeError 10058")
    plain, patched = outcome(stock), outcome(stock._replace(result=before))
    assert compare(Scripted(plain), Scripted(patched), program).problems == []
    assert compare(Scripted(patched), Scripted(outcome(BUSY)), program).problems


def case(program: Program, number: int, package: list[Entry], stock: list[Entry]) -> Case:
    return Case(program, number, 0, Counter(package), Counter(stock))


SHUT = Program(["made"], [[[Receive(1, 0)], [Shutdown(0, 2)]]])
DEEP = Program(["made"], [[[Receive(1, 0, frames=9)], [Peer(0, "send", 3)]]])
OVERFLOW = Entry(1, "recv(10)@0", "RecursionError")
BROKEN = Entry(1, "recv(10)@0", "BrokenPipeError 10058")
RESETS = Program(["hostile"], [[[Receive(1, 0)], [Peer(0, "reset")]]])
RESET = Entry(1, "recv(10)@0", "ConnectionResetError 10054")
END = Entry(1, "recv(10)@0", "end")
TWICE = Program(["made"], [[[Receive(1, 0)], [Peer(0, "send", 3), Peer(0, "send", 3)]]])
MORE = Entry(1, "recv(10)@0", "6 bytes 0a0b0c0e")
EXAMPLES = {
    "data_beats_cancel_and_close": case(WAITS, 1, [DATA], [CANCEL]),
    "first_bytes_end_a_receive": case(TWICE, 1, [DATA], [MORE]),
    "shutdown_ends_a_receive": case(SHUT, 1, [BROKEN], []),
    "other_recursion_limit": case(DEEP, 1, [OVERFLOW], [DATA]),
    "reset_on_old_wine": case(RESETS, 1, [RESET], [END]),
}


@pytest.mark.parametrize("predicate", DIFFERENCES, ids=lambda each: each.__name__)
def test_a_predicate_allows_what_it_says_and_no_more(predicate: Callable[[Case], bool]) -> None:
    for name, example in EXAMPLES.items():
        assert predicate(example) is (name == predicate.__name__)
    assert not predicate(case(WAITS, 1, [BUSY], [CANCEL]))


def test_the_list_of_what_a_program_may_see_is_what_is_allowed() -> None:
    changes = (DOCS / "changes.rst").read_text(encoding="utf-8")
    section = changes.partition("What it may see\n")[2].partition("What it must not do\n")[0]
    listed = {" ".join(bold.split()) for bold in re.findall(r"\*\*(.+?)\*\*", section, re.DOTALL)}
    allowed = {" ".join((each.__doc__ or "?").split()) for each in DIFFERENCES}
    (wine,) = allowed - listed
    assert listed < allowed
    limitations = (DOCS / "limitations.rst").read_text(encoding="utf-8")
    assert wine.lower().rstrip(".") in " ".join(limitations.split()).lower()


def test_two_histories_part_in_the_first_burst_that_differs() -> None:
    later = DATA._replace(burst=2)
    found = first_difference(WAITS, 0, [DATA, later], [DATA, later._replace(result="end")])
    assert found.number == 2


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


def test_a_program_survives_json() -> None:
    for seed in range(50):
        program = generate(seed)
        assert Program.from_json(program.to_json()) == program
        assert generate(seed) == program


def test_shrinking_leaves_what_is_needed() -> None:
    def fails(program: Program) -> bool:
        peers = [each for burst in program.bursts() for each in burst if type(each) is Peer]
        sends = {each.socket for each in peers if each.how == "send"}
        return any(each.socket in sends for each in program.receives())

    programs = map(generate, range(1000))
    small = shrink(next(each for each in programs if len(each.runs) > 1 and fails(each)), fails)
    assert len(small.sockets) == len(small.runs) == 1
    assert sorted(type(each).__name__ for burst in small.bursts() for each in burst) == [
        "Peer",
        "Receive",
    ]
    (receive,) = small.receives()
    assert receive == replace(Receive(receive.name, 0), group=receive.group)
