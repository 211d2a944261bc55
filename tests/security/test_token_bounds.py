"""Bounds of bearer tokens and of the issuer's keys: the last accepted value, and the first refused one."""

import asyncio
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import get_default_algorithms
from prometheus_client import REGISTRY

from service.config import SecuritySettings
from service.http.problems import Unavailable
from service.security.refusals import Reason, RefusedError
from service.security.tokens.jwks_source import LARGEST, MOST_KEYS
from service.security.tokens.public_keys import public_key
from service.security.tokens.token_parts import LONGEST_TOKEN
from service.security.tokens.token_verifier import TokenVerifier
from tests.security.issuer import AUDIENCE, PRIVATE, Issuer, local_issuer, public_jwk
from tests.security.limiting import Clock, moving_clock
from tests.security.test_tokens import issuer, refused, settings_for, verifier

__all__ = ["issuer", "moving_clock", "verifier"]


async def test_unknown_key_causes_a_fetch_at_the_end_of_the_cooldown(
    issuer: Issuer, moving_clock: Clock
) -> None:
    verifier = TokenVerifier(settings_for(issuer, jwks_cooldown=10))
    assert await verifier.verify(issuer.token())
    began = moving_clock.now
    rotated = issuer.token("ES256", headers={"kid": "new"})
    issuer.documents["/jwks"] = _set(public_jwk("ES256", PRIVATE["ES256"], kid="new"))
    moving_clock.now = began + 9.99
    await refused(verifier, rotated, Reason.KEY_ID)
    moving_clock.now = began + 10
    assert await verifier.verify(rotated)
    assert issuer.fetches["/jwks"] == 2
    moving_clock.now = began + 10.1
    await refused(verifier, issuer.token(headers={"kid": "newer"}), Reason.KEY_ID)
    assert issuer.fetches["/jwks"] == 2, "each fetch begins a cool-down"
    await verifier.close()


async def test_keys_are_refreshed_in_time_and_trusted_to_their_maximum_age(
    issuer: Issuer, moving_clock: Clock
) -> None:
    verifier = TokenVerifier(settings_for(issuer, jwks_refresh=20, jwks_max_age=30))
    await verifier.verify(issuer.token())
    [(_, keys)] = verifier._issuers.values()
    issuer.status = "503 Service Unavailable"
    began = moving_clock.now
    for after, fetches in ((20, False), (20.1, True)):
        moving_clock.now = began + after
        keys.renew()
        assert (keys._fetches.running("keys") is not None) is fetches
    await keys._fetch()
    moving_clock.now = began + 30
    assert await verifier.verify(issuer.token(sub="at the end"))
    moving_clock.now = began + 30.1
    with pytest.raises(Unavailable):
        await verifier.verify(issuer.token(sub="after it"))
    await verifier.close()


async def test_close_ends_a_running_fetch(issuer: Issuer) -> None:
    issuer.delay = 10
    verifier = TokenVerifier(settings_for(issuer))
    [(_, keys)] = verifier._issuers.values()
    keys.renew()
    fetch = keys._fetches.running("keys")
    assert fetch is not None
    await verifier.close()
    assert fetch.cancelled()
    assert verifier._client is not None
    assert verifier._client.is_closed


async def test_caller_that_leaves_does_not_end_the_fetch_of_others(issuer: Issuer) -> None:
    issuer.delay = 0.05
    verifier = TokenVerifier(settings_for(issuer))
    leaving, other = (asyncio.create_task(verifier.verify(issuer.token(sub=sub))) for sub in ("a", "b"))
    [(_, keys)] = verifier._issuers.values()
    while keys._fetches.running("keys") is None:  # noqa: ASYNC110  # there is no event
        await asyncio.sleep(0)
    leaving.cancel()
    assert await other
    assert issuer.fetches["/jwks"] == 1
    await verifier.close()


async def test_keys_of_every_issuer_are_refreshed(issuer: Issuer) -> None:
    async with local_issuer() as other:
        both = [{"issuer": one.url, "audience": AUDIENCE} for one in (issuer, other)]
        verifier = TokenVerifier(SecuritySettings.model_validate({"issuers": both}))
        await verifier.renew()
        fetches = [keys._fetches.running("keys") for _, keys in verifier._issuers.values()]
        assert all(fetches)
        await verifier.close()


async def test_issuer_whose_name_ends_in_a_slash_is_asked_at_one(issuer: Issuer) -> None:
    issuer.url += "/"
    path = "/.well-known/openid-configuration"
    found = json.loads(issuer.documents[path])
    issuer.documents[path] = json.dumps({**found, "issuer": issuer.url}).encode()
    verifier = TokenVerifier(settings_for(issuer))
    assert await verifier.verify(issuer.token())
    assert set(issuer.fetches) == {path, "/jwks"}
    await verifier.close()


