"""What PostgreSQL's row-level security is told of a caller: the same values that the engine's own condition gets.

The policies of `service.migrations.row_security` read it.
"""

from collections.abc import Callable
from functools import lru_cache

import orjson

from service.actor import SeenRows
from service.resources.statements.ownership import Owners
from service.security.principals import Principal

_CALLERS = 4096  # whose rows are remembered


def rows_told(owners: Owners) -> Callable[[Principal], SeenRows]:
    """Return a function that returns the rows that a principal sees, as JSON.

    `own` has its value of the owner's column, by table, and `all` the tables of which it sees every row. `caller` is
    its name, and what it acts for: stored responses belong to the same caller.
    """

    @lru_cache(_CALLERS)
    def rows_of(principal: Principal) -> SeenRows:
        own, every, scopes = dict[str, str](), list[str](), set[str]()
        for ownership in owners.all:
            table, owner = str(ownership.table.name), ownership.owner
            if owner.sees_all(principal):
                every.append(table)
                scopes.add(owner.all_scope)
            if (value := ownership.value_of(principal)) is not None:
                own[table] = str(value)
        seen = {"own": own, "all": every}
        caller = [principal.id, sorted({*own.values()}), sorted(scopes)]
        told = orjson.dumps({**seen, "caller": caller}).decode()
        return SeenRows(told, orjson.dumps(seen).decode())

    return rows_of
