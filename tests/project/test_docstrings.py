"""What a program can use says how: shapes, units, errors, and the call of Winsock behind it."""

from __future__ import annotations

import builtins
import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trio

import trio_wsarecv

if TYPE_CHECKING:
    from collections.abc import Iterator

# A call that does what another one does, and is described there.
AS_ANOTHER = re.compile(r"\bas (in )?`(trio|socket)\.[\w.]+`")


class Public(NamedTuple):
    """A class, function, method or property that a program can use."""

    name: str
    value: Any
    owner: Any = None

    @property
    def doc(self) -> str:
        return inspect.cleandoc(self.value.__doc__ or "")  # which a class does not inherit

    @property
    def parameters(self) -> list[inspect.Parameter]:
        function = vars(self.value).get("__init__") if inspect.isclass(self.value) else self.value
        if not inspect.isfunction(function):
            return []
        first = 1 if inspect.isclass(self.value) or self.owner else 0
        return list(inspect.signature(function).parameters.values())[first:]

    def section(self, title: str) -> dict[str, str]:
        """Return what a section of the docstring says of each name."""
        _, _, rest = self.doc.partition(f"{title}:\n")
        text = re.split(r"^(?=\S)", rest, maxsplit=1, flags=re.MULTILINE)[0] if rest else ""
        found: dict[str, str] = {}
        for entry in re.split(r"^  (?=\S)", text, flags=re.MULTILINE)[1:]:
            names, _, about = entry.partition(": ")
            for name in names.split(", "):
                found[name.partition(" (")[0]] = " ".join(about.split())
        return found


def of_package(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == trio_wsarecv.__name__


def public() -> Iterator[Public]:
    for name, value in vars(trio_wsarecv).items():
        if name.startswith("_") or inspect.ismodule(value):
            continue
        yield Public(name, value)
        for cls in filter(of_package, value.__mro__ if inspect.isclass(value) else ()):
            for member, function in vars(cls).items():
                if not member.startswith("_") and (
                    inspect.isfunction(function) or isinstance(function, property)
                ):
                    yield Public(f"{name}.{member}", function, owner=value)


PUBLIC = list(public())
RECEIVES = [each for each in PUBLIC if re.search(r"(^|\.)_?(wsa)?(recv|receive)", each.name)]


def of(all_of_them: list[Public]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("each", all_of_them, ids=lambda each: each.name)


def test_public_names_are_found_down_to_the_methods() -> None:
    names = {each.name for each in PUBLIC}
    assert {"Socket.recv", "Socket.recvmsg", "Socket.engine", "Datagram.data", "wsarecv"} <= names
    assert len(RECEIVES) == 13


@of(PUBLIC)
def test_it_says_what_it_does(each: Public) -> None:
    summary, _, _ = each.doc.partition("\n\n")
    assert summary.endswith((".", ":")), summary
    assert not summary.startswith(f"{each.name}("), "written by Python itself"


@of([each for each in PUBLIC if each.parameters])
def test_it_describes_each_parameter_and_the_unit_of_sizes(each: Public) -> None:
    described = each.section("Args") or each.section("Attributes")
    if not described and AS_ANOTHER.search(each.doc):
        return
    assert list(described) == [parameter.name for parameter in each.parameters]
    for name, about in described.items():
        assert about
        if re.search("len$|bytes$|size$", name):
            assert re.search("[Bb]ytes|^as for", about), name
        if re.search("^buffers?$", name):
            kind = "writable, contiguous" if each in RECEIVES else "contiguous"
            assert f"{kind} buffer" in about, name


@of([each for each in PUBLIC if inspect.isclass(each.value)])
def test_it_describes_each_field(each: Public) -> None:
    inherited = {name for cls in each.value.__mro__[1:] for name in vars(cls)}
    fields = {*getattr(each.value, "_fields", ()), *inspect.get_annotations(each.value)}
    public = {name for name in fields - inherited if not name.startswith("_")}
    assert public <= set(each.section("Attributes"))


@of(RECEIVES)
def test_a_receive_says_what_it_returns_raises_and_asks_of_winsock(each: Public) -> None:
    returns_nothing = inspect.signature(each.value).return_annotation == "None"
    assert "Returns:\n" in each.doc or returns_nothing
    assert each.section("Raises")
    assert re.search(r"Source: ``WSARecv(From|Msg)?``", each.doc)
    about = each.doc + inspect.cleandoc(each.owner.__doc__ if each.owner else "")
    assert "cancelled" in about, "what becomes of the data?"
    assert re.search("BusyResourceError|as from `(Socket.recv|recvmsg)`", about), "two receivers?"


@of([each for each in PUBLIC if each.section("Raises")])
def test_it_names_exceptions_that_exist(each: Public) -> None:
    for name in each.section("Raises"):
        room: Any = trio if name.startswith("trio.") else builtins
        exception = getattr(room, name.removeprefix("trio."), None) or getattr(trio_wsarecv, name)
        assert issubclass(exception, Exception)
