"""Leases: which process of a cluster runs a job now, and when it last ran."""

import os
import socket
from collections.abc import Sequence
from typing import Any, Protocol

from service.jobs.job import Job

_TAKE = """
INSERT INTO job_run (name, owner, began_at, leased_until)
VALUES ($1, $2, now(), now() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE
SET owner = excluded.owner, began_at = now(), leased_until = excluded.leased_until, ended_at = NULL, outcome = NULL
WHERE job_run.leased_until <= now() AND job_run.began_at <= now() - make_interval(secs => $4)
RETURNING name
"""
_END = """
UPDATE job_run SET leased_until = now(), ended_at = now(), outcome = $3 WHERE name = $1 AND owner = $2
RETURNING name
"""


class Statements(Protocol):
    """Runs statements on a database."""

    async def fetch(self, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
        """Run one statement in its own transaction."""


class Leases:
    """The leases of one process. All times are the database's, so clocks of processes may differ."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._owner = f"{socket.gethostname()}/{os.getpid()}"

    async def take(self, job: Job, *, early: bool = False) -> bool:
        """Take the lease for one run. False if another process has it, or the job is not due unless `early`."""
        due = 0.0 if early else job.seconds
        return bool(await self._statements.fetch(_TAKE, [job.name, self._owner, job.deadline, due]))

    async def end(self, job: Job, outcome: str) -> None:
        """Give the lease back, if it is still this process's."""
        await self._statements.fetch(_END, [job.name, self._owner, outcome])
