"""`slipway jobs`: list the periodic jobs, and run one now."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer

from service.cli.command_services import command_services
from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run
from service.config import Settings
from service.database import Database
from service.domains import DOMAINS
from service.features.flag_store import FlagStore, with_flags
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner, Outcome
from service.jobs.leases import Leases
from service.migrations import runner
from service.resources.domain import flags_of, jobs_of, resources_of
from service.resources.engine import engines_of
from service.resources.purge_expired import ExpiredRows
from service.resources.units import Units

app = typer.Typer(no_args_is_help=True, help="List the periodic jobs, and run one now.")

_RUNS = "SELECT name, owner, began_at, ended_at, outcome, leased_until > now() AS running FROM job_run"


@app.command("list")
@exit_with_message
def jobs_list(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """List the jobs of the domains, and the service's own that run once per cluster.

    Each with its name, its interval, where it runs, and the last run of those that run once per cluster.
    """
    found = run(_listed(load_settings()))
    if as_json:
        typer.echo(orjson.dumps(found))
        return
    for job in found:
        where = "once per cluster" if job["once_per_cluster"] else "in each process"
        typer.echo("\t".join((job["name"], f"every {job['seconds']:g} s", where, _last(job))))


@app.command("run")
@exit_with_message
def jobs_run(name: Annotated[str, typer.Argument(help="Name of the job, from `jobs list`.")]) -> None:
    """Run a job now, in this process, and wait for its end. Refused if it runs once per cluster, and elsewhere now.

    Exit codes: 0 done, 1 it failed or runs elsewhere, 2 unknown job.
    """
    run(_run(load_settings(), name))


def _last(job: dict[str, Any]) -> str:
    if not job["once_per_cluster"]:
        return ""
    if job["began_at"] is None:
        return "has not run"
    began = job["began_at"].isoformat(timespec="seconds")
    if job["running"]:
        return f"running since {began} in {job['owner']}"
    return f"{job['outcome'] or 'lost'}, began {began} in {job['owner']}"


async def _listed(settings: Settings) -> list[dict[str, Any]]:
    async with _database(settings) as (database, jobs):
        rows = {row["name"]: dict(row) for row in await database.fetch(_RUNS, reads=True)}
    nothing: dict[str, datetime | str | bool | None] = {
        "owner": None, "began_at": None, "ended_at": None, "outcome": None, "running": False
    }  # fmt: skip
    return [
        {
            "name": job.name,
            "seconds": job.seconds,
            "once_per_cluster": job.once_per_cluster,
            **(rows.get(job.name, nothing) if job.once_per_cluster else nothing),
        }
        for job in jobs
    ]


async def _run(settings: Settings, name: str) -> None:
    async with _database(settings) as (database, jobs):
        found = {job.name: job for job in jobs}
        if name not in found:
            there = ", ".join(sorted(found)) or "none"
            raise CommandError(f"no job is called {name}; jobs: {there}", Exit.USAGE)
        outcome = await JobRunner(Leases(database)).run(found[name], early=True)
    if outcome is None:
        raise CommandError(f"{name} is running in another process; `slipway jobs list` shows where")
    if outcome is not Outcome.SUCCESS:
        raise CommandError(f"{name} ended with {outcome}")


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[tuple[Database, Sequence[Job]]]:
    """Yield the database, and the jobs that work with it: those of all domains, and the service's for all replicas."""
    await runner.check(settings)
    database = Database(settings)
    await database.start()
    try:
        flags = FlagStore(database, flags_of(DOMAINS), settings.feature.flags)
        await flags.start()
        resources = resources_of(DOMAINS)
        services = command_services(settings, database, resources)
        engines_of(resources, services)
        units = Units(database, services.engines)
        team = [with_flags(job, flags) for job in jobs_of(DOMAINS, database, settings, units)]
        yield database, [*team, *ExpiredRows(database, settings).jobs]
    finally:
        await database.stop()
