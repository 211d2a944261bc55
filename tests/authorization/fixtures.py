"""Fixtures of the tests in cases.py."""

from collections.abc import Mapping, Sequence

import pytest
from fastapi import FastAPI

from service.resources.domain import Domain, resources_of
from tests.api.conftest import MakeClient
from tests.authorization.samples import Json, Samples


@pytest.fixture(scope="session")
def samples() -> Mapping[str, Json]:
    """By a resource's path, values of required fields that its schema does not tell. A domain's tests override this."""
    return {}


@pytest.fixture(scope="session")
async def samples_of(
    app: FastAPI, client_with: MakeClient, domains: Sequence[Domain], samples: Mapping[str, Json]
) -> Samples:
    return Samples(await client_with("admin"), app.openapi(), resources_of(domains), samples)
