"""An application with the team's domains, and clients of it.

test_authorization.py covers the resources and routes of each new domain. Where it cannot derive a value for a required
field, `samples` gives one: `{"orders": {"iban": "DE89…"}}`.
"""

from collections.abc import AsyncIterator, Sequence

import pytest
from fastapi import FastAPI

from service.config import Settings
from service.domains import DOMAINS
from service.main import create_app
from service.resources.domain import Domain
from tests.api.conftest import client_with, database, settings
from tests.asgi import lifespan
from tests.authorization.fixtures import samples, samples_of

__all__ = ["client_with", "database", "samples", "samples_of", "settings"]


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return DOMAINS


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings, DOMAINS)
    async with lifespan(app):
        yield app
