"""The issuer of tokens is down, slow, wrong or rotates its keys, and strangers send tokens with unknown keys."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.faults.connection import Connection, Response
from tests.faults.history import percentile
from tests.faults.measurements import Measurements
from tests.faults.system import PATIENT, System
from tests.security.issuer import (
    AUDIENCE,
    PRIVATE,
    Issuer,
    key_set,
    local_issuer,
    public_jwk,
    segment,
    signed,
)

LIST = "/api/v1/articles?limit=1"
COOLDOWN, STALE = 1.0, 3.0
KEY_IDS = 10_000
STALL_SECONDS = 0.05
WINDOWS = 3  # the best one counts, with and without the fault
TROUBLES = ("down", "slow", "dripping", "empty", "huge", "redirecting")
SUBJECTS = itertools.count()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with local_issuer() as issuer:
        yield issuer


async def serve(system: System, issuer: Issuer, **settings: object) -> None:
    """Start a service that fetches the issuer's keys as often as allowed, and for every wrong token."""
    trusted = [{"issuer": issuer.url, "audience": AUDIENCE}]
    await system.serve(
        1,
        {
            "app__environment": "test",  # the issuer has no TLS
            "security__issuers": json.dumps(trusted),
            "security__jwks_cooldown": COOLDOWN,
            "security__jwks_refresh": COOLDOWN,
            "rate_limit__auth_failures": 1_000_000,
            **PATIENT,
            **settings,
        },
    )


async def present(system: System, token: str) -> Response:
    """Return the response to a request with the token, on a new connection."""
    connection = await Connection.open(system.replicas[0].port)
    try:
        return await connection.ask("GET", LIST, {"Authorization": f"Bearer {token}"})
    finally:
        connection.close()


def make(issuer: Issuer, trouble: str) -> None:
    good = json.dumps(key_set()).encode()
    issuer.status, issuer.headers, issuer.delay, issuer.documents["/jwks"] = "200 OK", "", 0, good
    issuer.dripping = trouble == "dripping"
    match trouble:
        case "down":
            issuer.status = "500 Internal Server Error"
        case "slow":
            issuer.delay = 10
        case "empty":
            issuer.documents["/jwks"] = b'{"keys":[]}'
        case "huge":
            issuer.documents["/jwks"] = b'{"keys":[' + b" " * 5_000_000 + b"]}"
        case "redirecting":
            issuer.status, issuer.headers = "302 Found", f"Location: {issuer.url}/elsewhere\r\n"


@pytest.mark.fault
async def test_known_keys_work_during_any_issuer_outage(
    system: System, issuer: Issuer, measure: Measurements
) -> None:
    await serve(system, issuer)
    assert (await present(system, issuer.token())).status == 200
    async with system.load(rate=20).running():
        calm = min([await _served(system, issuer) for _ in range(WINDOWS)])
        stall = max([await _stall(system, issuer, trouble, calm) for trouble in TROUBLES])
    measure("issuer-trouble-liveness-p99-more", stall, STALL_SECONDS, unit="s")
    assert "/elsewhere" not in issuer.fetches
    metric = system.replicas[0].served.metric
    assert metric(f'slipway_token_keys_fetches_total{{issuer="{issuer.url}",result="failed"}}')
    assert metric(f'slipway_token_keys_fetched_timestamp_seconds{{issuer="{issuer.url}"}}')
    system.only(lambda _: False, "the issuer is not asked")
    await system.judge()


