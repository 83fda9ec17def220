"""Small faults in source text, found on its syntax tree: what a mutant is, and where there are any.

A mutant is one of

- a comparison made its neighbour (``<`` to ``<=``) or its contrary, ``is`` and ``in`` negated;
- an arithmetic or bit operator made another, also in an augmented assignment;
- ``and`` and ``or`` swapped, ``not`` and a minus sign removed, a bare condition negated;
- an integer or float one more, a truth value flipped, a string emptied, or made its counterpart where it has one
  (``left`` and ``right``, ``first`` and ``last``, ``semi`` and ``anti``, ...);
- a bound of a slice left out, ``min`` and ``max`` (``any`` and ``all``, ...) swapped;
- a result returned as None, a statement removed that is a call, an assignment to an item or attribute, an augmented
  assignment or a ``raise``; ``break`` and ``continue`` swapped;
- in a string that is SQL: ``AND`` and ``OR`` swapped, an order or a bound turned, ``NOT`` or ``DISTINCT`` taken out.

Left alone is what decides no result: imports, annotations, type aliases and what stands under ``TYPE_CHECKING``,
docstrings, prose (strings with blanks that are no SQL), the words of errors, logs and help, ``__all__``, ``__repr__``,
decorators, the bodies of protocols. Mutants that change nothing a caller can see are not looked for, so they count.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_PAIRS = [
    ("min", "max"),
    ("any", "all"),
    ("minimum", "maximum"),
    ("min_horizontal", "max_horizontal"),
    ("argmin", "argmax"),
    ("ones", "zeros"),
    ("left", "right"),
    ("first", "last"),
    ("semi", "anti"),
    ("overwrite", "append"),
    ("backward", "forward"),
]
_SWAPPED = dict(_PAIRS) | {b: a for a, b in _PAIRS}
_SQL = re.compile(r"\b(SELECT|WHERE|AND|OR|DESC|JOIN|UNION|QUALIFY|NOT|IN \()|[<>]= ")
_SQL_SWAPS = [
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\bAND\b", "OR"),
        (r"\bOR\b", "AND"),
        (r"\bDESC\b", "ASC"),
        (r"<=", "<"),
        (r">=", ">"),
        (r"\bNOT ", ""),
        (r"\bDISTINCT ", ""),
        (r"\bSEMI\b", "ANTI"),
        (r"= 1\b", "= 2"),
    )
]
_WORDS = {"help", "doc", "summary", "meaning", "reason", "epilog", "description"}
_TALK = {"say", "debug", "info", "warning", "exception", "error"}


@dataclass(frozen=True)
class Mutant:
    """One small fault.

    Attributes
    ----------
    path : str
        Of the file, below the root of the tree.
    start, end : int
        Bytes of the file that ``after`` takes the place of.
    line : int
        First line changed.
    operator : str
    before, after : str
    where : tuple of (int, int)
        Lines of the fault, then of the statement it is in (of a default: the function's body): a test that runs one of
        the first lines any test runs, runs the mutant.
    """

    path: str
    start: int
    end: int
    line: int
    operator: str
    before: str
    after: str
    where: tuple[tuple[int, int], ...]

    def applied(self, source: bytes) -> bytes:
        """Source text with the fault in it."""
        return source[: self.start] + self.after.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} [{self.operator}] {_short(self.before)}  ->  {_short(self.after)}"


def _short(text: str) -> str:
    return " ".join(text.split())


def mutants_of(root: Path, path: str) -> list[Mutant]:
    """Every mutant of one file that is still Python, in the order of the text."""
    source = (root / path).read_bytes()
    found = sorted(_Finder(path, source).found(), key=lambda m: (m.start, m.end, m.operator, m.after))
    return [m for m in found if _parses(m.applied(source))]


def _parses(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder:
    """Walks one file's tree, parents first."""

    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        lengths = [len(line) for line in source.splitlines(keepends=True)]
        self._offsets = [0, *(sum(lengths[: i + 1]) for i in range(len(lengths)))]
        self._where: tuple[tuple[int, int], ...] = ()

    def found(self) -> Iterator[Mutant]:
        yield from self._walk(ast.parse(self._source))

    def _walk(self, node: ast.AST) -> Iterator[Mutant]:
        if _decides_nothing(node):
            return
        before = self._where
        if isinstance(node, ast.stmt):
            self._where = (_own_lines(node),)
        yield from self._here(node)
        for field, value in ast.iter_fields(node):
            if _skipped(node, field):
                continue
            if isinstance(node, ast.FunctionDef):
                self._where = (_body(node),)
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from self._walk(child)
        self._where = before

    def _mutant(self, node: ast.AST, operator: str, after: str, *, start: int = 0, end: int = 0) -> Mutant:
        """Mutant of a node's text, or of the bytes ``start`` to ``end`` of the file."""
        first, last = _lines(node)
        if not end:
            start = self._offsets[first - 1] + node.col_offset  # type: ignore[attr-defined]
            end = self._offsets[last - 1] + node.end_col_offset  # type: ignore[attr-defined]
        text = self._source[start:end].decode()
        return Mutant(self._path, start, end, first, operator, text, after, ((first, last), *self._where))

    def _swap(self, node: ast.AST, operator: str, new: ast.expr) -> Mutant:
        return self._mutant(node, operator, f"({ast.unparse(new)})")

    def _here(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.Compare):
            for i, op in enumerate(node.ops):
                for new in _COMPARE[type(op)]:
                    ops = [*node.ops[:i], new(), *node.ops[i + 1 :]]
                    yield self._swap(node, "comparison", ast.Compare(node.left, ops, node.comparators))
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and not _of_text(node):
            yield self._swap(node, "arithmetic", ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right))
        elif isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield self._swap(node, "and/or", ast.BoolOp(other, node.values))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield self._swap(node, "sign", node.operand)
        elif isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.JoinedStr):
            yield from self._sql(node)
        elif isinstance(node, ast.Slice):
            yield from self._slice(node)
        elif isinstance(node, ast.Call):
            yield from self._called(node)
        elif isinstance(node, ast.stmt):
            yield from self._statement(node)
        for condition in _conditions(node):
            if isinstance(condition, ast.Name | ast.Attribute | ast.Call):
                yield self._mutant(condition, "condition", f"(not {ast.unparse(condition)})")

    def _constant(self, node: ast.Constant) -> Iterator[Mutant]:
        value = node.value
        if isinstance(value, bool):
            yield self._mutant(node, "truth", str(not value))
        elif isinstance(value, int | float):
            yield self._mutant(node, "number", repr(value + 1))
        elif isinstance(value, str):
            sql = list(self._sql(node))
            yield from sql
            if value in _SWAPPED:
                yield self._mutant(node, "string", repr(_SWAPPED[value]))
            elif value and not sql and not re.search(r"\s\S", value):
                yield self._mutant(node, "string", "''")

    def _sql(self, node: ast.Constant | ast.JoinedStr) -> Iterator[Mutant]:
        first, last = _lines(node)
        base = self._offsets[first - 1] + node.col_offset
        text = self._source[base : self._offsets[last - 1] + (node.end_col_offset or 0)].decode()
        if not _SQL.search(text):
            return
        for pattern, new in _SQL_SWAPS:
            for match in pattern.finditer(text):
                start, end = (base + len(text[: match.span()[i]].encode()) for i in (0, 1))
                yield self._mutant(node, "sql", new, start=start, end=end)

    def _slice(self, node: ast.Slice) -> Iterator[Mutant]:
        for bound in ("lower", "upper"):
            if getattr(node, bound) is not None:
                left = {f: getattr(node, f) for f in ("lower", "upper", "step") if f != bound}
                yield self._mutant(node, "slice", ast.unparse(ast.Slice(**left)))

    def _called(self, node: ast.Call) -> Iterator[Mutant]:
        function = node.func
        if isinstance(function, ast.Name) and function.id in _SWAPPED:
            yield self._mutant(function, "call", _SWAPPED[function.id])
        elif isinstance(function, ast.Attribute) and function.attr in _SWAPPED:
            yield self._mutant(function, "call", f"{ast.unparse(function.value)}.{_SWAPPED[function.attr]}")

    def _statement(self, node: ast.stmt) -> Iterator[Mutant]:
        if isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
            yield self._mutant(node, "return", "return None")
        elif isinstance(node, ast.Break | ast.Continue):
            yield self._mutant(node, "loop", "continue" if isinstance(node, ast.Break) else "break")
        elif (
            isinstance(node, ast.AugAssign | ast.Raise)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
            or (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Attribute))
        ):
            yield self._mutant(node, "removed", "pass")
            if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
                other = ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)
                yield self._mutant(node, "arithmetic", ast.unparse(other))


