"""An application with the team's domains, and clients of it.

test_authorization.py covers the resources and routes of each new domain. Where it cannot derive a value for a required
field, `samples` gives one: `{"orders": {"iban": "DE89…"}}`. Clients have the claims by which they own items.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from fastapi import FastAPI

from service.config import Settings
from service.database import Database
from service.domains import DOMAINS
from service.main import create_app
from service.resources.domain import Domain, settings_of
from tests.api.conftest import Json, client_with, database, settings
from tests.asgi import lifespan
from tests.authorization.claims import OwnerClaims
from tests.authorization.fixtures import samples, samples_of
from tests.conftest import ClaimsOf

__all__ = ["client_with", "database", "samples", "samples_of", "settings"]


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return DOMAINS


@pytest.fixture(scope="session")
def settings_class() -> type[Settings]:
    return settings_of(DOMAINS)


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings, DOMAINS)
    async with lifespan(app):
        yield app


@pytest.fixture(scope="session")
def claims_of(
    app: FastAPI, database: Database, domains: Sequence[Domain], samples: Mapping[str, Json]
) -> ClaimsOf:
    return OwnerClaims(app, database, domains, samples).of
