"""How long a process takes a key for valid: from the moment its look-up began, and never longer."""

import asyncio
from typing import Any

import pytest

from service.database import Database
from service.security.api_keys.api_key_verifier import ApiKeyVerifier
from service.security.api_keys.commands import create_key
from service.security.api_keys.key_format import cache_key
from service.security.refusals import Reason, RefusedError
from tests.listener import few_turns
from tests.security.limiting import Clock, moving_clock

__all__ = ["moving_clock"]

CACHED = 5.0  # seconds


class SlowLookUps(ApiKeyVerifier):
    """Looks keys up in a database that takes its time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, CACHED)
        self.asked = 0
        self.may_end = asyncio.Event()

    async def _look_up(self, *arguments: Any) -> Any:
        self.asked += 1
        await self.may_end.wait()
        return await super()._look_up(*arguments)


@pytest.fixture
async def key(database: Database) -> str:
    """A new key."""
    async with database.session() as session:
        _, text = await create_key(session, name="cached", scopes=["shop:read"])
    return text


@pytest.mark.parametrize(("seconds", "is_known"), [(4.9, True), (5.0, False)])
async def test_key_is_cached_from_the_beginning_of_its_look_up(
    database: Database,
    moving_clock: Clock,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    *,
    is_known: bool,
) -> None:
    verifier, fetch = ApiKeyVerifier(database, CACHED), database.fetch

    async def slow(*arguments: Any, **options: Any) -> Any:
        moving_clock.now += seconds
        return await fetch(*arguments, **options)

    monkeypatch.setattr(database, "fetch", slow)
    assert await verifier.verify(key)
    assert (verifier.known(key) is not None) is is_known


async def test_refused_key_is_forgotten(database: Database, moving_clock: Clock, key: str) -> None:
    verifier = ApiKeyVerifier(database, CACHED)
    assert await verifier.verify(key)
    moving_clock.now += CACHED + 599
    assert verifier.known(key) is None
    assert verifier.seen(key) is not None
    moving_clock.now += 1
    assert verifier.seen(key) is None
    assert await verifier.verify(key)
    await database.fetch("UPDATE api_key SET revoked_at = now() WHERE prefix = $1", [key.split("_")[1]])
    moving_clock.now += CACHED
    with pytest.raises(RefusedError) as refused:
        await verifier.verify(key)
    assert refused.value.reason is Reason.KEY_REVOKED
    assert verifier.seen(key) is None


async def test_look_up_is_joined_for_as_long_as_its_result_is_valid(
    database: Database, moving_clock: Clock, key: str
) -> None:
    verifier = SlowLookUps(database)
    asking = []
    for seconds, look_ups in ((0, 1), (CACHED, 1), (0.1, 2)):
        moving_clock.now += seconds
        asking.append(asyncio.create_task(verifier.verify(key)))
        await few_turns()
        assert verifier.asked == look_ups
    verifier.may_end.set()
    assert all(await asyncio.gather(*asking))


def test_keys_are_cached_by_all_of_their_characters() -> None:
    key = "slip_abcdefghijkl_" + "s" * 43
    changed = {cache_key(f"{key[:at]}-{key[at + 1 :]}") for at in range(len(key))}
    assert len({*changed, cache_key(key), cache_key(key[:-1])}) == len(key) + 2
