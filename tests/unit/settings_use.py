"""Finds the settings that the code reads, in the syntax trees of the service."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from tests.unit.rules.rule import Source

DECLARED_IN = "service/config/"
READ_BY = "service/config/loading.py"


def _read(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the attributes among the nodes that are read."""
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def _members(sources: Iterable[Source], kind: str) -> Iterator[ast.FunctionDef]:
    """Return the public methods of a group, without validators."""
    for source in sources:
        for node in source.nodes(ast.ClassDef):
            if node.name == kind:
                yield from (m for m in node.body if isinstance(m, ast.FunctionDef) and m.name[0] != "_")


def read_fields(sources: list[Source], kinds: Mapping[str, str]) -> dict[str, set[str]]:
    """Return for each group, given with its class, the attributes that are read where it is dealt with, or by a member
    of it that is read there.

    A file deals with a group if it names the class, or reads `….group`. A name of several words is nobody else's, so it
    may be read anywhere.
    """
    declaring = [s for s in sources if s.path.startswith(DECLARED_IN) and s.path != READ_BY]
    read: dict[str, set[str]] = {group: set() for group in kinds}
    anywhere: set[str] = set()
    for source in (s for s in sources if s not in declaring):
        found, names = _read(source.nodes(ast.Attribute)), {node.id for node in source.nodes(ast.Name)}
        several_words = {name for name in found if "_" in name.strip("_")}
        anywhere |= found
        for group, kind in kinds.items():
            read[group] |= found if kind in names or group in found else several_words
    for group, kind in kinds.items():
        for members, used in (
            (_members(declaring, kind), read[group]),
            (_members(declaring, "Settings"), anywhere),
        ):
            for member in members:
                if member.name in used:
                    read[group] |= _read(ast.walk(member))
    return read
