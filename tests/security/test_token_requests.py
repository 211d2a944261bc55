"""Tokens in requests to the application."""

from collections.abc import AsyncIterator

import pytest
from httpx2 import ASGITransport, AsyncClient
from prometheus_client import REGISTRY

from service import clock
from service.config import Settings
from service.main import create_app
from tests.api.conftest import unique
from tests.api.test_items import problem
from tests.asgi import lifespan
from tests.security.attacks import ATTACKS
from tests.security.issuer import AUDIENCE, Issuer, local_issuer
from tests.shop import SHOP

WITHOUT_CREDENTIAL = {"empty"}
HARMLESS = {"space before"}


@pytest.fixture
async def trusting(settings: Settings) -> AsyncIterator[tuple[AsyncClient, Issuer]]:
    """A client of an application that trusts a local issuer, and the issuer."""
    async with local_issuer() as issuer:
        changed = settings.model_dump() | {"security": settings.security.model_dump()}
        changed["rate_limit"]["auth_failures"] = 10_000
        changed["security"]["issuers"] = [{"issuer": issuer.url, "audience": AUDIENCE}]
        app = create_app(Settings(**changed), (SHOP,))
        async with (
            lifespan(app),
            AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test") as client,
        ):
            yield client, issuer


async def test_subject_becomes_the_author(trusting: tuple[AsyncClient, Issuer]) -> None:
    client, issuer = trusting
    headers = {"Authorization": f"Bearer {issuer.token(sub='ada')}"}
    body = {"slug": unique("token").lower(), "name": "T"}
    made = await client.post("/api/v1/shelves", json=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.json()["created_by"] == f"token:ada@{issuer.url.removeprefix('http://')}"


async def test_scopes_of_the_token_count(trusting: tuple[AsyncClient, Issuer]) -> None:
    client, issuer = trusting
    headers = {"Authorization": f"Bearer {issuer.token(scope='shop:read')}"}
    assert (await client.get("/api/v1/articles", headers=headers)).status_code == 200
    problem(await client.post("/api/v1/articles", json={}, headers=headers), 403, "forbidden")


async def test_every_attack_gets_the_same_response(trusting: tuple[AsyncClient, Issuer]) -> None:
    """The response does not reveal the error, and no keys are fetched."""
    client, issuer = trusting
    good = {"Authorization": f"Bearer {issuer.token()}"}
    assert (await client.get("/api/v1/articles", headers=good)).status_code == 200
    fetches = dict(issuer.fetches)
    responses = set()
    for name, attack in ATTACKS.items():
        headers = {b"Authorization": b"Bearer " + attack(issuer).encode()}
        if "line" in name or name in WITHOUT_CREDENTIAL or name in HARMLESS:
            continue  # the server refuses such a header; no credentials; the space is trimmed from the field
        response = await client.get("/api/v1/articles", headers=headers)
        body = problem(response, 401, "unauthenticated")
        del body["request_id"]
        responses.add((response.headers["www-authenticate"], str(body)))
    assert len(responses) == 1
    assert issuer.fetches == fetches


async def test_issuer_outage_is_503_not_401_and_measured(trusting: tuple[AsyncClient, Issuer]) -> None:
    client, issuer = trusting

    def measured(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"slipway_{name}", labels)

    def fetches() -> list[float | None]:
        results = ("ok", "failed")
        return [measured("token_keys_fetches_total", issuer=issuer.url, result=result) for result in results]

    assert fetches() == [0, 0]
    issuer.status = "500 Internal Server Error"
    response = await client.get("/api/v1/articles", headers={"Authorization": f"Bearer {issuer.token()}"})
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"]
    assert fetches() == [0, 1]
    assert measured("dependency_up", dependency=issuer.url) == 0
    issuer.status = "200 OK"
    later, now = clock.monotonic() + 3600, clock.now().timestamp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "monotonic", lambda: later)
        good = await client.get("/api/v1/articles", headers={"Authorization": f"Bearer {issuer.token()}"})
    assert good.status_code == 200
    assert fetches() == [1, 1]
    assert measured("dependency_up", dependency=issuer.url) == 1
    assert (measured("token_keys_fetched_timestamp_seconds", issuer=issuer.url) or 0) >= now
