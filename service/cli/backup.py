"""`slipway backup`: make, list, verify, restore, prune and drill backups."""

import asyncio
import dataclasses
import signal
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import orjson
import typer

from service.backup import stored_backups
from service.backup.backup_connection import wait_for_server
from service.backup.create_backup import create as create_backup
from service.backup.drill import drill as drill_backup
from service.backup.errors import BackupError, RefusedBackupError
from service.backup.manifest import Manifest
from service.backup.progress import Progress, size_text
from service.backup.replacement import database_name
from service.backup.replacement import replace as replace_database
from service.backup.restore_backup import Chosen
from service.backup.restore_backup import restore as restore_backup
from service.backup.retention import prune as prune_backups
from service.backup.run_record import Recorder
from service.backup.sealing import KeyRing
from service.backup.storage import open_storage
from service.backup.storage.storage_protocol import Storage
from service.backup.verify import verify as verify_backup
from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message
from service.cli.smoke_test import smoke_test
from service.config import Settings
from service.dev.binaries import bundled_clients

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, help="Make, list, verify, restore, prune and drill backups of the database."
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Unsealed = Annotated[
    bool, typer.Option("--unsealed", help="Accept an unsealed backup although a key is configured.")
]
Wait = Annotated[float, typer.Option(min=0, max=3600, help="Seconds to wait for the database server.")]
Which = Annotated[str, typer.Argument(metavar="ID", help="Id of the backup, from `backup list`.")]


@dataclass(frozen=True, slots=True)
class Opened:
    """What every backup command works with."""

    settings: Settings
    storage: Storage
    keys: KeyRing
    progress: Progress
    recorder: Recorder


@app.command()
@exit_with_message
def create(wait: Wait = 0, json: Json = False) -> None:
    """Back up the database to SLIPWAY_BACKUP__STORAGE, and print the id of the backup.

    Needs `pg_dump` of the server's major version. The service keeps running meanwhile. A run that fails or is ended
    leaves no backup.

    Exit codes: 0 done, 1 failed, 4 database unreachable.
    """
    opened = _open()
    manifest = _run(opened.recorder.run("create", _create(opened, wait=wait), lambda made: made))
    if json:
        _print_json(_described(manifest))
        return
    _say(_summary(manifest))
    typer.echo(manifest.header.id)


@app.command("list")
@exit_with_message
def list_(json: Json = False) -> None:
    """List the backups in the storage, oldest first, and what is wrong with any of them. Needs no key and no database.

    Compares the sizes of the parts with the manifest; `backup verify` reads the parts.
    """
    entries = _run(stored_backups.backups(_open().storage))
    if json:
        _print_json([_listed(entry) for entry in entries])
        return
    for entry in entries:
        typer.echo("\t".join(_columns(entry)))


@app.command()
@exit_with_message
def verify(which: Which = "latest", json: Json = False, unsealed: Unsealed = False) -> None:
    """Read a whole backup and prove that every part is there and unchanged. Needs no database.

    Exit codes: 0 good, 1 the storage cannot be read, 8 the backup is damaged, incomplete, of another service, made by
    a newer version, or sealed by a key that is not configured.
    """
    manifest = _run(_verify(_open(), which, unsealed=unsealed))
    if json:
        _print_json(_described(manifest))
        return
    typer.echo(f"backup {manifest.header.id} is good: {_summary(manifest)}")


@app.command()
@exit_with_message
def restore(
    which: Which,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Restore into a new database and swap it with the one in use, which is kept under another name. "
            "Needs a role with CREATEDB.",
        ),
    ] = False,
    *,
    privileges: Annotated[
        bool, typer.Option(help="Restore the privileges of other roles, if these roles exist.")
    ] = True,
    unsealed: Unsealed = False,
    wait: Wait = 0,
    json: Json = False,
) -> None:
    """Restore a backup into the database of the settings, which must be empty, and migrate it to this version.

    The whole backup is read and proved first. Afterwards every table is compared with the backup, and the privileges of
    SLIPWAY_DATABASE__APP_ROLE are set. Run it as the role that migrates. ID may be `latest`.

    Exit codes: 0 done, 1 failed, 4 database unreachable, 6 migration failed, 8 backup refused.
    """
    manifest, database, old = _run(
        _restore(_open(), which, replace=replace, privileges=privileges, unsealed=unsealed, wait=wait)
    )
    if json:
        _print_json({**_described(manifest), "restored_into": database, "old_database": old})
        return
    typer.echo(f"restored {manifest.header.id} into the database {database}: {_summary(manifest)}")
    if old is not None:
        typer.echo(f'the old database is kept as {old}; when it is no longer needed: DROP DATABASE "{old}"')


@app.command()
@exit_with_message
def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Delete nothing; say what would be deleted.")
    ] = False,
    unsealed: Unsealed = False,
    json: Json = False,
) -> None:
    """Delete backups that none of the SLIPWAY_BACKUP__KEEP_… settings keeps. Without a database, it works unrecorded.

    First reads and proves one of the backups that stay. Damaged backups do not count, and are left for you to look at.

    Exit codes: 0 done, 1 the storage cannot be read or changed, 8 none of the backups that would stay is good.
    """
    opened = _open()
    work = prune_backups(
        opened.storage,
        opened.keys,
        opened.progress,
        rules=opened.settings.backup,
        service=opened.settings.app.name,
        dry_run=dry_run,
        unsealed=unsealed,
    )
    pruned = _run(work if dry_run else opened.recorder.run("prune", work))
    if json:
        _print_json(dataclasses.asdict(pruned))
        return
    for backup in pruned.deleted:
        typer.echo(f"{'would delete' if dry_run else 'deleted'} {backup}")
    typer.echo(f"{len(pruned.deleted)} deleted, {len(pruned.kept)} kept, {len(pruned.damaged)} damaged")


