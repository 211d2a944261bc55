"""Which backups to keep, and deleting the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.backup.errors import RefusedBackupError
from service.backup.manifest import MANIFEST, Header
from service.backup.progress import Progress
from service.backup.sealing import KeyRing
from service.backup.storage.storage_protocol import Storage
from service.backup.stored_backups import Entry, backups, opened, remove_unfinished
from service.backup.verify import verify
from service.config import BackupSettings


@dataclass(frozen=True, slots=True)
class Pruned:
    """The ids of backups: deleted, kept, and left alone because they are damaged."""

    deleted: list[str]
    kept: list[str]
    damaged: list[str]


def to_keep(backups_: Sequence[Header], rules: BackupSettings) -> set[str]:
    """Return the ids of the backups that at least one rule keeps.

    Ages count from the newest backup, not from now: no clock that jumps, and no pause in making backups, deletes any.
    """
    newest_first = sorted(backups_, key=lambda header: (header.created_at, header.id), reverse=True)
    if not newest_first:
        return set()
    oldest = newest_first[0].created_at - timedelta(days=rules.keep_days)
    kept = {header.id for header in newest_first[: rules.keep_last]}
    kept |= {header.id for header in newest_first if rules.keep_days and header.created_at >= oldest}
    for count, period in (
        (rules.keep_daily, lambda at: at.date()),
        (rules.keep_weekly, lambda at: at.isocalendar()[:2]),
        (rules.keep_monthly, lambda at: (at.year, at.month)),
    ):
        kept |= _newest_of_each(newest_first, period, count)
    return kept


def _newest_of_each(
    newest_first: Sequence[Header], period: Callable[[datetime], object], count: int
) -> set[str]:
    found: dict[object, str] = {}
    for header in newest_first:
        found.setdefault(period(header.created_at), header.id)
    return {*[*found.values()][:count]}


async def prune(
    storage: Storage,
    keys: KeyRing,
    progress: Progress,
    *,
    rules: BackupSettings,
    service: str,
    dry_run: bool,
    unsealed: bool,
) -> Pruned:
    """Delete the backups of a service that no rule keeps. Damaged ones do not count, and stay.

    Before it deletes anything, one of those that stay is read and proved. Raises `RefusedBackupError` if none is good,
    and deletes nothing then.
    """
    own = [
        entry for entry in await backups(storage) if entry.header is None or entry.header.service == service
    ]
    damaged = [entry.id for entry in own if entry.refused]
    sound = {entry.id: entry for entry in own if entry.header is not None and not entry.refused}
    kept = to_keep([entry.header for entry in sound.values() if entry.header is not None], rules)
    leaving = [entry for entry in sound.values() if entry.id not in kept]
    result = Pruned([entry.id for entry in leaving], sorted(kept), damaged)
    if leaving and not dry_run:
        await _prove_one(
            storage, keys, progress, sorted(kept, reverse=True), service=service, unsealed=unsealed
        )
        for entry in leaving:
            await _delete(storage, entry)
    if not dry_run:
        await remove_unfinished(storage)
    return result


async def _prove_one(
    storage: Storage,
    keys: KeyRing,
    progress: Progress,
    newest_first: Sequence[str],
    *,
    service: str,
    unsealed: bool,
) -> None:
    reasons = []
    for backup in newest_first:
        try:
            manifest, seal = await opened(storage, keys, backup, service=service, unsealed=unsealed)
            await verify(manifest, storage, seal, progress)
        except RefusedBackupError as error:
            reasons.append(str(error))
        else:
            return
    raise RefusedBackupError(
        f"nothing was deleted, because none of the backups that would stay is good: {'; '.join(reasons)}"
    )


async def _delete(storage: Storage, entry: Entry) -> None:
    """Delete a backup, its manifest first: without it, it is not a backup."""
    names = [one.name for one in entry.objects]
    await storage.delete(sorted(names, key=lambda name: not name.endswith(MANIFEST)))
