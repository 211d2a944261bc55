"""Anonymous callers are counted by address, which only trusted proxies may set."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import structlog
from httpx2 import ASGITransport, AsyncClient

from service import clock
from service.config import Settings
from service.main import create_app
from service.security.refusals import LINE_SECONDS
from tests.api.conftest import MakeClient, unique
from tests.api.test_items import problem
from tests.asgi import lifespan
from tests.shop import SHOP

URL = "/api/v1/articles"
Guess = Callable[[str, str], Awaitable[int]]


def _wrong_key() -> str:
    return f"slw_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


@pytest.fixture
async def guess(settings: Settings) -> AsyncIterator[Guess]:
    """`await guess(peer, forwarded)` sends a wrong key from an address and returns the status."""
    changed = settings.model_dump()
    changed["rate_limit"] |= {"auth_failures": 5, "window": 3600}
    changed["redis"] = {"enabled": False}
    changed["server"]["trusted_proxies"] = "10.0.0.0/8"
    app = create_app(Settings(**changed), (SHOP,))
    async with lifespan(app):

        async def send(peer: str, forwarded: str = "") -> int:
            transport = ASGITransport(app, client=(peer, 1234))
            async with AsyncClient(transport=transport, base_url="http://slipway.test") as client:
                headers = {"X-API-Key": _wrong_key(), **({"X-Forwarded-For": forwarded} if forwarded else {})}
                return (await client.get(URL, headers=headers)).status_code

        yield send


async def test_failed_credentials_are_rate_limited(guess: Guess) -> None:
    assert [await guess("192.0.2.1", "") for _ in range(7)] == [401] * 5 + [429] * 2
    assert await guess("192.0.2.2", "") == 401


async def test_responses_report_the_remaining_quota_of_each_policy(settings: Settings) -> None:
    changed = settings.model_dump()
    changed["rate_limit"] = {"requests": 9, "writes": 1, "auth_failures": 1, "window": 3600}
    changed["redis"], changed["security"]["anonymous"] = {"enabled": False}, "write"
    app = create_app(Settings(**changed), (SHOP,))
    async with (
        lifespan(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test") as client,
    ):
        read = await client.get(URL)
        assert read.headers["ratelimit"] == '"default";r=8'
        policies = '"default";q=9;w=3600, "write";q=1;w=3600, "auth-failure";q=1;w=3600'
        assert read.headers["ratelimit-policy"] == policies
        assert (await client.post(URL, json={})).headers["ratelimit"] == '"default";r=7, "write";r=0'
        refused = await client.post(URL, json={})
        problem(refused, 429, "too_many_requests")
        assert refused.headers["ratelimit"] == '"default";r=6, "write";r=0'
        assert 3590 <= int(refused.headers["retry-after"]) <= 3600
        responses = [await client.get(URL, headers={"X-API-Key": _wrong_key()}) for _ in range(2)]
        assert [response.status_code for response in responses] == [401, 429]
        assert responses[1].headers["ratelimit"] == '"default";r=4, "auth-failure";r=0'
        assert 3590 <= int(responses[1].headers["retry-after"]) <= 3600
        large = await client.post(URL, content=b" " * 2_000_000)
        problem(large, 413, "body_too_large")
        assert "ratelimit" not in large.headers  # refused before anybody looks at the caller


async def test_failures_from_an_address_do_not_lock_out_valid_callers(
    settings: Settings, client_with: MakeClient
) -> None:
    caller = await client_with("shop:read")
    changed = settings.model_dump()
    changed["rate_limit"] |= {"requests": 9, "auth_failures": 3, "window": 3600}
    changed["redis"] = {"enabled": False}
    changed["security"]["key_cache_seconds"] = 0
    app = create_app(Settings(**changed), (SHOP,))
    async with (
        lifespan(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://slipway.test") as client,
    ):
        key = {"Authorization": caller.headers["authorization"]}
        assert (await client.get(URL, headers=key)).status_code == 200
        wrong = [(await client.get(URL, headers={"X-API-Key": _wrong_key()})).status_code for _ in range(5)]
        assert wrong == [401] * 3 + [429] * 2
        again = await client.get(URL, headers=key)
        assert again.status_code == 200
        assert again.headers["ratelimit"] == '"default";r=8', "the others used up the address's, not its own"


async def test_forwarded_address_counts_only_from_a_trusted_hop(guess: Guess) -> None:
    lies = [await guess("192.0.2.3", f"198.51.100.{number}") for number in range(7)]
    assert lies == [401] * 5 + [429] * 2
    told = [await guess("10.1.2.3", f"198.51.100.{number}") for number in range(7)]
    assert told == [401] * 7
    spoofed = [await guess("10.1.2.3", f"203.0.113.{number}, 198.51.100.77") for number in range(7)]
    assert spoofed == [401] * 5 + [429] * 2
    neighbour = [await guess("10.1.2.3", f"203.0.113.{number}, 10.9.9.9") for number in range(7)]
    assert neighbour == [401] * 5 + [429] * 2


async def test_ipv6_prefix_is_one_caller(guess: Guess) -> None:
    assert [await guess(f"2001:db8:1:2::{number:x}", "") for number in range(7)] == [401] * 5 + [429] * 2
    assert await guess("2001:db8:1:3::1", "") == 401
    assert await guess("::ffff:192.0.2.9", "") == 401


async def test_ipv6_prefix_is_one_caller_behind_a_proxy(guess: Guess) -> None:
    told = [await guess("10.1.2.3", f"[2001:db8:7:2::{number:x}]:{4000 + number}") for number in range(7)]
    assert told == [401] * 5 + [429] * 2
    assert await guess("10.1.2.3", "2001:db8:7:3::1") == 401


async def test_failed_credentials_are_logged_without_secrets(
    client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, later = _wrong_key(), clock.monotonic() + LINE_SECONDS  # other tests may just have had such a line
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    with structlog.testing.capture_logs() as lines:
        response = await (await client_with()).get(
            URL, headers={"X-API-Key": key, "X-Request-Id": unique("request")}
        )
    problem(response, 401, "unauthenticated")
    refused = [line for line in lines if line["event"] == "credentials refused"]
    assert len(refused) == 1
    assert refused[0]["caller"].startswith("address:")
    assert key.split("_", 2)[2] not in str(lines)
