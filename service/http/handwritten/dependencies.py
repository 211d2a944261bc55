"""What hand-written routes ask the service for: `session: SessionDep`, `settings: SettingsDep`, `caches: CachesDep`."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from service.cache.cached_function import Caches
from service.config import Settings
from service.database import Database


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.session() as session:
        yield session


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _caches(request: Request) -> Caches:
    caches: Caches = request.app.state.caches
    return caches


# scope="function": with the default the commit would come after the response, which may then promise too much.
SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]
"""The ORM session: one transaction a request, committed before the response is sent."""
SettingsDep = Annotated[Settings, Depends(_settings)]
"""The settings of the service."""
CachesDep = Annotated[Caches, Depends(_caches)]
"""The results of cached functions."""
