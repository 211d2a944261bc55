"""The mutations of a file, and the choice of some in a room."""

import ast
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.operators import OPERATORS, query

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Mutation:
    """One change of one file: the characters from `start` to `end` become `replacement`."""

    path: str
    start: int
    end: int
    replacement: str
    operator: str
    function: str
    key: str
    """It stays when lines move: the hash of the function's name, the operator, and both texts."""

    def applied(self, source: str) -> str:
        return source[: self.start] + self.replacement + source[self.end :]

    def lines(self, source: str) -> range:
        """Return the numbers of the lines that it changes."""
        first = source.count("\n", 0, self.start) + 1
        return range(first, first + source.count("\n", self.start, self.end) + 1)

    def shown(self, source: str) -> tuple[str, str]:
        """Return what it changes, before and after, each as one line."""
        before, after = source[self.start : self.end], self.replacement
        while before and after and before[0] == after[0] and len(before) > 60:  # a long text
            before, after = before[1:], after[1:]
        return _short(before), _short(after)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 70 else f"{line[:67]}..."


class Finder(ast.NodeVisitor):
    """Collects the mutations of a file."""

    def __init__(self, path: str, source: str) -> None:
        self._path, self._source = path, source
        self._starts = [0]  # of each line, in bytes
        for line in source.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._is_ascii = source.isascii()
        self._functions: list[str] = []
        self._seen: Counter[str] = Counter()
        self.found: list[Mutation] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Assert, ast.Import, ast.ImportFrom)) or _is_type(node):
            return
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            node.test.is_condition = True  # type: ignore[attr-defined]
        if isinstance(node, ast.ExceptHandler) and node.type:
            node.type.is_caught = True  # type: ignore[attr-defined]
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.is_raised = True  # type: ignore[attr-defined]
        annotation = getattr(node, "returns" if _is_function(node) else "annotation", None)
        if isinstance(annotation, ast.Constant):  # the name of a class that is defined later
            annotation.is_type = True  # type: ignore[attr-defined]
        for name, operator in OPERATORS.items():
            for replacement in operator(node):
                self._add(node, name, replacement)
        self._into(node)

    def _into(self, node: ast.AST) -> None:
        is_text = isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        if is_text:  # Python 3.11 does not know where the expressions of an f-string stand
            for replacement in query(self._text(node)):
                self._add(node, "query", replacement)
            return
        named = _is_function(node) or isinstance(node, ast.ClassDef)
        if named:
            self._functions.append(node.name)  # type: ignore[attr-defined]
        for child in ast.iter_child_nodes(node):
            if not _is_docstring(child):
                self.visit(child)
        if named:
            self._functions.pop()

    def _span(self, node: ast.AST) -> tuple[int, int]:
        at: ast.expr = node  # type: ignore[assignment]
        assert at.end_lineno
        assert at.end_col_offset is not None
        start, end = (
            self._starts[line - 1] + column
            for line, column in ((at.lineno, at.col_offset), (at.end_lineno, at.end_col_offset))
        )
        if self._is_ascii:
            return start, end
        encoded = self._source.encode()
        return len(encoded[:start].decode()), len(encoded[:end].decode())

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._source[start:end]

    def _add(self, node: ast.AST, operator: str, replacement: str) -> None:
        start, end = self._span(node)
        function = ".".join(self._functions)
        parts = (self._path, function, operator, self._source[start:end], replacement)
        identity = "\0".join(parts)
        self._seen[identity] += 1
        key = hashlib.sha256(f"{identity}\0{self._seen[identity]}".encode()).hexdigest()[:10]
        self.found.append(Mutation(self._path, start, end, replacement, operator, function, key))


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_type(node: ast.AST) -> bool:
    """Whether only type checkers read it."""
    match node:
        case ast.Subscript(value=ast.Name("Literal")) | ast.If(test=ast.Name("TYPE_CHECKING")):
            return True
        case ast.Call(func=ast.Name("TypeVar" | "ParamSpec" | "NewType")):
            return True
    return getattr(node, "is_type", False)


def mutations(path: str, source: str) -> Iterator[Mutation]:
    """Yield every mutation of a file that compiles."""
    finder = Finder(path, source)
    finder.visit(ast.parse(source))
    for mutation in finder.found:
        try:
            compile(mutation.applied(source), path, "exec")
        except SyntaxError:
            continue
        yield mutation


def room_files(room: str, root: Path) -> list[Path]:
    """Return the files of a room: a folder or a module of service/, or a part of one (`http/server`)."""
    where = root / "service" / room
    files = sorted(where.rglob("*.py")) if where.is_dir() else [where.with_suffix(".py")]
    if not files or not files[0].exists():
        raise SystemExit(f"ROOM={room}: there is no service/{room}")
    return files


def room_mutations(room: str, root: Path = ROOT) -> Iterator[Mutation]:
    """Yield every mutation of a room."""
    for file in room_files(room, root):
        yield from mutations(str(file.relative_to(root)), file.read_text("utf-8"))


def chosen(room: str, number: int, seed: int, *, root: Path = ROOT) -> list[Mutation]:
    """Return some mutations of a room, the same for the same seed: every operator has an equal share."""
    by_operator: dict[str, list[Mutation]] = defaultdict(list)
    for mutation in room_mutations(room, root):
        by_operator[mutation.operator].append(mutation)
    dice = random.Random(f"{seed} {room}")
    for some in by_operator.values():
        dice.shuffle(some)
    picked: list[Mutation] = []
    while len(picked) < number and any(by_operator.values()):
        for some in by_operator.values():
            if some and len(picked) < number:
                picked.append(some.pop())
    return picked
