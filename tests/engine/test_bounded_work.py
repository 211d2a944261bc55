"""The worst request that each route accepts takes a bounded number of statements, and of the event loop at a time."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from service.config import PerformanceSettings
from service.resources.catalog import products
from service.resources.lists.cursor import CursorCodec
from service.resources.lists.listing import Lister
from service.resources.lists.statements import Shape
from service.resources.requests.parameters import Query
from tests.engine.api import PRODUCTS, Api, Json, running
from tests.engine.wire import Wire, wire_to

MEGABYTE = 2**20 - 1024  # the largest body, nearly
NOBODY = str(uuid4())
STATEMENTS = 40
UNITS = 8  # of a megabyte of numbers read by the parser of the standard library: about 20 ms


def _numbers(size: int = MEGABYTE) -> str:
    return "[" + "1," * (size // 2 - 1) + "1]"


def _names(size: int = MEGABYTE) -> str:
    return "{" + ",".join(f'"{number:x}":1' for number in range(size // 10)) + "}"


def _deep(size: int = MEGABYTE) -> str:
    nested = "[" * 20 + "]" * 20
    return "[" + ",".join([nested] * (size // 42)) + "]"


def _operations(operation: Json, count: int = 1000) -> str:
    return json.dumps({"mode": "partial", "operations": [operation] * count})


def _product(**more: object) -> Json:
    return {"sku": "BOUND", "name": "Lamp", "price": "1.00", "category_id": NOBODY, **more}


BODIES = {
    "numbers": _numbers(),
    "names": _names(),
    "deep": _deep(),
    "wide member": '{"name":' + _numbers(MEGABYTE - 100) + "}",
    "wide document": '{"attributes":' + _deep(MEGABYTE - 100) + "}",
    "wrong list": '{"tags":' + _numbers(MEGABYTE - 100) + "}",
    "long text": json.dumps({"name": "é\u2028" * (MEGABYTE // 14)}),
}
BULKS = {
    "dead references": _operations({"op": "create", "item": _product()}),
    "unknown names": _operations(
        {"op": "create", "item": _product(**{f"x{number}": 1 for number in range(90)})}, 900
    ),
    "absent items": json.dumps(
        {
            "mode": "partial",
            "operations": [{"op": "delete", "id": str(uuid4()), "if_match": "*"} for _ in range(1000)],
        }
    ),
    "names of one": '{"operations":[{"op":"create","item":' + _names(MEGABYTE - 100) + "}]}",
    "no operations": json.dumps({"mode": "partial", "operations": [1] * 1000}),
    "numbers": '{"operations":' + _numbers(MEGABYTE - 100) + "}",
}


@pytest.fixture(scope="module")
async def watched(database_url: str) -> AsyncIterator[tuple[Api, Wire]]:
    with pytest.MonkeyPatch.context() as patch:
        # What a process does beside its requests comes when it likes.
        patch.setattr("service.main._jobs", lambda *_: [])
        async with wire_to(database_url) as wire:
            database = {"url": wire.url, "pool_min": 1, "pool_max": 1}
            async with running(wire.url, database=database) as api:
                yield api, wire


class Loop:
    """The longest time that one callback of the event loop has taken, in CPU seconds."""

    longest = 0.0


@contextmanager
def measured(patch: pytest.MonkeyPatch) -> Iterator[Loop]:
    loop, run = Loop(), asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        loop.longest = max(loop.longest, time.thread_time() - began)

    with patch.context() as within:
        within.setattr(asyncio.Handle, "_run", timed)
        yield loop


@pytest.fixture(scope="module")
def bound() -> float:
    """CPU seconds, by what this machine needs for a piece of work in C."""
    costs = []
    for _ in range(3):
        began = time.thread_time()
        json.loads(BODIES["numbers"])
        costs.append(time.thread_time() - began)
    return UNITS * min(costs)


async def _judged(
    watched: tuple[Api, Wire], patch: pytest.MonkeyPatch, method: str, path: str, **options: Any
) -> tuple[float, int, int]:
    """The longest hold of the loop of a few runs, the statements of the last, and its status."""
    api, wire = watched
    longest = []
    for _ in range(3):
        with measured(patch) as loop, wire.counted() as statements:
            answer = await api.client.request(method, path, **options)
        longest.append(loop.longest)
    return min(longest), len(statements), answer.status_code


Write = tuple[str, str, str, Json]
WRITES: list[Write] = [
    ("POST", PRODUCTS, "application/json", {}),
    ("PATCH", f"{PRODUCTS}/{NOBODY}", "application/merge-patch+json", {"If-Match": "*"}),
    ("PUT", f"{PRODUCTS}/{NOBODY}", "application/json", {"If-Match": "*"}),
]


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("write", WRITES, ids=[write[0] for write in WRITES])
async def test_largest_body_of_one_item_is_bounded(
    watched: tuple[Api, Wire], monkeypatch: pytest.MonkeyPatch, bound: float, kind: str, write: Write
) -> None:
    method, path, media, headers = write
    longest, statements, status = await _judged(
        watched, monkeypatch, method, path,
        content=BODIES[kind].encode(), headers={"Content-Type": media, **headers},
    )  # fmt: skip
    assert status in {400, 404, 422}
    assert statements <= 2
    assert longest < bound


@pytest.mark.parametrize("kind", BULKS)
async def test_largest_bulk_is_bounded(
    watched: tuple[Api, Wire], monkeypatch: pytest.MonkeyPatch, bound: float, kind: str
) -> None:
    longest, statements, status = await _judged(
        watched, monkeypatch, "POST", f"{PRODUCTS}/bulk",
        content=BULKS[kind].encode(), headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert status in {200, 422}
    assert statements <= STATEMENTS
    assert longest < bound


LISTS: dict[str, Json] = {
    "ids": {"id__in": ",".join(str(uuid4()) for _ in range(100))},
    "search": {"q": "a b-" * 50},
    "sort": {"sort": "-price,name,-created_at"},
    "long text": {"name": "x" * 2000},
}


@pytest.mark.parametrize("kind", LISTS)
async def test_longest_list_request_is_bounded(
    watched: tuple[Api, Wire], monkeypatch: pytest.MonkeyPatch, bound: float, kind: str
) -> None:
    longest, statements, status = await _judged(
        watched, monkeypatch, "GET", PRODUCTS, params={**LISTS[kind], "count": "exact"}
    )
    assert status == 200
    assert statements <= 2
    assert longest < bound / 10


def test_new_shapes_of_lists_cost_little_and_few_are_kept() -> None:
    """In CPU time. To compile one by SQLAlchemy takes some milliseconds."""
    lister = Lister(products, PerformanceSettings(), CursorCodec(""))
    keys = lister.read(Query({}, {})).shape.keys
    shapes = [
        Shape(pair, keys, search=True, cursor=True)
        for pair in itertools.combinations(sorted(lister.filters), 2)
    ]
    for shape in shapes:  # compiles every part once
        lister.statement(shape)
    costs = []
    for _ in range(3):
        lister.statement.cache_clear()
        began = time.thread_time()
        for shape in shapes:
            lister.statement(shape)
        costs.append((time.thread_time() - began) / len(shapes))
    assert min(costs) < 0.0005
    assert lister.statement.cache_info().currsize <= 128
