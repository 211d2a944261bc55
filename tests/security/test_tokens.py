"""Bearer tokens: valid ones are accepted, and every known attack gets the same response as any wrong credential."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from service import clock
from service.config import SecuritySettings
from service.config.issuer import IssuerSettings
from service.http.problems import Unavailable
from service.security.refusals import Reason, RefusedError
from service.security.tokens import jwks
from service.security.tokens.jwks_source import FetchError, JwksSource
from service.security.tokens.token_verifier import TokenVerifier
from tests.security.attacks import ATTACKS, reason_of
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


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with local_issuer() as issuer:
        yield issuer


@pytest.fixture
async def verifier(issuer: Issuer) -> AsyncIterator[TokenVerifier]:
    verifier = TokenVerifier(settings_for(issuer))
    yield verifier
    await verifier.close()


def settings_for(issuer: Issuer, *, extra: dict[str, Any] | None = None, **limits: float) -> SecuritySettings:
    return SecuritySettings.model_validate(
        {"issuers": [{"issuer": issuer.url, "audience": AUDIENCE, **(extra or {})}], **limits}
    )


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_valid_token_yields_its_subject(
    issuer: Issuer, verifier: TokenVerifier, algorithm: str
) -> None:
    principal = await verifier.verify(issuer.token(algorithm))
    assert principal.id == f"token:user-1@{issuer.url.removeprefix('http://')}"
    assert principal.scopes == {"shop:read", "shop:write"}


async def refused(verifier: TokenVerifier, token: str, reason: Reason) -> None:
    with pytest.raises(RefusedError) as error:
        await verifier.verify(token)
    assert error.value.reason is reason


async def test_valid_token_variants_are_accepted(issuer: Issuer, verifier: TokenVerifier) -> None:
    now = time.time()
    for token in (
        issuer.token(aud=["other", AUDIENCE]),
        issuer.token(headers={"typ": "application/at+JWT"}),
        issuer.token(headers={"typ": ""}),  # the library leaves it out
        issuer.token(exp=int(now) - 5),  # within the leeway
        issuer.token(nbf=int(now) + 5),
        issuer.token(iat=None),
        issuer.token(sub="s" * 255),
        issuer.token(sub="CN=Ada Lovelace, O=Engines|1"),
    ):
        assert await verifier.verify(token)


async def test_scopes_come_from_lists_and_roles(issuer: Issuer) -> None:
    extra = {
        "roles_claim": "realm_access.roles",
        "role_scopes": {"editor": ["shop:write"], "boss": ["admin"]},
    }
    verifier = TokenVerifier(settings_for(issuer, extra=extra))
    token = issuer.token(scope=None, scp=["shop:read"], realm_access={"roles": ["editor", "guest", 7]})
    principal = await verifier.verify(token)
    assert principal.scopes == {"shop:read", "shop:write"}
    await verifier.close()


@pytest.mark.parametrize("name", ATTACKS)
async def test_attack_is_refused(issuer: Issuer, verifier: TokenVerifier, name: str) -> None:
    assert await verifier.verify(issuer.token())
    before = dict(issuer.fetches)
    with pytest.raises(RefusedError) as refused:
        await verifier.verify(ATTACKS[name](issuer))
    assert refused.value.reason is reason_of(name)
    assert issuer.fetches == before


async def test_cached_token_is_accepted_only_until_it_expires(
    issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(exp=int(time.time()) + 60)
    assert verifier.known(token) is None
    assert await verifier.verify(token)
    assert verifier.known(token)
    later = clock.monotonic() + 61
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert verifier.known(token) is None


async def test_random_key_ids_cause_one_fetch_per_cooldown(
    issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await verifier.verify(issuer.token())
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)  # a busy machine may need longer than a cooldown
    token = signed("RS256", {"alg": "RS256", "kid": "x"}, {"iss": issuer.url})
    body = token.split(".")[1]
    for number in range(1_000):
        kid = segment({"alg": "RS256", "kid": f"kid-{number}"})
        await refused(verifier, f"{kid}.{body}.AAAA", Reason.KEY_ID)
    assert issuer.fetches["/jwks"] == 1


async def test_rotated_key_is_found_after_the_cooldown(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = TokenVerifier(settings_for(issuer, jwks_cooldown=10))
    assert await verifier.verify(issuer.token())
    issuer.documents["/jwks"] = json.dumps(
        {"keys": [public_jwk("ES256", PRIVATE["ES256"], kid="new")]}
    ).encode()
    rotated = issuer.token("ES256", headers={"kid": "new"})
    await refused(verifier, rotated, Reason.KEY_ID)
    later = clock.monotonic() + 11
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert await verifier.verify(rotated)
    await refused(verifier, issuer.token(sub="x"), Reason.KEY_ID)
    await verifier.close()


@pytest.mark.parametrize(
    "trouble", ["down", "empty", "huge", "redirect", "slow", "no JSON", "weak", "secret"]
)
async def test_known_keys_work_during_an_issuer_outage(
    issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    assert await verifier.verify(issuer.token())
    _make(issuer, trouble)
    began, later = time.perf_counter(), clock.monotonic() + 600
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    assert await verifier.verify(issuer.token(sub="during"))
    assert time.perf_counter() - began < 1
    async with asyncio.timeout(20):  # until the fetch behind it has started
        while issuer.fetches["/.well-known/openid-configuration"] < 2:  # noqa: ASYNC110  # by the issuer
            await asyncio.sleep(0.01)
    assert await verifier.verify(issuer.token(sub="after"))
    assert issuer.fetches["/.well-known/openid-configuration"] == 2
    assert "/elsewhere" not in issuer.fetches


@pytest.mark.parametrize(
    "trouble", ["down", "empty", "huge", "redirect", "no JSON", "list", "no list", "weak", "secret"]
)
async def test_token_without_any_known_key_is_unavailable(issuer: Issuer, trouble: str) -> None:
    _make(issuer, trouble)
    verifier = TokenVerifier(settings_for(issuer))
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token())
    assert issuer.fetches.get("/jwks", 0) <= 1
    await verifier.close()


def _make(issuer: Issuer, trouble: str) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    secret = {"kty": "oct", "kid": "kid-RS256", "k": "AAAA", "alg": "HS256"}
    documents = {
        "empty": b'{"keys":[]}',
        "huge": b'{"keys":[' + b" " * 300_000 + b"]}",
        "no JSON": b"<html>",
        "list": b'[{"keys":[]}]',
        "no list": json.dumps({"keys": public_jwk("RS256", PRIVATE["RS256"])}).encode(),
        "weak": json.dumps({"keys": [public_jwk("RS256", weak)]}).encode(),
        "secret": json.dumps({"keys": [secret]}).encode(),
    }
    if trouble in documents:
        issuer.documents["/jwks"] = documents[trouble]
    elif trouble == "down":
        issuer.status = "500 Internal Server Error"
    elif trouble == "redirect":
        issuer.status, issuer.headers = "302 Found", f"Location: {issuer.url}/elsewhere\r\n"
    elif trouble == "slow":
        issuer.delay = 10


async def test_keys_are_not_trusted_beyond_their_maximum_age(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = TokenVerifier(settings_for(issuer, jwks_max_age=30))
    assert await verifier.verify(issuer.token())
    issuer.status = "503 Service Unavailable"
    later = clock.monotonic() + 31
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token(sub="x"))
    await verifier.close()


async def test_fetch_of_a_slow_response_times_out(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The HTTP client's own timeouts restart with each byte."""
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.5)
    verifier = TokenVerifier(settings_for(issuer, jwks_cooldown=0.1))
    issuer.dripping = True
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
    issuer.dripping = False
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 20)
    await asyncio.sleep(0.3)
    assert await verifier.verify(issuer.token())
    await verifier.close()


