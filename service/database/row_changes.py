"""Which rows a connection has changed. The history trigger announces each one, whatever statement changes it.

So engine statements, ORM sessions, raw SQL, hooks, cascades and a team's triggers all count, and no code has to report
what it changes. Announcements travel with the statement's own response and cost no round trip.
"""

import asyncio
from collections.abc import Callable, Container
from typing import Protocol

ANNOUNCEMENT = "slipway_changed"
"""The message of the INFO that the trigger raises; its fields `TABLE` and `DETAIL` name the row."""
MOST_ROWS = 1000  # of one table; a larger change counts as one of the whole table


class RowChanges(dict[str, set[str] | None]):
    """The ids of changed rows by table; None means any row of the table."""

    def add(self, table: str, row: str) -> None:
        """Note a changed row."""
        rows = self.setdefault(table, set())
        if rows is None:
            return
        rows.add(row)
        if len(rows) > MOST_ROWS:
            self[table] = None

    def take(self) -> "RowChanges":
        """Return the changes so far, and begin again without any."""
        taken = RowChanges(self)
        self.clear()
        return taken


Tell = Callable[[RowChanges], asyncio.Future[None] | None]
"""Takes the changes of a transaction that has ended, committed or not. The future is done when other processes have
been told; None if there is nothing to wait for."""


class Listener(Protocol):
    """Who is told of changes: the rows of the tables that are `watched`, by now or later. Those of others, which are
    most, are not even noted."""

    @property
    def watched(self) -> Container[str]:
        """The tables. One object for good."""

    def announce(self, changes: RowChanges) -> asyncio.Future[None] | None:
        """See `Tell`."""


class NoListener:
    """Without caches, nothing needs to be known."""

    watched: Container[str] = ()

    def announce(self, _: RowChanges) -> None:
        pass
