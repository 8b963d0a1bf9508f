"""The package has four layers, and imports go in one direction.

``_cli`` → public modules → ``_engine`` → ``_winsock``; ``_statistics`` is a leaf that all but
``_winsock`` may import.  Imports for types alone count, too.
"""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import trio_wsarecv

PACKAGE = Path(trio_wsarecv.__file__).parent
NAME = PACKAGE.name
CALLS = f"{NAME}._winsock.calls"
GENERATED = f"{NAME}._winsock.generated"
LEAF = f"{NAME}._statistics"
MOST_LINES = 340

LAYERS = ("_winsock", "_engine", "public", "_cli")
# The modules that may import several layers: what a program imports, and what is run.
ENTRANCES = {NAME: LAYERS[:3], f"{NAME}.__main__": LAYERS}


class Module(NamedTuple):
    """A module of the package."""

    name: str
    text: str
    tree: ast.Module
    is_package: bool

    @property
    def layer(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "public"

    def imports(self) -> Iterator[str]:
        """Give what is imported, as absolute names down to the single name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parts = self.name.split(".")
                parts = parts[: len(parts) - node.level + self.is_package] if node.level else []
                base = [*parts, *filter(None, [node.module])]
                yield from (".".join([*base, alias.name]) for alias in node.names)

    def own_imports(self) -> set[str]:
        """Return the modules of the package that this one imports."""
        found = set()
        for name in self.imports():
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            found.add(name)
        return found - {"", self.name}

    def uses(self, *names: str) -> bool:
        """Tell whether one of these names occurs, alone, as an attribute, or imported."""
        used = {getattr(node, "attr", None) for node in ast.walk(self.tree)}
        used |= {getattr(node, "id", None) for node in ast.walk(self.tree)}
        used |= {each.rpartition(".")[2] for each in self.imports()}
        return not used.isdisjoint(names)


def modules_in(package: Path) -> dict[str, Module]:
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, text, ast.parse(text), is_package)
    return found


MODULES = modules_in(PACKAGE)
WRITTEN = {name: module for name, module in MODULES.items() if name != GENERATED}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_imports_go_down_from_layer_to_layer(module: Module) -> None:
    allowed = ENTRANCES.get(module.name, LAYERS[: LAYERS.index(module.layer) + 1])
    for name in module.own_imports():
        if name == LEAF:
            assert module.layer != "_winsock"
        elif module.name == LEAF:
            pytest.fail(f"the leaf imports {name}")
        elif name == NAME:
            assert module.layer == "_cli"  # others import the module that defines a name
        else:
            assert MODULES[name].layer in allowed, f"{module.name} imports {name}"


def test_no_imports_are_circular_not_even_for_types() -> None:
    graph = {name: module.own_imports() for name, module in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" → ".join(exc.args[1]))


def test_the_lowest_layer_does_not_import_trio() -> None:
    lowest = [module for module in MODULES.values() if module.layer == "_winsock"]
    assert lowest
    for module in lowest:
        assert not {name.partition(".")[0] for name in module.imports()} & {"trio", "outcome"}


def test_one_module_loads_libraries_and_imports_the_generated_declarations() -> None:
    load = ("dlopen", "WinDLL", "windll", "OleDLL", "LoadLibrary", "cdll")
    assert {name for name, module in WRITTEN.items() if module.uses(*load)} == {CALLS}
    assert {name for name, module in MODULES.items() if GENERATED in module.own_imports()} == {
        CALLS
    }


def test_only_the_engine_puts_tasks_to_sleep() -> None:
    sleep = ("wait_task_rescheduled", "wait_overlapped", "wait_readable", "wait_writable")
    assert {module.layer for module in WRITTEN.values() if module.uses(*sleep)} == {"_engine"}


def test_only_the_patch_uses_private_names_of_trio() -> None:
    private = re.compile(r"\b(trio|outcome|cffi)(\.\w+)*\._[a-z]\w*")
    users = set()
    for name, module in MODULES.items():
        nodes = [*ast.walk(module.tree)]
        texts = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]
        texts += [str(node.value) for node in nodes if isinstance(node, ast.Constant)]
        if any(map(private.match, [*texts, *module.imports()])):
            users.add(name)
    assert users == {f"{NAME}._install"}


@pytest.mark.parametrize("module", WRITTEN.values(), ids=WRITTEN)
def test_a_module_is_short_and_does_not_know_of_wine(module: Module) -> None:
    assert module.text.count("\n") <= MOST_LINES
    assert not re.search(r"\bwine\b", module.text, re.IGNORECASE)


def test_the_module_of_public_names_is_the_package() -> None:
    public = {name: each for name, each in vars(trio_wsarecv).items() if name[0] != "_"}
    modules = {name: getattr(each, "__module__", NAME) for name, each in public.items()}
    assert {module for name, module in modules.items() if name != "annotations"} == {NAME}
    error = trio_wsarecv.IncompleteReceiveError(b"some", 10)
    assert b"_engine" not in pickle.dumps(error)
    assert pickle.loads(pickle.dumps(error)).partial == b"some"
