"""Small mutations of the package's code: a sign, a bound, an axis; one at a time, applied while importing."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import random
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOMS", "Mutant", "find", "install", "mutated", "sample"]

PACKAGE = Path(__file__).parents[2] / "neuroalign"
ROOMS = ("rsa", "encoding", "localization", "stats", "io")
SIGNS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
BOUNDS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
# Keywords whose integer is an axis or a count of degrees of freedom: 0 becomes 1, anything else 0.
AXES = ("axis", "dim", "ddof", "correction", "k")
# What these hold is words, not results.
WORDS = (ast.Raise, ast.Assert, ast.JoinedStr, ast.AnnAssign)
SILENT = ("warn", "tqdm", "progress", "note", "listing", "InvalidValueError", "ShapeError", "FileError")


@dataclass(frozen=True)
class Mutant:
    """One small change of one place.

    Attributes
    ----------
    module : str
        Dotted name of the module.
    line, column : int
        Where the changed expression starts.
    kind : {'sign', 'bound', 'axis'}
    before, after : str
        The expression as it stands, and as it becomes.
    """

    module: str
    line: int
    column: int
    kind: str
    before: str
    after: str

    @property
    def room(self) -> str:
        return self.module.split(".")[1]

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.before}  ->  {self.after}"


def path_of(module: str) -> Path:
    """Return the source file of a module of the package."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def find(module: str) -> list[Mutant]:
    """Return every mutant of a module."""
    tree = ast.parse(path_of(module).read_text(encoding="utf-8"))
    return [
        Mutant(module, node.lineno, node.col_offset, kind, _text(node), _text(changed))
        for node in _places(tree)
        for kind, changed in _changes(node)
    ]


def sample(n: int, seed: int) -> list[Mutant]:
    """Return n mutants, the same number from each room, drawn without replacement."""
    rng = random.Random(seed)  # noqa: S311
    drawn = []
    for room in ROOMS:
        modules = sorted(
            "neuroalign." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            for path in (PACKAGE / room).rglob("*.py")
            if path.name != "__init__.py"
        )
        drawn += rng.sample([mutant for module in modules for mutant in find(module)], n // len(ROOMS))
    return drawn


def mutated(mutant: Mutant) -> ast.Module:
    """Return the syntax tree of a mutant's module with its one change."""
    tree = ast.parse(path_of(mutant.module).read_text(encoding="utf-8"))
    for node in _places(tree):
        if (node.lineno, node.col_offset, _text(node)) == (mutant.line, mutant.column, mutant.before):
            for _, changed in _changes(node):
                if _text(changed) == mutant.after:
                    _replace(node, changed)
                    return tree
    raise LookupError(f"{mutant} is not in the source any more")


def install(mutant: Mutant) -> None:
    """Let the next import of the mutant's module give the mutant; call it before the package is imported."""
    if any(name.split(".")[0] == "neuroalign" for name in sys.modules):
        raise RuntimeError("the package is imported already")
    sys.meta_path.insert(0, _Finder(mutant))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads the one mutated module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name, path=None, target=None):
        if name != self.mutant.module:
            return None
        return importlib.util.spec_from_file_location(name, path_of(name), loader=self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        tree = ast.fix_missing_locations(mutated(self.mutant))
        exec(compile(tree, str(path_of(self.mutant.module)), "exec"), module.__dict__)  # noqa: S102


def _places(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions inside functions whose value is a result: no words, annotations or progress."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    seen: set[int] = set()
    for function in functions:
        for statement in function.body:
            for node in _inside(statement):
                if id(node) not in seen and isinstance(
                    node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.Call | ast.Slice
                ):
                    seen.add(id(node))
                    if isinstance(node, ast.expr):
                        yield node


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, WORDS) or (isinstance(node, ast.Call) and _name(node.func) in SILENT):
        return
    yield node
    for name, child in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and isinstance(node, ast.FunctionDef):
            continue
        for item in child if isinstance(child, list) else [child]:
            if isinstance(item, ast.AST):
                yield from _inside(item)


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS and not _is_text(node):
        yield "sign", ast.copy_location(ast.BinOp(node.left, SIGNS[type(node.op)](), node.right), node)
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and not isinstance(node.operand, ast.Constant)
    ):
        yield "sign", node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in BOUNDS:
        yield (
            "bound",
            ast.copy_location(ast.Compare(node.left, [BOUNDS[type(node.ops[0])]()], node.comparators), node),
        )
    if isinstance(node, ast.Slice):
        for side in ("lower", "upper"):
            bound = getattr(node, side)
            if isinstance(bound, ast.Constant) and isinstance(bound.value, int):
                changed = deepcopy(node)
                setattr(changed, side, ast.Constant(bound.value + 1))
                yield "bound", changed
    if isinstance(node, ast.Call):
        for i, keyword in enumerate(node.keywords):
            value = _integer(keyword.value)
            if keyword.arg in AXES and value is not None:
                changed = deepcopy(node)
                changed.keywords[i].value = ast.Constant(1 if value == 0 else 0)
                yield "axis", changed


def _integer(node: ast.expr) -> int | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if type(value) is int else None


def _is_text(node: ast.BinOp) -> bool:
    """Return whether an operand is text, a list or a set of type names: its + does not add numbers."""
    parts = ast.walk(node)
    return any(
        isinstance(part, ast.JoinedStr | ast.List | ast.Tuple)
        or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in parts
    )


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _replace(node: ast.expr, changed: ast.expr) -> None:
    """Make a node into another, in place: its parents keep it."""
    changed = deepcopy(changed)
    node.__class__ = changed.__class__
    node.__dict__ = {**changed.__dict__, "lineno": node.lineno, "col_offset": node.col_offset}


def _text(node: ast.AST) -> str:
    return ast.unparse(node)
