"""Statements: built and compiled once by SQLAlchemy, run many times by asyncpg."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from service.resources.statements.fragment import Fragment

# Prefix of the engine's own names next to columns. No column name has it: Python fields of a model
# cannot begin with an underscore. SQLAlchemy derives the names of constants from columns, so they do not either.
OWN = "_"
# Stands before each parameter in compiled SQL. Names and literals can contain text such as $1, but no NUL.
_MARK = "\0"
_PARAMETER = re.compile(rf"{_MARK}\$(\d+)")


class _Compiler(PGCompiler_asyncpg):
    def bindparam_string(self, *arguments: Any, **options: Any) -> str:
        return f"{_MARK}{super().bindparam_string(*arguments, **options)}"


class _Dialect(PGDialect_asyncpg):
    statement_compiler = _Compiler


# SQLAlchemy shortens names within 6 characters of the limit, and column names may have 63 bytes.
DIALECT = _Dialect(label_length=63 + 6)  # type: ignore[no-untyped-call]


class Statement:
    """SQL with `$1 …`, and the names of its parameters in that order; `constants` are those known at build time.

    Only names of constants begin with a colon. `fragment` is the same SQL before numbering. A statement that `reads`
    does nothing else, so it can safely run twice.

    It is compiled when it is first needed: that takes milliseconds, and a process uses few of its statements.
    """

    __slots__ = ("_compile", "constants", "fragment", "parameters", "reads", "sql")

    sql: str
    parameters: tuple[str, ...]
    constants: Mapping[str, Any]
    fragment: Fragment

    def __init__(self, compile_: Callable[[], tuple[Fragment, Mapping[str, Any]]], *, reads: bool) -> None:
        self._compile = compile_
        self.reads = reads

    def __getattr__(self, name: str) -> Any:
        """Compile it: Python asks here for an attribute that is not set yet."""
        if name not in self.__slots__:
            raise AttributeError(name)
        self.fragment, self.constants = self._compile()
        # A repeated parameter is sent once.
        numbers = {name: number for number, name in enumerate(dict.fromkeys(self.fragment.names), 1)}
        self.sql, self.parameters = self.fragment.sql(numbers), tuple(numbers)
        del self._compile
        return getattr(self, name)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the arguments in order. Raises `KeyError` for a parameter without a value."""
        if self.constants:
            values = {**values, **self.constants}
        return [*map(values.__getitem__, self.parameters)]


def statement_of(
    fragment: Fragment, constants: Mapping[str, Any] | None = None, *, reads: bool = False
) -> Statement:
    """Return the fragment as a statement."""
    return Statement(lambda: (fragment, constants or {}), reads=reads)


def compile_statement(query: sa.sql.ClauseElement, *, reads: bool = False) -> Statement:
    """Return a statement for asyncpg. Parameters made by `parameter()` are bound at each run, others now."""
    return Statement(lambda: _compiled(query), reads=reads)


def compile_fragment(part: sa.sql.ClauseElement) -> Fragment:
    """Compile a part of a statement. All its parameters must be made by `parameter()`."""
    fragment, constants = _compiled(part)
    if constants:
        raise ValueError(f"write these values as literals: {', '.join(constants)}")
    return fragment


def _compiled(query: sa.sql.ClauseElement) -> tuple[Fragment, Mapping[str, Any]]:
    """Return the SQL, and the values of its constants by parameter name."""
    compiled = query.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
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
    pieces = _PARAMETER.split(str(compiled))
    used = tuple(names[int(number) - 1] for number in pieces[1::2])
    return Fragment(tuple(pieces[::2]), used), constants


def parameter(name: str, kind: sa.types.TypeEngine[Any]) -> sa.BindParameter[Any]:
    """Return a parameter that gets its value at each run."""
    return sa.bindparam(f"{OWN}{name}", type_=kind, required=True)


@cache
def own_field(name: str) -> str:
    """Return the parameter name of a field's new value. The engine's other parameters do not have this prefix."""
    return f"field_{name}"


def request_context() -> sa.CTE:
    """Return `WITH _ctx`, which sets principal and request id for the history trigger in this transaction.

    A change must read `_ctx`; otherwise PostgreSQL does not evaluate it.
    """

    def setting(name: str, value: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        return sa.func.set_config(sa.literal_column(f"'slipway.{name}'"), value, sa.true())

    principal = setting("principal", parameter("principal", sa.Text()))
    request_id = setting("request_id", parameter("request_id", sa.Text()))
    return sa.select(principal.label("principal"), request_id.label("request_id")).cte("_ctx")
