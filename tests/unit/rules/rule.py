"""The class of rules, and the files that they check."""

import ast
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[3]

Finding = tuple[int, str]
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True)
class Source:
    """A file: its path relative to the repository, and its text."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[Any]]:
        found: dict[type[ast.AST], list[Any]] = defaultdict(list)
        for node in ast.walk(self.tree):
            found[type(node)].append(node)
        return found

    def nodes(self, kind: type[Node]) -> list[Node]:
        """Return the nodes of exactly this class in the syntax tree, which is walked once for all rules."""
        return self._nodes.get(kind, [])


@dataclass(frozen=True)
class Rule:
    """`check` yields (line, what to do) for each breach in a file that `applies` names.

    `bad` are files that the rule must catch, `good` are files near to them that it must let pass.
    """

    name: str
    applies: Callable[[str], bool]
    check: Callable[[Source], Iterable[Finding]]
    bad: tuple[Source, ...]
    good: tuple[Source, ...]

    def breaches(self, source: Source) -> list[str]:
        if not self.applies(source.path):
            return []
        return [f"{source.path}:{line}: {self.name}: {text}" for line, text in self.check(source)]


def is_python(path: str) -> bool:
    return path.endswith(".py")


def is_service(path: str) -> bool:
    return path.startswith("service/") and is_python(path)


def service_but(*allowed: str) -> Callable[[str], bool]:
    """Select the Python files of the service, except those under `allowed`."""
    return lambda path: is_service(path) and not path.startswith(allowed)


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for such an expression, otherwise an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


def tracked() -> Iterator[Source]:
    """Yield the tracked text files as they are in the work tree. Raises if this is not a checkout."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    for name in filter(None, done.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():  # it may be deleted, and not yet committed
            yield Source(name, path.read_text("utf-8", errors="replace"))


def python_sources(*folders: str) -> Iterator[Source]:
    """Yield the Python files of these folders, tracked or not. Their syntax trees take half a gigabyte if all are
    kept."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
