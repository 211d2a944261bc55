"""An application with the team's domains, and clients of it."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from service.config import Settings
from service.domains import DOMAINS
from service.main import create_app
from tests.api.conftest import client_with, database, settings
from tests.asgi import lifespan

__all__ = ["client_with", "database", "settings"]


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings, DOMAINS)
    async with lifespan(app):
        yield app
