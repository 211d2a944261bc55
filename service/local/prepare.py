"""Making a database ready to be played with: the schema, something to look at, a key to look with."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlmodel import col, select

from service.config import Settings
from service.database import Database
from service.local.secret import noted_secret, write_private
from service.local.stack import Say
from service.migrations.runner import upgrade
from service.models.catalog import Category
from service.sample.load import is_empty, load_sample
from service.security.keys import KeyRing, create_key
from service.security.principals import ADMIN
from service.security.refusals import RefusedError

SERVER_SECONDS = 10.0


@dataclass(frozen=True)
class Prepared:
    """An API key that opens everything, and a category that a product can go into."""

    api_key: str
    category: UUID | None


async def prepare(settings: Settings, folder: Path, say: Say) -> Prepared:
    """Migrate, load the sample if the catalogue is empty, and find or make the API key.

    Raises DatabaseUnavailableError or MigrationFailedError.
    """
    await upgrade(settings, wait=SERVER_SECONDS)
    database = Database(settings)
    await database.start()
    try:
        async with database.session() as session:
            if await is_empty(session):
                say(f"sample catalogue: {await load_sample(session)}")
            first = select(Category.id).where(col(Category.deleted_at).is_(None)).order_by(col(Category.id))
            category = (await session.exec(first.limit(1))).first()
        return Prepared(await _api_key(database, folder / "api_key"), category)
    finally:
        await database.stop()


async def _api_key(database: Database, file: Path) -> str:
    """Return the key in `file` if it still opens this database, else a new one, which is kept there."""
    kept = noted_secret(file)
    with contextlib.suppress(RefusedError):
        if kept and await KeyRing(database, cache_seconds=0).verify(kept):
            return kept
    async with database.session() as session:
        _, made = await create_key(session, name="slipway dev", scopes=[ADMIN])
    write_private(file, made + "\n")
    return made
