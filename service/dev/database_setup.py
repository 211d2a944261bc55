"""Sets up the development database: migrations, sample data and an API key."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.config import Settings
from service.database import Database
from service.dev.private_files import read_secret, write_private_file
from service.dev.servers import Report
from service.migrations.runner import upgrade
from service.resources.domain import Example, Seed
from service.security.api_keys.api_key_verifier import ApiKeyVerifier
from service.security.api_keys.commands import create_key
from service.security.principals import ADMIN
from service.security.refusals import RefusedError

SERVER_SECONDS = 10.0


@dataclass(frozen=True)
class QuickStart:
    """An API key with all scopes, and example requests."""

    api_key: str
    examples: Sequence[Example]


async def set_up_database(
    settings: Settings, folder: Path, seeds: Sequence[Seed], report: Report
) -> QuickStart:
    """Migrate, load the sample data of each domain that has no rows yet, and find or create the API key.

    `report` prints a line for each. Raises DatabaseUnavailableError or MigrationFailedError.
    """
    await upgrade(settings, wait=SERVER_SECONDS)
    database = Database(settings)
    await database.start()
    try:
        async with database.session() as session:
            for seed in seeds:
                if await seed.is_empty(session):
                    report(await seed.load(session))
            examples = [example for seed in seeds for example in await seed.examples(session)]
        return QuickStart(await _api_key(database, folder / "api_key"), examples)
    finally:
        await database.stop()


async def _api_key(database: Database, file: Path) -> str:
    """Return the key stored in `file` if it is valid in this database; otherwise create one and store it."""
    kept = read_secret(file)
    with contextlib.suppress(RefusedError):
        if kept and await ApiKeyVerifier(database, cache_seconds=0).verify(kept):
            return kept
    async with database.session() as session:
        _, made = await create_key(session, name="slipway dev", scopes=[ADMIN])
    write_private_file(file, made + "\n")
    return made
