"""Statements: built and compiled once by SQLAlchemy, run many times by asyncpg."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

# SQLAlchemy shortens names within 6 characters of the limit, and column names may have 63 bytes.
_DIALECT = asyncpg.dialect(label_length=63 + 6)  # type: ignore[no-untyped-call]
# Prefix of the engine's own names next to columns. No column name has it: Python fields of a model
# cannot begin with an underscore. SQLAlchemy derives the names of constants from columns, so they do not either.
OWN = "_"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `$1 …`, and the names of its parameters in that order; `constants` are those known at build time.

    Only names of constants begin with a colon.

    One that `reads` does nothing else, so that no harm is done when it is run twice.
    """

    sql: str
    parameters: tuple[str, ...]
    constants: Mapping[str, Any]
    reads: bool = False

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The arguments in order. Raises `KeyError` for a parameter that has no value."""
        constants = self.constants
        return [values[name] if name in values else constants[name] for name in self.parameters]


def compile_statement(query: sa.sql.ClauseElement, *, reads: bool = False) -> Statement:
    """Compile for asyncpg. Parameters made by `parameter()` are bound at each run, others now."""
    compiled = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, SQLCompiler)
    names: list[str] = []
    constants = {}
    for key in compiled.positiontup or ():
        bind = compiled.binds.get(key)
        if bind is None or bind.required:
            names.append(key.removeprefix(OWN))
        else:
            names.append(f":{key}")
            constants[names[-1]] = bind.value
    return Statement(str(compiled), tuple(names), constants, reads)


def parameter(name: str, kind: sa.types.TypeEngine[Any]) -> sa.BindParameter[Any]:
    """A parameter that gets its value at each run."""
    return sa.bindparam(f"{OWN}{name}", type_=kind, required=True)


def own_field(name: str) -> str:
    """Return the parameter name of a field's new value. The engine's other parameters do not have this prefix."""
    return f"field_{name}"


def request_context() -> sa.CTE:
    """`WITH _ctx`: sets principal and request id for this transaction, for the history trigger.

    A change must read `_ctx`, or PostgreSQL does not evaluate it.
    """

    def setting(name: str, value: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        return sa.func.set_config(sa.literal_column(f"'slipway.{name}'"), value, sa.true())

    principal = setting("principal", parameter("principal", sa.Text()))
    request_id = setting("request_id", parameter("request_id", sa.Text()))
    return sa.select(principal.label("principal"), request_id.label("request_id")).cte("_ctx")
