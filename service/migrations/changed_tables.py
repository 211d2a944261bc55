"""Writes the revisions that bring an existing table to its model, as far as the running version does not notice.

What it would notice, or what rewrites the table, is named for the reader to do by hand.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from service.migrations import ddl
from service.migrations.defaults import constant_default
from service.migrations.new_tables import guards, securing, sorted_indexes
from service.migrations.policies import Owning, owner_policy
from service.migrations.revision_body import Body, alter, call, rendered
from service.models.indexes import SEARCHED
from service.models.sql_identifiers import quoted, shortened

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_ENUM = re.compile(r"check(\w+)in('[^']+'(?:,'[^']+')*)")
_CHECKED = re.compile(r"(?:CHECK|FOREIGN KEY)\b", re.IGNORECASE)


@dataclass
class Changes:
    """What takes a table to its model.

    `first` adds what takes a moment. `then` does what reads the whole table without blocking writes, and may be
    repeated. `last` makes columns required, by checks that `first` adds. `by_hand` has a sentence for each difference
    that is left to the reader. `required` names columns that cannot be added, for want of a value for rows that exist.
    """

    first: Body
    then: Body
    last: Body
    by_hand: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)


def changes(table: sa.Table, there: ddl.Table, owners: Sequence[Owning] | None) -> Changes:
    """Return what takes the table that is `there` to its model, with row-level security by the columns of `owners`;
    None leaves row-level security as it is."""
    found = Changes(
        first=Body(table.name),
        then=Body(f"constraints and indexes of {table.name}"),
        last=Body(f"required columns of {table.name}"),
    )
    wanted = _declared(table)
    _columns(table, there, found)
    _differences(table.name, there, wanted, found)
    _constraints(table.name, there, wanted, found)
    _indexes(table, there, wanted, found)
    if owners is not None:
        _row_security(table, there, owners, found)
    return found


def _row_security(table: sa.Table, there: ddl.Table, owners: Sequence[Owning], found: Changes) -> None:
    """Secure rows by the columns of the owners, and name those by which they are no longer to be secured."""
    declared = {owner.column.name: owner for owner in owners if owner.column.table is table}
    for name, owner in declared.items():
        if owner_policy(name) not in there.policies:
            found.first.add(*securing(owner))
    for column in there.columns:
        if column not in declared and owner_policy(column) in there.policies:
            found.by_hand.append(
                f"row-level security of {table.name} by {column} is not in the models; remove it by "
                f"{call('unsecure_rows', table.name, column)}"
            )


def _declared(table: sa.Table) -> ddl.Table:
    """Return what the model says, read from the SQL that would create its table."""
    steps: list[sa.schema.ExecutableDDLElement] = [CreateTable(table), *map(CreateIndex, table.indexes)]
    return ddl.read(str(step.compile(dialect=_DIALECT)) for step in steps)[table.name]


def _columns(table: sa.Table, there: ddl.Table, found: Changes) -> None:
    for column in table.columns:
        if column.name in there.columns:
            continue
        name = f"{table.name}.{column.name}"
        default: str | sa.FetchedValue | None = column.server_default
        if column.computed is not None:
            found.by_hand.append(f"{name} is generated: adding it rewrites the table under a lock")
            continue
        if default is None and not column.nullable:
            default = constant_default(column)
            if default is None:
                found.required.append(name)
        added = sa.Column(column.name, _plain(column.type), server_default=default, nullable=column.nullable)
        found.first.add(
            rendered([ops.AddColumnOp(table.name, added)]), [call("op.drop_column", table.name, column.name)]
        )
    for guard in guards(table):
        if guard[1] not in there.columns:
            found.first.add([call("guard_reference", *guard)], [call("unguard_reference", *guard)])


def _plain(type_: Any) -> Any:
    """Return the type of a column without its check, which is added without reading the table."""
    return sa.String(type_.length) if isinstance(type_, sa.Enum) and not type_.native_enum else type_


def _differences(name: str, there: ddl.Table, wanted: ddl.Table, found: Changes) -> None:
    """Make columns required, and name those that differ otherwise, or that the model does not have."""
    for column, before in there.columns.items():
        what, after = f"{name}.{column}", wanted.columns.get(column)
        if after is None:
            unset = "; give it a default now, since this version inserts rows without it"
            must = unset if before.required and not before.default else ""
            found.by_hand.append(f"{what} is not in the model{must}; drop it in a later release")
        elif after.type != before.type or before.required > after.required:
            found.by_hand.append(f"{what} is {before}, and {after} in the model")
        elif after.required > before.required:
            _require(name, column, found)


def _require(name: str, column: str, found: Changes) -> None:
    """Make a column required without reading the table under a lock: PostgreSQL trusts a valid check."""
    check = quoted(shortened(f"ck_{name}_{column}_required"))
    add = alter(name, f"ADD CONSTRAINT {check} CHECK ({quoted(column)} IS NOT NULL) NOT VALID")
    drop = alter(name, f"DROP CONSTRAINT {check}")
    found.first.add([add], [drop])
    found.last.add(
        [
            alter(name, f"VALIDATE CONSTRAINT {check}"),
            alter(name, f"ALTER COLUMN {quoted(column)} SET NOT NULL"),
            drop,
        ],
        [add, alter(name, f"ALTER COLUMN {quoted(column)} DROP NOT NULL")],
    )
    found.last.allowed["ban-drop-constraint"] = "the column itself is NOT NULL now"


def _constraints(name: str, there: ddl.Table, wanted: ddl.Table, found: Changes) -> None:
    for constraint, definition in wanted.constraints.items():
        if constraint in there.constraints:
            continue
        if not _CHECKED.match(definition):
            found.by_hand.append(f"constraint {constraint} of {name} is missing; build its index first")
            continue
        found.first.add(
            [alter(name, f"ADD CONSTRAINT {quoted(constraint)} {definition} NOT VALID")],
            [alter(name, f"DROP CONSTRAINT {quoted(constraint)}")],
        )
        found.then.add([alter(name, f"VALIDATE CONSTRAINT {quoted(constraint)}")])
    for constraint, before in there.constraints.items():
        after = wanted.constraints.get(constraint, "")
        if _values(before) < _values(after):
            _widen(name, constraint, before, after, found)
        else:
            _name_difference(f"constraint {constraint} of {name}", before, after, found)


def _widen(name: str, constraint: str, before: str, after: str, found: Changes) -> None:
    """Replace the check of an enum's values by one that accepts more."""
    drop = alter(name, f"DROP CONSTRAINT {quoted(constraint)}")
    restore = alter(name, f"ADD CONSTRAINT {quoted(constraint)} {before}")
    found.first.add(
        [drop, alter(name, f"ADD CONSTRAINT {quoted(constraint)} {after} NOT VALID")], [drop, restore]
    )
    found.first.allowed["ban-drop-constraint"] = "the new check accepts every value that the old one does"
    found.then.add([alter(name, f"VALIDATE CONSTRAINT {quoted(constraint)}")])


