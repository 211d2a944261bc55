"""`slipway import`: import items from newline-delimited JSON, the format of exports."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from service.cli.command_services import command_services
from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run
from service.config import Settings
from service.database import Database, DatabaseUnavailableError
from service.domains import DOMAINS
from service.http.problems import Problem
from service.migrations import runner
from service.resources.domain import resources_of
from service.resources.engine import engines_of
from service.resources.imports.importer import Importer, Tally
from service.resources.imports.source import ImportFormatError


@exit_with_message
def import_(
    resource: Annotated[str, typer.Argument(help="Path of the resource, such as orders.")],
    file: Annotated[Path, typer.Argument(help="File to import, or - for standard input.", allow_dash=True)],
    errors: Annotated[
        Path | None,
        typer.Option(help="Write rejected lines to this file, so that you can correct and import them."),
    ] = None,
    from_line: Annotated[
        int, typer.Option(min=1, help="Start at this line, for example to resume an import.")
    ] = 1,
) -> None:
    """Import items from a file with one JSON object per line, plain or gzip.

    Items whose id already exists are skipped, so you can safely repeat an import of items with ids.

    Exit codes: 0 all lines imported, 1 some rejected, 2 unknown resource, missing file or wrong format,
    4 database unreachable or too busy, 7 database not at the head.
    """
    known = [one.path for one in resources_of(DOMAINS) if not one.is_view]
    if resource not in known:
        names = ", ".join(known) or "none"
        raise CommandError(f"there is no resource {resource}; resources: {names}", Exit.USAGE)
    if errors is not None and errors.exists() and file.exists() and errors.samefile(file):
        raise CommandError(
            f"--errors would overwrite {file}, the file to import: name another file", Exit.USAGE
        )
    settings = load_settings(database={"acquire_timeout": 10.0})
    tally = run(_import(settings, resource, file, errors, from_line))
    typer.echo(f"{tally}")
    if tally.wrong:
        raise typer.Exit(Exit.FAILED)


async def _import(settings: Settings, path: str, file: Path, errors: Path | None, from_line: int) -> Tally:
    await runner.check(settings)
    database = Database(settings)
    await database.start()
    resources = resources_of(DOMAINS)
    engines = engines_of(resources, command_services(settings, database, resources))
    engine = next(engine for engine in engines if engine.resource.path == path)
    try:
        with ExitStack() as stack:
            try:
                source = sys.stdin.buffer if str(file) == "-" else stack.enter_context(file.open("rb"))
                report = (
                    stack.enter_context(errors.open("wb" if from_line == 1 else "ab")) if errors else None
                )
            except OSError as error:
                raise CommandError(f"{error.filename}: {error.strerror}", Exit.USAGE) from None
            importer = Importer(engine, report=report, progress=_progress)
            try:
                return await importer.run(source, from_line=from_line)
            except (Problem, DatabaseUnavailableError) as reason:
                told = f"stopped after line {importer.tally.line}, {importer.tally}: {reason}"
                raise CommandError(told, Exit.UNAVAILABLE) from None
            except ImportFormatError as reason:
                told = f"{file}: stopped after line {importer.tally.line}: {reason}"
                raise CommandError(told if importer.tally.line else f"{file}: {reason}", Exit.USAGE) from None
    finally:
        await database.stop()


def _progress(tally: Tally) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    sys.stderr.write(f"slipway: line {tally.line}: {tally}{end}")
