"""Reads what SQL creates: tables with their columns and constraints, indexes, and policies.

It knows the plain statements that migrations consist of. What a DO block or a function does is not seen.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

_NAME = r'(?:(?:\w+|"[^"]+")\.)?(\w+|"[^"]+")'
_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|"""
_HIDDEN = re.compile(_QUOTED + r"(--[^\n]*|/\*.*?\*/|(?P<mark>\$\w*\$).*?(?P=mark))", re.DOTALL)
_SPACED = re.compile(_QUOTED + r"""\s+|[^\s'"]+""")
_PIECES = re.compile(_QUOTED + ".", re.DOTALL)
_CONSTRAINT = re.compile(r"(?:CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN|EXCLUDE|LIKE)\b", re.IGNORECASE)
_AFTER_TYPE = re.compile(
    r"\b(?:COLLATE|CONSTRAINT|NOT NULL|NULL|DEFAULT|GENERATED|PRIMARY|UNIQUE|REFERENCES|CHECK)\b.*",
    re.IGNORECASE,
)
_SYNONYMS = (
    (r"\bCHARACTER VARYING\b", "VARCHAR"),
    (r"\b(?:INT|INT4)\b", "INTEGER"),
    (r"\bINT8\b", "BIGINT"),
    (r"\bINT2\b", "SMALLINT"),
    (r"\bBOOL\b", "BOOLEAN"),
    (r"\bDECIMAL\b", "NUMERIC"),
    (r"\bFLOAT8\b|\bFLOAT\b", "DOUBLE PRECISION"),
    (r"\bTIMESTAMPTZ\b", "TIMESTAMP WITH TIME ZONE"),
    (r" WITHOUT TIME ZONE\b|\s(?=\()|(?<=,)\s", ""),
)


@dataclass(frozen=True)
class Column:
    """The type of a column, in one spelling, whether it is NOT NULL, and whether it has a default."""

    type: str
    required: bool = False
    default: bool = False

    def __str__(self) -> str:
        return f"{self.type} NOT NULL" if self.required else self.type


@dataclass
class Table:
    """What belongs to a table. Definitions are the SQL after the name."""

    columns: dict[str, Column] = field(default_factory=dict)
    constraints: dict[str, str] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)


class Schema(dict[str, Table]):
    """The tables that exist after some statements, by name."""

    def run(self, sql: str) -> None:
        """Apply the statements, in order."""
        for statement in _split(_HIDDEN.sub(lambda found: " " if found[1] else found[0], sql), ";"):
            _apply(_STATEMENTS, self, _spaced(statement))

    def index_owner(self, index: str) -> Table | None:
        """Return the table that has the index."""
        return next((table for table in self.values() if index in table.indexes), None)


def read(statements: Iterable[str]) -> Schema:
    """Return what exists after the statements."""
    schema = Schema()
    for sql in statements:
        schema.run(sql)
    return schema


def _apply(rows: "_Rows", target: Schema | Table, text: str) -> None:
    """Call the function of the first row whose pattern the text begins with. Others change nothing that matters."""
    for pattern, change in rows:
        if match := pattern.match(text):
            change(target, *(group and _bare(group) for group in match.groups()))
            return


def _create_table(schema: Schema, name: str, body: str) -> None:
    if name not in schema:  # IF NOT EXISTS
        table = schema[name] = Table()
        for part in _split(body, ","):
            _add(table, part)


def _drop_tables(schema: Schema, names: str) -> None:
    for name in _split(names, ","):
        schema.pop(_bare(name), None)


def _alter_table(schema: Schema, name: str, actions: str) -> None:
    if (table := schema.get(name)) is None:
        return
    if renamed := re.match(rf"RENAME TO {_NAME}", actions, re.IGNORECASE):
        schema[_bare(renamed[1])] = schema.pop(name)
        return
    for action in _split(actions, ","):
        _apply(_ACTIONS, table, action)


def _add(table: Table, definition: str) -> None:
    """Add a column or a constraint. A constraint without a name is left out."""
    name, rest = _named(definition)
    if not _CONSTRAINT.match(definition):
        table.columns[name] = _column(rest)
    elif name.upper() == "CONSTRAINT":
        table.constraints.update([_named(rest)])


def _column(definition: str) -> Column:
    definition = re.sub(r"'(?:[^']|'')*'", "''", definition)
    kind = _AFTER_TYPE.sub("", definition).strip().upper()
    for pattern, spelling in _SYNONYMS:
        kind = re.sub(pattern, spelling, kind)
    required = re.search(r"\bNOT NULL\b|\bPRIMARY KEY\b", definition, re.IGNORECASE)
    given = re.search(r"\bDEFAULT\b|\bGENERATED\b", definition, re.IGNORECASE)
    return Column(kind, required=bool(required), default=bool(given))


