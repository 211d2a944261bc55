"""Writes the operations of a migration that creates tables, from their models."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlmodel.sql.sqltypes import AutoString

from service.migrations.branches import BRANCHES, known
from service.migrations.rendering import statements
from service.models.base import SYSTEM_FIELDS
from service.models.indexes import SEARCHED
from service.models.view import is_view

_TABLES = re.compile(
    r'^(?P<what>CREATE|DROP) TABLE (?:IF (?:NOT )?EXISTS )?(?P<table>\w+|"[^"]+")', re.MULTILINE
)
_HELPERS = ("create_search_statistics", "guard_reference", "track_history", "unguard_reference")
_INDENT = " " * 4


@dataclass(frozen=True)
class Operations:
    """The bodies of `upgrade` and `downgrade`, and the import lines that they need."""

    upgrade: str = "pass"
    downgrade: str = "pass"
    imports: str = ""


def operations(tables: Sequence[sa.Table]) -> Operations:
    """Return the operations that create those of the tables that no migration creates, with their indexes, guarded
    references and row history. Without such tables there is nothing to do.

    Raises `ScriptsError` if the migrations contradict each other.
    """
    there = _created()
    new = sa.schema.sort_tables([table for table in tables if table.name not in there and not is_view(table)])
    if not new:
        return Operations()
    upgrade = "\n".join(f"{_INDENT}{line}" for table in new for line in _creating(table)).strip()
    downgrade = "\n".join(f"{_INDENT}{line}" for table in reversed(new) for line in _dropping(table)).strip()
    used = ", ".join(name for name in _HELPERS if f"{name}(" in upgrade + downgrade)
    imports = ["from sqlalchemy.dialects import postgresql"] if "postgresql." in upgrade else []
    if used:
        imports += ["", f"from service.migrations.operations import {used}"]
    return Operations(upgrade, downgrade, "\n".join((*imports, "")))


def _created() -> set[str]:
    """Return the names of the tables that exist after all migrations."""
    found: set[str] = set()
    for branch in BRANCHES:
        for revision in known(branch):
            for match in _TABLES.finditer(statements(branch, revision)):
                change = found.add if match["what"] == "CREATE" else found.discard
                change(match["table"].strip('"'))
    return found


def _creating(table: sa.Table) -> Iterator[str]:
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    steps = [ops.CreateTableOp.from_table(table), *map(ops.CreateIndexOp.from_index, indexes)]
    context = MigrationContext.configure(dialect_name="postgresql")
    code = render_python_code(ops.UpgradeOps(steps), render_item=_as_sqlalchemy, migration_context=context)
    for line in code.splitlines():
        if not line.lstrip().startswith("#"):
            yield line.strip().replace(", unique=False", "")
    for index in indexes:
        if columns := index.info.get(SEARCHED):
            yield _call("create_search_statistics", table.name, *columns)
    for guard in _guards(table):
        yield _call("guard_reference", *guard)
    if _is_resource(table):
        yield _call("track_history", table.name)


def _dropping(table: sa.Table) -> Iterator[str]:
    for guard in _guards(table):
        yield _call("unguard_reference", *guard)
    yield _call("op.drop_table", table.name)


def _guards(table: sa.Table) -> Iterator[tuple[str, str, str]]:
    """Yield the table, the column and the target of each reference that soft deletes concern."""
    for column in table.columns:
        for key in column.foreign_keys:
            if _is_resource(table) and _is_resource(key.column.table):
                yield table.name, column.name, key.column.table.name


def _is_resource(table: sa.Table) -> bool:
    return set(table.columns.keys()) >= SYSTEM_FIELDS


def _call(function: str, *texts: str) -> str:
    return f"{function}({', '.join(map(repr, texts))})"


def _as_sqlalchemy(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Render SQLModel's text type as the one that it stands for; leave all else to Alembic."""
    if kind != "type" or not isinstance(item, AutoString):
        return False
    return f"sa.String({item.length or ''})"
