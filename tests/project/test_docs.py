"""The tables of the documentation agree with the package, and the tests they name exist."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from trio_wsarecv import MsgFlag, WinsockError
from trio_wsarecv._winsock.codes import NtStatus
from trio_wsarecv._winsock.status import os_error

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"

# The codes of the error table in the documentation of WSARecv.
DOCUMENTED = (
    "WSAECONNABORTED WSAECONNRESET WSAEDISCON WSAEFAULT WSAEINPROGRESS WSAEINTR WSAEINVAL "
    "WSAEMSGSIZE WSAENETDOWN WSAENETRESET WSAENOTCONN WSAENOTSOCK WSAEOPNOTSUPP WSAESHUTDOWN "
    "WSAETIMEDOUT WSAEWOULDBLOCK WSANOTINITIALISED WSA_IO_PENDING WSA_OPERATION_ABORTED"
)
PARAMETERS = (
    "s lpBuffers dwBufferCount lpNumberOfBytesRecvd lpFlags lpOverlapped lpCompletionRoutine"
)
FLAGS = ["MSG_PEEK", "MSG_OOB", "MSG_PARTIAL", "MSG_PUSH_IMMEDIATE", "MSG_WAITALL"]


def page(name: str) -> str:
    return (DOCS / f"{name}.rst").read_text(encoding="utf-8")


def table(name: str, header: str) -> list[list[str]]:
    """Return the rows of a csv-table."""
    _, _, rest = page(name).partition(f":header: {header}\n\n")
    rows = rest.partition("\n\n")[0]
    return list(csv.reader((line.strip() for line in rows.splitlines()), skipinitialspace=True))


def exception(code: WinsockError) -> str:
    return f"`{type(os_error(code, '')).__name__}`"


def test_the_table_of_codes_agrees_with_the_package() -> None:
    assert table("errors", "code, value, exception") == [
        [code.name, str(int(code)), exception(code)]
        for code in WinsockError
        if code is not WinsockError.WSA_IO_PENDING
    ]


def test_the_table_of_statuses_agrees_with_the_package() -> None:
    assert table("errors", "status, value, code, exception") == [
        [f"STATUS_{status.name}", f"0x{status:08X}", status.error.name, exception(status.error)]
        for status in NtStatus
        if status.error is not None
    ]


def test_the_page_covers_every_row_of_the_documentation_of_wsarecv() -> None:
    text = page("wsarecv")
    bold = set(re.findall(r"\*\*([A-Za-z_, ]+)\*\*", text))
    names = {name for some in bold for name in some.split(", ")}
    codes, parameters = DOCUMENTED.split(), PARAMETERS.split()
    assert {*codes, *FLAGS, *parameters, "SO_RCVTIMEO"} <= names
    assert set(codes) <= set(WinsockError.__members__)
    assert set(FLAGS) <= set(MsgFlag.__members__)


def test_the_tests_named_in_the_documentation_exist() -> None:
    text = page("wsarecv")
    named = re.findall(r"^\.\. \[#(\w+)\] ``([\w/]+\.py)``: (.+)$", text, re.MULTILINE)
    assert {test for test, _, _ in named} == set(re.findall(r"\[#(\w+)\]_", text))
    assert len(named) == len(re.findall(r"^\.\. \[#", text, re.MULTILINE)) > 50
    for test, module, words in named:
        assert test == f"test {words}".replace(" ", "_")
        source = (TESTS / module).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async )?def {test}\(", source, re.MULTILINE), test


def test_every_row_names_a_test_or_has_a_reason() -> None:
    rows = re.split(r"^   \* - ", page("wsarecv"), flags=re.MULTILINE)[1:]
    rows = [row.split("\n\n\n")[0] for row in rows if not row.startswith("documented\n")]
    assert len(rows) > 50
    for row in rows:
        *_, tested = row.split("\n     - ")
        assert re.match(
            r"(both|simulated|table|Windows|real Windows).*: \[#|see |not tested", tested
        )


def test_a_row_names_tests_of_the_layers_that_it_says() -> None:
    text = page("wsarecv")
    layer = dict(re.findall(r"^\.\. \[#(\w+)\] ``(\w+)/", text, re.MULTILINE))
    where = r"(both|simulated|Windows|real Windows)[^:\n]*:((?:\s+\[#\w+\]_)+)"
    for says, tests in re.findall(where, text):
        layers = {layer[test] for test in re.findall(r"\[#(\w+)\]", tests)}
        is_real, is_simulated = "system" in layers, bool(layers - {"system"})
        assert is_real is (says != "simulated"), tests
        assert is_simulated is (says in ("both", "simulated")), tests


def test_readme_has_a_command_for_each_system_and_session() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^(apt-get|py) .*nox -s (\w+)$", readme, re.MULTILINE)
    assert found == [(how, what) for how in ("apt-get", "py") for what in ("demo", "tests")]
    assert "grep '^apt-get .*nox -s tests$' README.md" in (DOCS.parent / ".ci/run").read_text()


def test_files_named_in_the_readme_of_the_tests_exist() -> None:
    names = re.findall(r"`([\w/]+(?:\.py|/))`", (TESTS / "README.md").read_text(encoding="utf-8"))
    assert len(names) > 20
    assert [name for name in names if not (TESTS / name).exists()] == []


def test_contributing_names_every_module() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|", text.partition("## The package")[2], re.MULTILINE)
    public = re.findall(r"^\| public \| (.+) \|$", text, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join([*rows, *public])))
    package = DOCS.parent / "trio_wsarecv"
    modules = {path.stem for path in package.rglob("*.py") if path.parent.name != "_cli"}
    assert named == {name for name in modules - {"_version"} if not name.startswith("__")}
