"""Statements: built and compiled once by SQLAlchemy, run many times by asyncpg."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `$1 …`, and the names of its parameters in that order; `constants` are those known at build time.

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
    names = tuple(compiled.positiontup or ())
    constants = {
        name: compiled.binds[name].value
        for name in names
        if name in compiled.binds and not compiled.binds[name].required
    }
    return Statement(str(compiled), names, constants, reads)


def parameter(name: str, kind: sa.types.TypeEngine[Any]) -> sa.BindParameter[Any]:
    """A parameter that gets its value at each run."""
    return sa.bindparam(name, type_=kind, required=True)


def request_context() -> sa.CTE:
    """`WITH ctx`: the request id, set for this transaction only, so that the history trigger sees it.

    A change must read `ctx`, or PostgreSQL does not evaluate it.
    """
    request_id = parameter("ctx_request_id", sa.Text())
    setting = sa.func.set_config(sa.literal_column("'slipway.request_id'"), request_id, sa.true())
    return sa.select(setting.label("request_id")).cte("ctx")