def _lines(node: ast.AST) -> tuple[int, int]:
    first: int = node.lineno  # type: ignore[attr-defined]
    return first, getattr(node, "end_lineno", first)


def _own_lines(node: ast.stmt) -> tuple[int, int]:
    """Lines of a statement without those of the statements in it."""
    first, last = _lines(node)
    inner = getattr(node, "body", None)
    return first, max(first, inner[0].lineno - 1) if inner else last


def _body(node: ast.FunctionDef) -> tuple[int, int]:
    plain = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return plain[0].lineno, node.end_lineno or node.lineno


def _conditions(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return [node.test]
    return node.ifs if isinstance(node, ast.comprehension) else []


def _of_text(node: ast.BinOp) -> bool:
    """Whether an operator joins or formats text: another one is no fault anybody makes."""
    sides = (node.left, node.right)
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
    )


def _decides_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.Expr):
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            return call.func.attr in _TALK
        return isinstance(call, ast.Constant)
    if isinstance(node, ast.FunctionDef):
        return node.name == "__repr__"
    if isinstance(node, ast.ClassDef):
        return any("Protocol" in ast.unparse(base) for base in node.bases)
    if isinstance(node, ast.Assign):
        name = ast.unparse(node.targets[0])
        alias = isinstance(node.value, ast.BinOp | ast.Subscript) and bool(re.fullmatch(r"([A-Z][a-z]+)+", name))
        return name == "__all__" or alias or ast.unparse(node.value).startswith("TypeVar")
    return False


def _skipped(node: ast.AST, field: str) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in _WORDS
    if isinstance(node, ast.Call) and field == "args":
        return ast.unparse(node.func).rpartition(".")[2] in {"cast", "getLogger"}
    return field in {"annotation", "returns", "decorator_list", "exc", "cause", "type_comment"} or (
        isinstance(node, ast.JoinedStr) and field == "values"
    )
