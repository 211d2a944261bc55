"""The ORM session of hand-written routes: one transaction a request, committed before the response is sent."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from service.database import Database


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.session() as session:
        yield session


# scope="function": with the default the commit would come after the response, which may then promise too much.
SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]
