"""The Python of a generated migration: what its two functions do, and what it imports for that."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from alembic.autogenerate import render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlmodel.sql.sqltypes import AutoString

from service.models.sql_identifiers import quoted

_MODULES = {
    "service.migrations.operations": (
        "create_index_concurrently",
        "create_search_statistics",
        "forget_search",
        "guard_reference",
        "track_history",
        "unguard_reference",
    ),
    "service.migrations.row_security": ("secure_rows", "unsecure_rows"),
}
_INDENT = " " * 4
_BIND = re.compile(r"(?<![:\w\\]):(?=\w)")  # what SQLAlchemy would take for a parameter


@dataclass
class Body:
    """The lines of `upgrade` and `downgrade` of one revision.

    `title` tells it from other revisions of the same message. `allowed` gives the reason for each rule of the lint that
    it breaks.
    """

    title: str = ""
    upgrade: list[str] = field(default_factory=list)
    downgrade: list[str] = field(default_factory=list)
    allowed: dict[str, str] = field(default_factory=dict)

    def add(self, upgrade: Iterable[str], downgrade: Iterable[str] = ()) -> None:
        """Append to `upgrade`, and let `downgrade` begin with what undoes it."""
        self.upgrade += upgrade
        self.downgrade[:0] = downgrade

    @property
    def code(self) -> Mapping[str, str]:
        """What script.py.mako fills in."""
        upgrade, downgrade = (
            f"\n{_INDENT}".join(lines) or "pass" for lines in (self.upgrade, self.downgrade)
        )
        allowed = "".join(f"\n# allow {rule}: {reason}" for rule, reason in self.allowed.items())
        return {
            "upgrade": upgrade,
            "downgrade": downgrade,
            "imports": "\n".join((*_imports(upgrade + downgrade), "")),
            "allowed": f"{allowed}\n" if allowed else "",
        }


def _imports(code: str) -> Iterator[str]:
    if "postgresql." in code:
        yield "from sqlalchemy.dialects import postgresql"
    found = {
        module: ", ".join(name for name in names if re.search(rf"\b{name}\(", code))
        for module, names in _MODULES.items()
    }
    if any(found.values()):
        yield ""
    yield from (f"from {module} import {names}" for module, names in found.items() if names)


def rendered(steps: Sequence[ops.MigrateOperation]) -> list[str]:
    """Return the lines of code of Alembic's operations."""
    context = MigrationContext.configure(dialect_name="postgresql")
    code = render_python_code(ops.UpgradeOps(steps), render_item=_as_sqlalchemy, migration_context=context)
    lines = (line.strip() for line in code.splitlines())
    return [line.replace(", unique=False", "") for line in lines if not line.startswith("#")]


def call(function: str, *texts: str, **more: str) -> str:
    """Return the call of a function with texts."""
    return (
        f"{function}({', '.join([*map(repr, texts), *(f'{name}={text!r}' for name, text in more.items())])})"
    )


def alter(table: str, action: str) -> str:
    """Return the call that runs `ALTER TABLE`."""
    return call("op.execute", _BIND.sub(r"\\:", f"ALTER TABLE {quoted(table)} {action}"))


def _as_sqlalchemy(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Render SQLModel's text type as the one that it stands for; leave all else to Alembic."""
    if kind != "type" or not isinstance(item, AutoString):
        return False
    return f"sa.String({item.length or ''})"
