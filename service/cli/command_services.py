"""What the engines of a command share."""

import asyncio
from collections.abc import Sequence

from service.config import Settings
from service.database import Database
from service.resources.declaration import RestResource
from service.resources.engine import Services
from service.resources.lists.cursor import CursorCodec
from service.resources.requests.idempotency import IdempotencyStore
from service.resources.statements.ownership import Owners


def command_services(settings: Settings, database: Database, resources: Sequence[RestResource]) -> Services:
    """Return the services of a command: without cursors and caches, which only requests use."""
    return Services(
        database=database,
        records=IdempotencyStore(database, settings.app.idempotency_hours),
        cursors=CursorCodec(""),
        sizes=settings.performance,
        exports=asyncio.Semaphore(1),
        owners=Owners(resources),
    )