def _alter_column(table: Table, name: str, change: str) -> None:
    if (column := table.columns.get(name)) is None:
        return
    if match := re.match(r"(?:SET DATA )?TYPE (.*?)(?: USING .*)?$", change, re.IGNORECASE):
        table.columns[name] = replace(column, type=_column(match[1]).type)
    elif match := re.match(r"(SET|DROP) (NOT NULL|DEFAULT)", change, re.IGNORECASE):
        given = match[1].upper() == "SET"
        if match[2].upper() == "DEFAULT":
            table.columns[name] = replace(column, default=given)
        else:
            table.columns[name] = replace(column, required=given)


def _create_index(schema: Schema, unique: str | None, name: str, on: str, definition: str) -> None:
    if (table := schema.get(on)) is not None:
        table.indexes[name] = f"{unique or ''}{definition}"


def _drop_indexes(schema: Schema, names: str) -> None:
    for name in map(_bare, _split(names, ",")):
        if (table := schema.index_owner(name)) is not None:
            del table.indexes[name]


def _rename_index(schema: Schema, old: str, new: str) -> None:
    if (table := schema.index_owner(old)) is not None:
        table.indexes[new] = table.indexes.pop(old)


def _create_policy(schema: Schema, name: str, on: str) -> None:
    if (table := schema.get(on)) is not None:
        table.policies.add(name)


def _drop_policy(schema: Schema, name: str, on: str) -> None:
    if (table := schema.get(on)) is not None:
        table.policies.discard(name)


def _drop_column(table: Table, name: str) -> None:
    """Drop the column with its constraints and indexes."""
    table.columns.pop(name, None)
    for definitions in (table.constraints, table.indexes):
        for using in [one for one, definition in definitions.items() if _word(name).search(definition)]:
            del definitions[using]


def _rename_column(table: Table, old: str, new: str) -> None:
    if old in table.columns:
        table.columns[new] = table.columns.pop(old)
        for definitions in (table.constraints, table.indexes):
            definitions.update({one: _word(old).sub(new, text) for one, text in definitions.items()})


def _rename_constraint(table: Table, old: str, new: str) -> None:
    if old in table.constraints:
        table.constraints[new] = table.constraints.pop(old)


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(name)}\b")


def _named(definition: str) -> tuple[str, str]:
    match = re.match(rf"{_NAME} ?(.*)", definition, re.DOTALL)
    assert match is not None, definition
    return _bare(match[1]), match[2]


def _bare(name: str) -> str:
    quoted = re.fullmatch(r'"([^"]+)"', name)
    return quoted[1] if quoted else name


def _spaced(text: str) -> str:
    """Return the text with single spaces outside of quotes."""
    return "".join(" " if piece.isspace() else piece for piece in _SPACED.findall(text)).strip()


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts between separators outside of quotes and parentheses."""
    depth, part = 0, ""
    for piece in _PIECES.findall(text):
        depth += (piece in "([") - (piece in ")]")
        if piece == separator and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += piece
    if part.strip():
        yield part.strip()


_Rows = tuple[tuple[re.Pattern[str], Callable[..., None]], ...]


def _compiled(*rows: tuple[str, Callable[..., None]]) -> _Rows:
    return tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), change) for pattern, change in rows)


_IF = "(?:IF (?:NOT )?EXISTS )?"
_STATEMENTS = _compiled(
    (rf"CREATE (?:UNLOGGED )?TABLE {_IF}{_NAME} ?\((.*)\)", _create_table),
    (rf"DROP TABLE {_IF}(.*?)(?: CASCADE| RESTRICT)?$", _drop_tables),
    (rf"ALTER TABLE {_IF}(?:ONLY )?{_NAME} (.*)", _alter_table),
    (rf"CREATE (UNIQUE )?INDEX (?:CONCURRENTLY )?{_IF}{_NAME} ON (?:ONLY )?{_NAME} ?(.*)", _create_index),
    (rf"DROP INDEX (?:CONCURRENTLY )?{_IF}(.*?)(?: CASCADE| RESTRICT)?$", _drop_indexes),
    (rf"ALTER INDEX {_IF}{_NAME} RENAME TO {_NAME}", _rename_index),
    (rf"CREATE POLICY {_NAME} ON {_NAME}", _create_policy),
    (rf"DROP POLICY {_IF}{_NAME} ON {_NAME}", _drop_policy),
)
_ACTIONS = _compiled(
    (rf"ADD (?:COLUMN )?{_IF}(.*)", _add),
    (rf"DROP CONSTRAINT {_IF}{_NAME}", lambda table, name: table.constraints.pop(name, None)),
    (rf"DROP (?:COLUMN )?{_IF}{_NAME}", _drop_column),
    (rf"ALTER (?:COLUMN )?{_NAME} (.*)", _alter_column),
    (rf"RENAME CONSTRAINT {_NAME} TO {_NAME}", _rename_constraint),
    (rf"RENAME (?:COLUMN )?{_NAME} TO {_NAME}", _rename_column),
)