async def test_discovery_of_another_issuer_is_refused(issuer: Issuer) -> None:
    for document in (
        {"issuer": "https://evil.test", "jwks_uri": f"{issuer.url}/jwks"},
        {"issuer": issuer.url, "jwks_uri": "http://keys.evil.test/jwks"},
        {"issuer": issuer.url},
    ):
        issuer.documents["/.well-known/openid-configuration"] = json.dumps(document).encode()
        verifier = TokenVerifier(settings_for(issuer))
        with pytest.raises(Unavailable):
            await verifier.verify(issuer.token())
        await verifier.close()


async def test_keys_on_loopback_are_for_an_issuer_on_loopback() -> None:
    """Otherwise an issuer elsewhere could make the service call its own machine."""
    elsewhere = IssuerSettings(issuer="https://id.example.com", audience=AUDIENCE)
    document = {"issuer": elsewhere.issuer, "jwks_uri": "http://127.0.0.1:1/jwks"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=document))
    async with httpx2.AsyncClient(transport=transport) as client:
        with pytest.raises(FetchError, match="no https jwks_uri"):
            await JwksSource(elsewhere, client).fetch()


async def test_subjects_of_several_issuers_are_distinct(issuer: Issuer) -> None:
    async with local_issuer() as other:
        other.documents["/jwks"] = json.dumps(key_set()).encode()
        both = [{"issuer": i.url, "audience": AUDIENCE} for i in (issuer, other)]
        verifier = TokenVerifier(SecuritySettings.model_validate({"issuers": both}))
        one, two = await verifier.verify(issuer.token()), await verifier.verify(other.token())
        assert one.id != two.id
        await verifier.close()


def test_issuer_must_be_https_or_loopback() -> None:
    with pytest.raises(ValueError, match="https"):
        SecuritySettings.model_validate({"issuers": [{"issuer": "http://idp.test", "audience": "x"}]})
