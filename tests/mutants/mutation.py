"""A mutation: one rule of the engine, and a change to its source that breaks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The quickest first.
ENGINE = ("test_rules", "test_engine")
EXPLORING = "test_engine_stateful"

#: The tests that the rules of each module are for.
TESTS: dict[str, tuple[str, ...]] = {
    "_association": ENGINE,
    "_at_once": ENGINE,
    "_datagram": (*ENGINE, "test_datagram", "test_recvmsg"),
    "_messages": (*ENGINE, "test_datagram", "test_recvmsg"),
    "_operation": (*ENGINE, EXPLORING),
    "_overlapped": (*ENGINE, EXPLORING),
    "_readiness": ("test_rules", "test_socket", "test_cancellation"),
    "_receive": (*ENGINE, "test_wsarecv", "test_stream", "test_cancellation", EXPLORING),
    "_receiver": (*ENGINE, EXPLORING),
    "_scatter": ("test_rules", "test_wsarecv"),
    "_socket": ENGINE,
    "_status": ("test_status",),
    "_stream": ENGINE,
}


class NotApplicableError(Exception):
    """The source has changed so that a mutation of it means nothing any more."""


@dataclass(frozen=True)
class Mutation:
    """A change of one module.

    Attributes:
      rule: what the engine does, and the mutant does not.
      module: where.
      old: a text that is there exactly once.
      new: what the mutant has in its place.
    """

    rule: str
    module: str
    old: str
    new: str

    @property
    def tests(self) -> list[str]:
        return [f"tests/{name}.py" for name in TESTS[self.module]]

    def apply(self, package: Path) -> None:
        """Change the module in this copy of the package."""
        path = package / f"{self.module}.py"
        source = path.read_text(encoding="utf-8")
        found = source.count(self.old)
        if found != 1:
            raise NotApplicableError(f"the old text is there {found} times")
        mutant = source.replace(self.old, self.new)
        try:
            compile(mutant, path.name, "exec")
        except SyntaxError as exc:
            raise NotApplicableError(f"the new text is not Python: {exc}") from exc
        path.write_text(mutant, encoding="utf-8")
        for compiled in package.glob(f"__pycache__/{self.module}.*"):
            compiled.unlink()