@app.command()
@exit_with_message
def drill(which: Which = "latest", unsealed: Unsealed = False, wait: Wait = 0, json: Json = False) -> None:
    """Prove that a backup restores: restore it into a database of its own, compare every table, migrate, start the
    service on it and read from every resource; then drop that database.

    Uses the server of the settings and needs a role with CREATEDB. The database of the service is not touched.

    Exit codes: 0 good, 1 the drill failed, 4 database unreachable, 6 migration failed, 8 backup refused.
    """
    opened = _open()
    work = _drill(opened, which, unsealed=unsealed, wait=wait)
    manifest, seconds = _run(opened.recorder.run("drill", work, lambda drilled: drilled[0]))
    if json:
        _print_json({**_described(manifest), "drill_seconds": round(seconds, 3)})
        return
    typer.echo(f"backup {manifest.header.id} restores and serves: {_summary(manifest)}, in {seconds:.1f} s")


async def _create(opened: Opened, *, wait: float) -> Manifest:
    await wait_for_server(opened.settings, wait)
    return await create_backup(opened.settings, opened.storage, opened.progress, bundled=bundled_clients())


async def _drill(opened: Opened, which: str, *, unsealed: bool, wait: float) -> tuple[Manifest, float]:
    await wait_for_server(opened.settings, wait)
    chosen = await _choose(opened, which, privileges=False, unsealed=unsealed)
    return chosen.manifest, await drill_backup(opened.settings, chosen, smoke_test)


async def _choose(opened: Opened, which: str, *, privileges: bool, unsealed: bool) -> Chosen:
    manifest, seal = await stored_backups.opened(
        opened.storage, opened.keys, which, service=opened.settings.app.name, unsealed=unsealed
    )
    return Chosen(
        manifest, seal, opened.storage, opened.progress, bundled=bundled_clients(), privileges=privileges
    )


async def _restore(
    opened: Opened, which: str, *, replace: bool, privileges: bool, unsealed: bool, wait: float
) -> tuple[Manifest, str, str | None]:
    settings = opened.settings
    await wait_for_server(settings, wait)
    chosen = await _choose(opened, which, privileges=privileges, unsealed=unsealed)
    if replace:
        name, old = await replace_database(settings, chosen)
        return chosen.manifest, name, old
    await restore_backup(settings, chosen)
    return chosen.manifest, database_name(settings), None


async def _verify(opened: Opened, which: str, *, unsealed: bool) -> Manifest:
    name = opened.settings.app.name
    manifest, seal = await stored_backups.opened(
        opened.storage, opened.keys, which, service=name, unsealed=unsealed
    )
    await verify_backup(manifest, opened.storage, seal, opened.progress)
    return manifest


def _open() -> Opened:
    settings = load_settings()
    try:
        storage = open_storage(settings.backup)
    except BackupError as error:
        raise CommandError(str(error), Exit.SETTINGS) from None
    keys = KeyRing(settings.backup.keys(), seals=bool(settings.backup.key.get_secret_value()))
    return Opened(settings, storage, keys, Progress(_say), Recorder(settings, storage, _say))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. SIGTERM and Ctrl-C cancel it, so that it cleans up."""
    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except asyncio.CancelledError:
        raise CommandError("ended by a signal", 128 + signal.SIGTERM) from None
    except RefusedBackupError as error:
        raise CommandError(str(error), Exit.REFUSED_BACKUP) from None
    except BackupError as error:
        raise CommandError(str(error)) from None


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, T]) -> T:
    running = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        return await running
    finally:
        running.cancel()


def _say(line: str) -> None:
    sys.stderr.write(f"slipway: {line}\n")


def _print_json(value: Any) -> None:
    typer.echo(orjson.dumps(value).decode())


def _summary(manifest: Manifest) -> str:
    header, body = manifest.header, manifest.body
    rows = sum(table.rows for table in body.tables)
    sealed = f"sealed by the key {header.sealed.key_id}" if header.sealed else "not sealed"
    return f"{rows} rows in {len(body.tables)} tables, {size_text(header.size)}, {sealed}"


def _described(manifest: Manifest) -> dict[str, Any]:
    body = manifest.body.model_dump(mode="json", exclude={"parts"})
    return {**manifest.header.model_dump(mode="json"), **body}


def _listed(entry: stored_backups.Entry) -> dict[str, Any]:
    header = entry.header.model_dump(mode="json") if entry.header else {"id": entry.id}
    return {**header, "refused": entry.refused or None}


def _columns(entry: stored_backups.Entry) -> list[str]:
    if entry.header is None:
        return [entry.id, entry.refused]
    header = entry.header
    sealed = f"key {header.sealed.key_id}" if header.sealed else "unsealed"
    state = entry.refused or "complete"
    return [header.id, _time(header.created_at), size_text(header.size), header.service, sealed, state]


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%MZ}"