def _values(check: str) -> set[str]:
    """Return the column and the values of an enum's check; empty for any other constraint."""
    match = _ENUM.fullmatch(_compared(check))
    return {match[1], *match[2].split(",")} if match else set()


def _indexes(table: sa.Table, there: ddl.Table, wanted: ddl.Table, found: Changes) -> None:
    for index in sorted_indexes(table):
        name = str(index.name)
        if name in there.indexes:
            continue
        (code,) = rendered([ops.CreateIndexOp.from_index(index)])
        found.then.add(
            [code.replace("op.create_index(", "create_index_concurrently(", 1)],
            [call("op.drop_index", name, table.name)],
        )
        if columns := index.info.get(SEARCHED):
            found.first.add(
                [call("create_search_statistics", table.name, *columns)], [call("forget_search", table.name)]
            )
    for name, before in there.indexes.items():
        _name_difference(f"index {name} of {table.name}", before, wanted.indexes.get(name, ""), found)


def _name_difference(what: str, before: str, after: str, found: Changes) -> None:
    if not after:
        found.by_hand.append(f"{what} is not in the model; drop it in a later release")
    elif _compared(before) != _compared(after):
        found.by_hand.append(f"{what} differs from the model")


def _compared(definition: str) -> str:
    return re.sub(r" NOT VALID$|[\s()]", "", definition).casefold()
