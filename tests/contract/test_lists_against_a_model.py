"""Filters, sorting and cursors match a plain Python model for any query."""

import random
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from httpx2 import Response
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.conftest import SEED, serving_specimens
from tests.contract.specimens import SORTABLE, Json, in_order, passes
from tests.engine.api import BASE, Api
from tests.examples import examples
from tests.services import Client

LIST = f"{BASE}/specimens"
LABELS = [
    "",
    "a",
    "A",
    "aa",
    "a%",
    "a_b",
    "a\\",
    "ab",
    "é",
    "e\u0301",
    "Z",
    "z,y",
    "😀",
    " ",
    "a b",
    '"',
    "%61",
]
RANKS = ["-2147483648", "-1", "0", "1", "2", "2147483647"]
SCORES = ["-1.00", "0.00", "0.10", "0.5", "0.505", "10.25", "999999.99"]
TIMES = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.000001Z",
    "2026-01-01T01:00:00+01:00",
    "1999-12-31T23:59:59.999999Z",
]
REFS = [
    "00000000-0000-0000-0000-000000000000",
    "0a000000-0000-7000-8000-00000000000f",
    "ffffffff-ffff-4fff-bfff-ffffffffffff",
]
VALUES: dict[str, list[str]] = {
    "label": LABELS, "rank": RANKS, "score": SCORES, "at": TIMES, "flag": ["true", "false"],
    "colour": ["blue", "green", "red"], "ref": REFS, "tags": LABELS,
}  # fmt: skip
ORDERED = ("lt", "lte", "gt", "gte")
OPERATORS: dict[str, tuple[str, ...]] = {
    "label": ("", "ne", "in", "startswith"),
    "rank": ("", "ne", "in", *ORDERED, "isnull"),
    "score": ("", "ne", "in", *ORDERED, "isnull"),
    "at": ("", "ne", "in", *ORDERED, "isnull"),
    "flag": ("", "ne"),
    "colour": ("", "ne", "in"),
    "ref": ("", "ne", "in", "isnull"),
    "tags": ("contains",),
}


def _specimen(chance: random.Random) -> Json:
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=chance.choice([-1, 0, 1, 3_600_000_000]))
    return {
        "label": chance.choice(LABELS),
        "rank": chance.choice([None, None, *(int(text) for text in RANKS)]),
        "score": chance.choice([None, None, *(text for text in SCORES if text != "0.505")]),
        "at": chance.choice([None, when.isoformat()]),
        "flag": chance.random() < 0.5,
        "colour": chance.choice(VALUES["colour"]),
        "ref": chance.choice([None, *REFS]),
        "tags": chance.sample(LABELS, chance.randrange(4)),
    }


@pytest.fixture(scope="session")
async def shelf_api(services: Client, worker: int) -> AsyncIterator[Api]:
    """A parent with no other specimens."""
    async with serving_specimens(services, f"shelf_{worker}") as api:
        yield api


@pytest.fixture(scope="session")
async def shelf(shelf_api: Api) -> list[Json]:
    """Sixty specimens, created in two transactions, so that many share their creation time."""
    chance = random.Random(SEED)
    sys.stdout.write(f"repeat with SLIPWAY_TEST_SEED={SEED}\n")
    for _ in range(2):
        operations = [{"op": "create", "item": _specimen(chance)} for _ in range(30)]
        response = await shelf_api.client.post(f"{LIST}/bulk", json={"operations": operations})
        assert response.status_code == 200, response.text
    items: list[Json] = (await shelf_api.client.get(LIST, params={"limit": "200"})).json()["items"]
    assert len(items) == 60
    return items


@st.composite
def filters(draw: st.DrawFn) -> dict[str, str | list[str]]:
    asked: dict[str, str | list[str]] = {}
    for field in draw(st.lists(st.sampled_from(sorted(OPERATORS)), max_size=2, unique=True)):
        operator = draw(st.sampled_from(OPERATORS[field]))
        value = st.sampled_from(["true", "false"] if operator == "isnull" else VALUES[field])
        name = f"{field}__{operator}" if operator else field
        if operator == "in":
            asked[name] = draw(st.lists(value, min_size=1, max_size=3))
        else:
            asked[name] = draw(value)
    return asked


def query_text(asked: dict[str, str | list[str]], form: str) -> str:
    """Return the query as clients write it: lists as repeated parameters, or comma-separated."""
    if form == "repeated":
        return urlencode(asked, doseq=True)
    lists = ((name, [value] if isinstance(value, str) else value) for name, value in asked.items())
    return "&".join(f"{name}={','.join(map(quote_plus, values))}" for name, values in lists)


@st.composite
def sorts(draw: st.DrawFn) -> list[str]:
    fields = draw(st.lists(st.sampled_from(SORTABLE), min_size=1, max_size=3, unique=True))
    return [draw(st.sampled_from(["", "-"])) + field for field in fields]


def _follow(response: Response, rel: str) -> str | None:
    links = response.headers["link"].split(", <")
    return next((part.split(">")[0].strip(" <") for part in links if f'rel="{rel}"' in part), None)


async def _walk(api: Api, url: str, rel: str) -> list[list[Json]]:
    pages = []
    following: str | None = url
    while following is not None:
        response = await api.client.get(following)
        assert response.status_code == 200, response.text
        pages.append(response.json()["items"])
        following = _follow(response, rel)
        assert len(pages) < 100, "the list does not end"
        if following is None and rel == "next":
            assert response.json()["next_cursor"] is None
            pages.append([{"url": str(response.url)}])
    return pages


@given(
    asked=filters(),
    sort=sorts(),
    limit=st.sampled_from([1, 3, 7, 30, 200]),
    form=st.sampled_from(["repeated", "commas"]),
)
@settings(max_examples=examples(30))
async def test_pages_match_the_model_in_both_directions(
    shelf_api: Api,
    shelf: list[Json],
    *,
    asked: dict[str, str | list[str]],
    sort: list[str],
    limit: int,
    form: str,
) -> None:
    expected = in_order([item for item in shelf if all(passes(item, *pair) for pair in asked.items())], sort)
    limit = max(limit, len(expected) // 8)
    url = f"{LIST}?{query_text({**asked, 'sort': sort, 'limit': str(limit)}, form)}"
    *pages, [end] = await _walk(shelf_api, url, "next")
    assert [item["id"] for page in pages for item in page] == [item["id"] for item in expected]
    assert all(len(page) == limit for page in pages[:-1])
    back = await _walk(shelf_api, end["url"], "prev")
    assert [item for page in reversed(back) for item in page] == [item for page in pages for item in page]


@given(asked=filters())
@settings(max_examples=examples(12))
async def test_count_and_export_match_the_model(
    shelf_api: Api, shelf: list[Json], asked: dict[str, str | list[str]]
) -> None:
    expected = {item["id"] for item in shelf if all(passes(item, *pair) for pair in asked.items())}
    counted = await shelf_api.client.get(LIST, params={**asked, "count": "exact", "limit": "1"})
    assert counted.json()["total"] == len(expected)
    exported = await shelf_api.client.get(f"{LIST}/export", params=asked)
    assert len(exported.content.splitlines()) == len(expected)


@pytest.mark.parametrize("field", [f for f in SORTABLE if f != "created_at"])
async def test_model_covers_every_documented_filter(shelf_api: Api, field: str) -> None:
    document: Any = shelf_api.app.openapi()
    names = {p["name"] for p in document["paths"][LIST]["get"]["parameters"]}
    found = {name for name in names if name.partition("__")[0] == field}
    assert found == {f"{field}__{operator}" if operator else field for operator in OPERATORS[field]}
