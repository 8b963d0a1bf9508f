"""The package is laid out in four rooms, and imports go in one direction.

``_cli`` → public modules → ``_engine`` → ``_winsock``; ``_statistics`` is a leaf that all but
``_winsock`` may import.  Imports for types alone count, too.
"""

from __future__ import annotations

import ast
import pickle
import re
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import trio_wsarecv

PACKAGE = Path(trio_wsarecv.__file__).parent
NAME = PACKAGE.name
GENERATED = f"{NAME}._winsock.generated"
MOST_LINES = 340

LEAF = f"{NAME}._statistics"
ROOMS = ("_winsock", "_engine", "public", "_cli")
# Where the rooms come together: what a program imports, and what a person starts.
ENTRANCES = {NAME: ROOMS[:3], f"{NAME}.__main__": ROOMS}


@dataclass(frozen=True)
class Import:
    """An import: of what, and whether it is for types alone."""

    name: str
    is_typing: bool


@dataclass(frozen=True)
class Module:
    """A module of the package."""

    name: str
    is_package: bool
    text: str

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "public"

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def imports(self) -> set[Import]:
        """List what is imported, as absolute names down to the single name."""
        found: set[Import] = set()
        self._collect(self.tree, found, is_typing=False)
        return found

    def _collect(self, node: ast.AST, found: set[Import], *, is_typing: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found |= {Import(alias.name, is_typing) for alias in child.names}
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                found |= {Import(f"{base}.{alias.name}", is_typing) for alias in child.names}
            elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                for each in child.body:
                    self._collect(ast.Module([each], []), found, is_typing=True)
                for each in child.orelse:
                    self._collect(ast.Module([each], []), found, is_typing=is_typing)
            else:
                self._collect(child, found, is_typing=is_typing)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*parts, *filter(None, [node.module])])


def modules_in(package: Path) -> dict[str, Module]:
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = Module(name, is_package, path.read_text(encoding="utf-8"))
    return found


MODULES = modules_in(PACKAGE)
every_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)


def module_of(name: str) -> str | None:
    """Return the module of the package that an imported name is, or is in."""
    while name:
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def own_imports(module: Module, *, typing: bool) -> set[str]:
    """List the modules of the package that one of them imports."""
    names = {module_of(each.name) for each in module.imports() if typing or not each.is_typing}
    return {name for name in names if name is not None} - {module.name}


def test_the_rooms_are_there() -> None:
    assert {module.room for module in MODULES.values()} == set(ROOMS)


@every_module
def test_imports_go_down_from_room_to_room(module: Module) -> None:
    allowed = ENTRANCES.get(module.name, ROOMS[: ROOMS.index(module.room) + 1])
    for name in own_imports(module, typing=True):
        if name == LEAF:
            assert module.room != "_winsock"
        elif module.name == LEAF:
            pytest.fail(f"a leaf imports {name}")
        elif name != NAME:
            assert MODULES[name].room in allowed, f"{module.name} imports {name}"


@every_module
def test_only_who_stands_outside_imports_the_package_by_its_name(module: Module) -> None:
    if module.room != "_cli":
        assert NAME not in own_imports(module, typing=True)


def test_no_module_imports_itself_by_way_of_others_not_even_for_types() -> None:
    graph = {name: own_imports(module, typing=True) for name, module in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" → ".join(exc.args[1]))


def test_the_native_boundary_does_not_know_trio() -> None:
    for module in MODULES.values():
        if module.room == "_winsock":
            roots = {each.name.partition(".")[0] for each in module.imports()}
            assert not roots & {"trio", "outcome"}, module.name


def users_of(*names: str) -> set[str]:
    """List the modules that use an attribute or a name, or import it."""
    found = set()
    for name, module in MODULES.items():
        if name == GENERATED:
            continue
        for node in ast.walk(module.tree):
            used = {
                getattr(node, "attr", None),
                getattr(node, "id", None),
                *(alias.name.rpartition(".")[2] for alias in getattr(node, "names", [])
                  if isinstance(alias, ast.alias)),
            }  # fmt: skip
            if used & set(names):
                found.add(name)
    return found


def test_one_module_loads_the_libraries_of_windows() -> None:
    loads = users_of("dlopen", "WinDLL", "windll", "WinDLL", "OleDLL", "LoadLibrary", "cdll")
    assert loads == {f"{NAME}._winsock.calls"}


def test_one_module_imports_the_generated_declarations() -> None:
    importers = {
        name for name, module in MODULES.items() if GENERATED in own_imports(module, typing=True)
    }
    assert importers == {f"{NAME}._winsock.calls"}


def test_only_the_engine_puts_tasks_to_sleep() -> None:
    sleepers = users_of(
        "wait_task_rescheduled", "wait_overlapped", "wait_readable", "wait_writable"
    )
    assert sleepers
    assert {MODULES[name].room for name in sleepers} == {"_engine"}


PRIVATE = re.compile(r"\b(trio|outcome|cffi)(\.\w+)*\._[a-z]\w*")


def test_only_the_patch_uses_what_trio_keeps_to_itself() -> None:
    users = set()
    for name, module in MODULES.items():
        imported = {each.name for each in module.imports()}
        dotted = {
            ast.unparse(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)
        }
        texts = {
            node.value
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if any(map(PRIVATE.match, imported | dotted | texts)):
            users.add(name)
    assert users == {f"{NAME}._install"}


@every_module
def test_a_module_is_short(module: Module) -> None:
    if module.name != GENERATED:
        assert module.text.count("\n") <= MOST_LINES


@every_module
def test_the_package_is_for_windows_and_not_for_what_stands_in_for_it(module: Module) -> None:
    assert not re.search(r"\bwine\b", module.text, re.IGNORECASE)


def test_public_names_say_that_they_are_of_the_package() -> None:
    public = {name: each for name, each in vars(trio_wsarecv).items() if name[0] != "_"}
    modules = {name: getattr(each, "__module__", NAME) for name, each in public.items()}
    assert {module for name, module in modules.items() if name != "annotations"} == {NAME}
    error = trio_wsarecv.IncompleteReceiveError(b"some", 10)
    assert b"_engine" not in pickle.dumps(error)
    assert pickle.loads(pickle.dumps(error)).partial == b"some"
