"""The bounds of API keys: the largest value is accepted and one more is refused, and purging ends where it says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlmodel import select

from service import clock
from service.database import Database
from service.models.api_key import ApiKey
from service.security.api_keys import key_format
from service.security.api_keys.admin_key import NAME, AdminKeyError, parse
from service.security.api_keys.commands import create_key, purge_keys
from tests.api.conftest import MakeClient
from tests.api.test_items import problem

KEYS = "/api/v1/keys"
KEY = {"name": "robot", "scopes": ["shop:read"]}
MOST: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "characters of a name": (100, lambda size: {"name": "x" * size}),
    "scopes": (50, lambda size: {"scopes": [f"q{number}:use" for number in range(size)]}),
    "characters of a scope": (31, lambda size: {"scopes": [f"{'q' * size}:{'z' * size}"]}),
    "claims": (20, lambda size: {"claims": {f"c{number}": "x" for number in range(size)}}),
    "characters of a claim's name": (63, lambda size: {"claims": {"c" * size: "x"}}),
    "characters of a claim's value": (255, lambda size: {"claims": {"tenant": "x" * size}}),
    "days": (3650, lambda size: {"days": size}),
}
OF_THE_ROUTE = {"scopes", "claims", "days"}  # the command line has no such bound


@pytest.fixture
async def boss(client_with: MakeClient) -> AsyncClient:
    return await client_with("admin")


@pytest.mark.parametrize("what", MOST)
async def test_route_accepts_the_largest_value_and_refuses_one_more(boss: AsyncClient, what: str) -> None:
    most, of_size = MOST[what]
    made = await boss.post(KEYS, json=KEY | of_size(most))
    assert made.status_code == 201, made.text
    problem(await boss.post(KEYS, json=KEY | of_size(most + 1)), 422, "validation_failed")


@pytest.mark.parametrize("what", [what for what in MOST if what not in OF_THE_ROUTE])
async def test_command_accepts_the_largest_value_and_refuses_one_more(database: Database, what: str) -> None:
    most, of_size = MOST[what]
    async with database.session() as session:
        await create_key(session, **KEY | of_size(most))
        with pytest.raises(ValueError, match=r"characters|invalid"):
            await create_key(session, **KEY | of_size(most + 1))
        await session.rollback()


async def test_scopes_are_stored_sorted_and_once(boss: AsyncClient) -> None:
    made = await boss.post(KEYS, json=KEY | {"scopes": ["shop:write", "shop:read", "shop:write"]})
    assert made.json()["scopes"] == ["shop:read", "shop:write"]


async def test_claims_are_stored(boss: AsyncClient) -> None:
    made = await boss.post(KEYS, json=KEY | {"claims": {"tenant": "acme"}})
    assert made.json()["claims"] == {"tenant": "acme"}


async def test_days_count_from_now(boss: AsyncClient) -> None:
    made = (await boss.post(KEYS, json=KEY | {"days": 3})).json()
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert timedelta(days=3) - timedelta(seconds=30) < expires - created <= timedelta(days=3)


async def test_purge_deletes_keys_that_ended_long_enough_ago(database: Database) -> None:
    def days(number: float | None) -> datetime | None:
        return None if number is None else clock.now() + timedelta(days=number)

    # Name, days until it expires, days until it was revoked; the first of the two ends a key.
    keys = {
        "revoked": ("x", None, -8),
        "expired": ("x", -8, None),
        "expired and then revoked": ("x", -8, -6),
        "revoked before it would have expired": ("x", 30, -8),
        "revoked lately": ("x", None, -6),
        "expired lately": ("x", -6, None),
        "valid": ("x", 30, None),
        "endless": ("x", None, None),
        "of the settings": (NAME, -8, -8),
    }
    async with database.session() as session:
        made = {what: key_format.generate().prefix for what in keys}
        for what, (name, expires, revoked) in keys.items():
            key = ApiKey(
                name=name,
                prefix=made[what],
                secret_hash=b"",
                scopes=[],
                created_at=clock.now(),
                expires_at=days(expires),
                revoked_at=days(revoked),
            )
            session.add(key)
        await session.flush()
        assert await purge_keys(session, 7) >= 4  # those of other tests, too
        left = set((await session.exec(select(ApiKey.prefix))).all())
        await session.rollback()
    assert [what for what, prefix in made.items() if prefix not in left] == [*keys][:4]


def test_admin_key_needs_different_characters() -> None:
    few, enough = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:number] for number in (15, 16))
    text = f"slw_{'a' * 12}_{{}}"
    assert parse(text.format(enough.ljust(43, "A")))
    with pytest.raises(AdminKeyError):
        parse(text.format(few.ljust(43, "A")))