async def test_proxy_of_the_environment_is_not_used(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    verifier = TokenVerifier(settings_for(issuer))
    assert await verifier.verify(issuer.token())
    await verifier.close()


async def test_look_ups_in_the_cache_are_counted(issuer: Issuer, verifier: TokenVerifier) -> None:
    def counted() -> list[float]:
        labels = [{"cache": "tokens", "result": result} for result in ("hit", "miss")]
        return [REGISTRY.get_sample_value("slipway_cache_requests_total", one) or 0 for one in labels]

    token, (hits, misses) = issuer.token(), counted()
    await verifier.verify(token)
    assert counted() == [hits, misses + 1]
    verifier.known(token)
    assert counted() == [hits + 1, misses + 1]


async def test_type_that_the_issuer_does_not_name_is_refused(issuer: Issuer) -> None:
    verifier = TokenVerifier(settings_for(issuer, extra={"token_types": ["JWT"]}))
    assert await verifier.verify(issuer.token(headers={"typ": "jwt"}))
    for kind in ("", "at+jwt"):  # a token with an empty type is made without it
        await refused(verifier, issuer.token(headers={"typ": kind}), Reason.TYPE)
    await verifier.close()


async def test_key_is_used_with_its_own_algorithm_alone(issuer: Issuer, verifier: TokenVerifier) -> None:
    await refused(verifier, issuer.token("PS256", headers={"kid": "kid-RS256"}), Reason.KEY_ID)


async def test_verified_token_is_cached_for_five_minutes(
    issuer: Issuer, verifier: TokenVerifier, moving_clock: Clock
) -> None:
    token = issuer.token(exp=2**33)
    await verifier.verify(token)
    moving_clock.now += 299.9
    assert verifier.known(token)
    assert verifier.seen(token)
    moving_clock.now += 0.1
    assert verifier.known(token) is None


async def test_expired_token_that_the_leeway_admits_is_not_cached(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    token = issuer.token(exp=int(time.time()) - 5)
    assert await verifier.verify(token)
    assert verifier.known(token) is None


async def test_longest_token_is_accepted(issuer: Issuer, verifier: TokenVerifier) -> None:
    longest = _of_length(issuer, LONGEST_TOKEN)
    assert await verifier.verify(longest)
    await refused(verifier, _of_length(issuer, LONGEST_TOKEN + 1), Reason.TOO_LARGE)


@pytest.mark.parametrize(
    ("kid", "detail"),
    [
        ("k" * 200, f"kid '{'k' * 99} of "),
        ("k" * 201, "a kid is a text of 1 to 200 characters"),
        ("", "a kid is a text of 1 to 200 characters"),
        ("a\nbé", r"kid 'a\nb\xe9' of "),
    ],
)
async def test_log_has_a_short_text_of_a_wrong_key_id(
    issuer: Issuer, verifier: TokenVerifier, kid: str, detail: str
) -> None:
    with pytest.raises(RefusedError) as error:
        await verifier.verify(issuer.token(headers={"kid": kid}))
    assert error.value.detail.startswith(detail)
    assert len(error.value.detail) <= 200


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
async def test_times_have_a_range(issuer: Issuer, verifier: TokenVerifier, claim: str) -> None:
    def token(at: int) -> str:
        claims: dict[str, Any] = {claim: at}
        return issuer.token(**claims)

    assert await verifier.verify(token(2**40 - 1 if claim == "exp" else 0))
    await refused(verifier, token(2**40), Reason.CLAIMS)
    await refused(verifier, token(-1), Reason.CLAIMS)


async def test_key_set_has_a_largest_size(issuer: Issuer) -> None:
    key = public_jwk("RS256", PRIVATE["RS256"])
    other = [{"kty": "oct", "k": "A"}]
    largest = _set(key).ljust(LARGEST)
    for document, works in (
        (_set(key, *other * (MOST_KEYS - 1)), True),
        (_set(key, *other * MOST_KEYS), False),
        (largest, True),
        (largest + b" ", False),
    ):
        issuer.documents["/jwks"] = document
        verifier = TokenVerifier(settings_for(issuer))
        if works:
            assert await verifier.verify(issuer.token())
        else:
            with pytest.raises(Unavailable):
                await verifier.verify(issuer.token())
        await verifier.close()


async def test_token_without_a_key_id_is_verified_by_the_only_key_that_fits(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    assert await verifier.verify(issuer.token("ES256", headers={"kid": None}))
    issuer.documents["/jwks"] = _set(
        public_jwk("RS256", PRIVATE["RS256"], kid="one"), public_jwk("RS256", PRIVATE["RS256"], kid="two")
    )
    two = TokenVerifier(settings_for(issuer))
    await refused(two, issuer.token(headers={"kid": None}), Reason.KEY_ID)
    await two.close()


@pytest.mark.parametrize(
    ("algorithm", "private"),
    [
        ("RS256", PRIVATE["RS256"]),
        ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("ES384", ec.generate_private_key(ec.SECP384R1())),
        ("ES512", ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_key_without_algorithm_is_usable(algorithm: str, private: Any) -> None:
    member = {k: v for k, v in public_jwk(algorithm, private).items() if k not in {"alg", "use"}}
    key = public_key(member)
    assert key is not None
    assert (key.kid, key.family, key.algorithm) == (f"kid-{algorithm}", member["kty"], None)


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct"},
        {"use": "enc"},
        {"use": "other"},
        get_default_algorithms()["RS256"].to_jwk(PRIVATE["RS256"], as_dict=True),  # a secret key
        {"kid": 1},
        {"alg": 1},
        {"alg": "RS999"},
        {"n": "AAAA"},
        {"n": 1},
    ],
)
def test_unusable_key_is_left_out(change: dict[str, Any]) -> None:
    assert public_key({**public_jwk("RS256", PRIVATE["RS256"]), **change}) is None


def _set(*members: dict[str, Any]) -> bytes:
    return json.dumps({"keys": members}).encode()


def _of_length(issuer: Issuer, length: int) -> str:
    """Return a token of so many characters. A part alone cannot have every length: it is base64 without padding."""
    about = (length - len(issuer.token("EdDSA", pad=""))) * 3 // 4
    tokens = (
        issuer.token("EdDSA", pad="x" * (about - less), headers={"more": "x" * more})
        for less in range(40)
        for more in range(3)
    )
    return next(token for token in tokens if len(token) == length)