@pytest.mark.fault
async def test_keys_are_trusted_up_to_the_stale_limit(
    system: System, issuer: Issuer, measure: Measurements
) -> None:
    await serve(system, issuer, security__jwks_max_age=STALE)
    assert (await present(system, issuer.token())).status == 200
    make(issuer, "down")
    began, trusted = time.monotonic(), 0.0
    while (response := await present(system, issuer.token(sub=f"user-{next(SUBJECTS)}"))).status == 200:
        trusted = time.monotonic() - began
        assert trusted < 10 * STALE
        await asyncio.sleep(0.05)
    assert trusted >= STALE / 2
    measure("keys-trusted-without-their-issuer", trusted, STALE + 1.0, unit="s")
    assert (response.status, response.json["code"]) == (503, "unavailable")
    assert response.headers["retry-after"]
    make(issuer, "none")
    began = time.monotonic()
    while (await present(system, issuer.token(sub="back"))).status != 200:
        assert time.monotonic() < began + 10
        await asyncio.sleep(0.05)
    await system.judge()


async def test_rotated_keys_replace_the_old_ones(
    system: System, issuer: Issuer, measure: Measurements
) -> None:
    await serve(system, issuer)
    assert (await present(system, issuer.token())).status == 200
    issuer.documents["/jwks"] = json.dumps(
        {"keys": [public_jwk("ES256", PRIVATE["ES256"], kid="new")]}
    ).encode()
    began = time.monotonic()
    while (await present(system, issuer.token("ES256", headers={"kid": "new"}))).status != 200:
        assert time.monotonic() < began + 10
        await asyncio.sleep(0.02)
    measure("rotated-token-key-found", time.monotonic() - began, 2 * COOLDOWN, unit="s")
    assert (await present(system, issuer.token(sub="another"))).status == 401
    await system.judge()


async def _stall(system: System, issuer: Issuer, trouble: str, calm: float) -> float:
    """Return the seconds that the fault adds to the p99 of liveness, in the best of a few windows."""
    least = float("inf")
    for _ in range(WINDOWS):
        make(issuer, trouble)
        least = min(least, max(0.0, await _served(system, issuer) - calm))
        if least <= STALL_SECONDS / 2:
            break
    return least


async def _served(system: System, issuer: Issuer) -> float:
    """Return the p99 of liveness during a fetch, while new tokens are accepted."""
    seconds, ended = list[float](), time.monotonic() + 1.5 * COOLDOWN
    probe = await Connection.open(system.replicas[0].admin_port)
    while time.monotonic() < ended:
        response = await present(system, issuer.token(sub=f"user-{next(SUBJECTS)}"))
        assert response.status == 200, response.body
        for _ in range(4):
            began = time.monotonic()
            assert (await probe.ask("GET", "/livez", {})).status == 200
            seconds.append(time.monotonic() - began)
            await asyncio.sleep(0.01)
    probe.close()
    return percentile(seconds, 0.99)


@pytest.mark.fault
async def test_unknown_key_ids_cause_one_fetch_per_cooldown(
    system: System, issuer: Issuer, measure: Measurements
) -> None:
    await serve(system, issuer)
    assert (await present(system, issuer.token())).status == 200
    body = signed("RS256", {"alg": "RS256", "kid": "x"}, {"iss": issuer.url}).split(".")[1]
    numbers = itertools.count()
    before, began = issuer.fetches["/jwks"], time.monotonic()

    async def flood() -> None:
        connection = await Connection.open(system.replicas[0].port)
        while (number := next(numbers)) < KEY_IDS or time.monotonic() < began + 5 * COOLDOWN:
            kid = segment({"alg": "RS256", "kid": f"kid-{number}"})
            response = await connection.ask("GET", LIST, {"Authorization": f"Bearer {kid}.{body}.AAAA"})
            assert response.status == 401, response.body
        connection.close()

    async with system.load(rate=10).running():
        await asyncio.gather(*(flood() for _ in range(10)))
    cooldowns = (time.monotonic() - began) / COOLDOWN
    fetches = issuer.fetches["/jwks"] - before
    assert fetches >= 2, "nobody looked whether the issuer has these keys"
    measure("fetches-by-unknown-key-ids-a-cooldown", fetches / (1 + cooldowns), 1.0)
    system.only(lambda _: False, "strangers cost others nothing")
    await system.judge()
