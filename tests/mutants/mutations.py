"""Small wrong versions of a module: each mutation changes one constant, comparison, operator or call.

Annotations, decorators, strings and the ``__future__`` import are left alone: they hold no rule.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
CALLS = {"min": "max", "max": "min", "floor": "ceil", "ceil": "floor"}


@dataclass(frozen=True)
class Mutant:
    """One wrong version: the line it differs in, what was changed, and the whole tree as source."""

    line: int
    column: int
    change: str
    source: str


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that may hold a rule, in the order of the source."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list"} or isinstance(tree, ast.Import | ast.ImportFrom):
            continue
        if name == "value" and isinstance(tree, ast.Assign) and isinstance(value, ast.Subscript) and is_alias(tree):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from nodes(child)


def is_alias(tree: ast.Assign) -> bool:
    """Whether an assignment names a type, as ``Hidden = tuple[...]`` does."""
    return isinstance(tree.value, ast.Subscript) and ast.unparse(tree.value.value) == "tuple"


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of ``source``."""
    tree = ast.parse(source)
    for node in list(nodes(tree)):
        for attribute, wrong in wrongs(node):
            right = getattr(node, attribute)
            setattr(node, attribute, wrong)
            change = f"{shown(right)} -> {shown(wrong)}"
            yield Mutant(getattr(node, "lineno", 0), getattr(node, "col_offset", 0), change, ast.unparse(tree))
            setattr(node, attribute, right)


def wrongs(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The changes of one node, as (attribute, new value)."""
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        yield "value", node.value + 1  # type: ignore[operator]
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield "ops", [COMPARISONS[type(node.ops[0])](), *node.ops[1:]]
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield "op", OPERATORS[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        yield "op", ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "op", ast.UAdd()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "operand", ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Name) and node.id in CALLS:
        yield "id", CALLS[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in CALLS:
        yield "attr", CALLS[node.attr]


def shown(value: object) -> str:
    """A change as a reader sees it."""
    if isinstance(value, list):
        return type(value[0]).__name__
    if isinstance(value, ast.UnaryOp):
        return "not not"
    return type(value).__name__ if isinstance(value, ast.AST) else str(value)
