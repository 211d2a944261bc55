"""Finds the settings that the code reads, in the syntax trees of the service."""

import ast
from collections.abc import Iterable, Iterator

from tests.unit.rules.rule import Source

DECLARED_IN = "service/config/"
READ_BY = "service/config/loading.py"


def _attributes(tree: ast.AST) -> set[str]:
    return {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}


def _names(tree: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}


def _about(source: Source, group: str, kind: str) -> bool:
    """Whether a file uses a group: it names the class, or reads `….group`."""
    return kind in _names(source.tree) or group in _attributes(source.tree)


def _members(sources: Iterable[Source], kind: str) -> Iterator[ast.FunctionDef]:
    """Return the public methods of a group, without validators."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and node.name == kind:
                yield from (m for m in node.body if isinstance(m, ast.FunctionDef) and m.name[0] != "_")


def read_fields(sources: list[Source], group: str, kind: str) -> set[str]:
    """Attributes that are read where the group is dealt with, or by a member of it that is.

    A name of several words is nobody else's, so it may be read anywhere.
    """
    declaring = [s for s in sources if s.path.startswith(DECLARED_IN) and s.path != READ_BY]
    read: set[str] = set()
    anywhere: set[str] = set()
    for source in (s for s in sources if s not in declaring):
        found = _attributes(source.tree)
        anywhere |= found
        read |= found if _about(source, group, kind) else {name for name in found if "_" in name.strip("_")}
    for members, used in ((_members(declaring, kind), read), (_members(declaring, "Settings"), anywhere)):
        for member in members:
            if member.name in used:
                read |= _attributes(member)
    return read
