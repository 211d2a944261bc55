"""An application on tables of the tests' own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from service.resources.declaration import RestResource
from tests.engine.api import Api, running
from tests.engine.tables import create_tables, gadgets, groups


class Shop(Protocol):
    """Starts an application with these resources on a new database; default: groups and gadgets."""

    async def __call__(self, *resources: RestResource) -> Api: ...


@pytest.fixture
async def shop(fresh_database: Callable[..., str]) -> AsyncIterator[Shop]:
    url: list[str] = []
    async with AsyncExitStack() as stack:

        async def start(*resources: RestResource) -> Api:
            if not url:
                url.append(fresh_database())
                await create_tables(url[0])
            return await stack.enter_async_context(
                running(url[0], resources or (groups(), gadgets()), ("shop:read", "shop:write"))
            )

        yield start
