"""The mutants of a module: cosmic-ray's, and those that leave a statement out."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names
from parso.python.tree import Function, Keyword

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of cosmic-ray's 200 operators those whose mutants are not caught by the same test every time.
OPERATORS = re.compile(
    r"core/("
    r"AddNot|NumberReplacer|RemoveDecorator|ExceptionReplacer|ZeroIterationForLoop"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak"
    r"|ReplaceUnaryOperator_Delete_\w+"
    r"|ReplaceComparisonOperator_"
    r"(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt)"
    r"|ReplaceBinaryOperator_"
    r"(Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|LShift_RShift|RShift_LShift|BitOr_BitAnd|BitAnd_BitOr)"
    r")"
)


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
      line: where it is.
      before: the lines as they were, without the spaces around them.
      after: the lines as they are.
      source: the whole module.
    """

    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.line}: {self.before}  →  {self.after or '(nothing)'}"


class LeaveOut(Operator):
    """Leaves a statement of a function out."""

    KINDS = ("expr_stmt", "atom_expr", "await_expr", "raise_stmt", "return_stmt", "del_stmt")

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        inside = node.type == "simple_stmt" and node.search_ancestor("funcdef")
        if isinstance(inside, Function) and node.children[0].type in self.KINDS:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        old = node.children[0]
        node.children[0] = Keyword("pass", old.start_pos, old.get_first_leaf().prefix)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


def mutants_of(source: str) -> list[Mutant]:
    """Return all mutants of a module that differ from it and from each other, in their order."""
    operators = [get_operator(name) for name in operator_names() if OPERATORS.fullmatch(name)]
    seen = {_running(source)}
    mutants = []
    tree = get_ast(source)
    for operator in (*(each() for each in operators), LeaveOut()):
        places = sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node))
        for occurrence in range(places):
            mutated = mutate_code(source, operator, occurrence)
            assert mutated is not None
            try:
                running = _running(mutated)
            except SyntaxError:
                continue
            if running not in seen:
                seen.add(running)
                mutants.append(_mutant(source, mutated))
    return sorted(mutants, key=lambda mutant: mutant.line)


def _running(source: str) -> str:
    # The module without what nobody runs: annotations, and all that is for the type checker.
    return ast.dump(_WithoutTypes().visit(ast.parse(source)))


_OPPOSITES: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    **{ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.Lt: ast.GtE, ast.Gt: ast.LtE},
    **{ast.NotEq: ast.Eq, ast.IsNot: ast.Is, ast.GtE: ast.Lt, ast.LtE: ast.Gt},
}


class _WithoutTypes(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | None:
        for_types = "TYPE_CHECKING" in ast.unparse(node.test)
        return None if for_types else self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        # Two ways to turn a comparison round are one mutant.
        inner = node.operand
        if isinstance(node.op, ast.Not) and isinstance(inner, ast.Compare) and len(inner.ops) == 1:
            opposite = _OPPOSITES.get(type(inner.ops[0]))
            if opposite:
                return self.generic_visit(ast.Compare(inner.left, [opposite()], inner.comparators))
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def _mutant(source: str, mutated: str) -> Mutant:
    old, new = source.splitlines(), mutated.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    changes = [change for change in matcher.get_opcodes() if change[0] != "equal"]
    (_, first, _, first_new, _), (_, _, last, _, last_new) = changes[0], changes[-1]
    before = " ".join(line.strip() for line in old[first:last]).strip()
    after = " ".join(" ".join(line.split()) for line in new[first_new:last_new])
    return Mutant(first + 1, before, after, mutated)
