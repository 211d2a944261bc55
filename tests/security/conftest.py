"""The application and its clients, as in the tests of the API."""

from collections.abc import Sequence

import pytest

from service.resources.domain import Domain
from tests.api.conftest import app, client, client_with, database, settings, shelf
from tests.authorization.fixtures import samples, samples_of
from tests.shop import SHOP

__all__ = ["app", "client", "client_with", "database", "samples", "samples_of", "settings", "shelf"]


@pytest.fixture(scope="session")
def domains() -> Sequence[Domain]:
    return (SHOP,)
