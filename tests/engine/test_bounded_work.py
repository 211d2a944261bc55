"""The heaviest requests of each route take a bounded number of statements, and block the event loop briefly."""

import asyncio
import functools
import gc
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.config import PerformanceSettings
from service.resources.lists.cursor import CursorCodec
from service.resources.lists.lister import Lister
from service.resources.lists.sql import Shape
from service.resources.requests.parameters import Query
from service.resources.statements import statement
from service.resources.statements.ownership import Owners
from service.resources.statements.writing import Writer
from tests.engine.api import ARTICLES, CLAIMS, SCOPES, SHELVES, Api, running
from tests.engine.heaviest import (
    ANY,
    ARTICLE,
    BODIES,
    HEAVIEST,
    HEAVY,
    JSON,
    MERGE_PATCH,
    MOST,
    PARCEL,
    SHELF,
    TAKEN,
    Heavy,
    operations,
)
from tests.engine.wire import Wire, wire_to, without_jobs
from tests.services import Client
from tests.shop.resources import articles

RUNS = 6
VERSIONS = """
DO $$ BEGIN
  FOR number IN 1..200 LOOP
    UPDATE tests_shelf SET name = 'Heavy ' || number, version = version + 1, updated_at = clock_timestamp();
  END LOOP;
END $$
"""
UNITS = 1.7  # each is about 18 ms; the heaviest request takes 1.5


def _cases() -> Iterator[Any]:
    """Each operation with each of its heaviest requests. `make test` sends the same content once with each method, and
    at least one request to each operation; `make test-long` sends the rest."""
    sent = set()
    for operation, all_of_it in HEAVIEST.items():
        for number, heavy in enumerate(all_of_it):
            same = (
                heavy.method,
                heavy.path.endswith("/bulk"),
                heavy.kind,
                heavy.content,
                *heavy.params.values(),
            )
            marks = [pytest.mark.long] if number and same in sent else []
            sent.add(same)
            yield pytest.param(heavy, id=f"{operation}-{heavy.kind}", marks=marks)


@pytest.fixture(scope="module")
async def watched(services: Client, worker: int) -> AsyncIterator[tuple[Api, Wire]]:
    name = f"bounded_{worker}"
    with pytest.MonkeyPatch.context() as patch:
        without_jobs(patch)
        async with wire_to(services.create_database(name, migrated=True)) as wire:
            database = {"url": wire.url, "pool_min": 1, "pool_max": 1, "statement_timeout": 30}
            async with running(
                wire.url, scopes=(*SCOPES, "admin"), domains=[HEAVY], database=database
            ) as api:
                await _fill(api)
                yield api, wire
    services.drop_database(name)


async def _fill(api: Api) -> None:
    """A shelf with many versions and articles, an article of maximum size, and a parcel."""
    shelf = {"slug": "heavy", "name": "Heavy"}
    article = {"name": "Lamp", "price": "1.00", "shelf_id": SHELF}
    new = {"If-None-Match": "*"}
    tags = [f"tag-{number}" for number in range(50)]
    many = [{"op": "create", "item": {**article, "sku": f"HEAVY-{number}"}} for number in range(MOST)]
    for method, path, headers, content in (
        ("PUT", f"{SHELVES}/{SHELF}", JSON | new, json.dumps(shelf)),
        ("PUT", f"{ARTICLES}/{ARTICLE}", JSON | new, json.dumps({**article, "sku": TAKEN, "tags": tags})),
        ("PATCH", f"{ARTICLES}/{ARTICLE}", MERGE_PATCH | ANY, BODIES["deep document"]),
        ("POST", f"{ARTICLES}/bulk", JSON, operations(*many)),
    ):
        response = await api.client.request(method, path, headers=headers, content=content.encode())
        assert response.status_code in {200, 201}, response.text
    # Clients do not choose the id of an item that has an owner.
    for number, (parcel, bundle) in enumerate(((PARCEL, None), (str(uuid4()), PARCEL))):
        await api.database.fetch(
            "INSERT INTO tests_parcel (id, bundle_id, number, tenant, weight, note, status, created_by, updated_by) "
            "VALUES ($1, $2, $3, $4, 1, '', 'packed', 'tests', 'tests')",
            [UUID(parcel), bundle and UUID(bundle), f"HEAVY-{number}", CLAIMS["tenant"]],
        )
    await api.database.fetch(VERSIONS)


class Loop:
    """Measures the longest callback of the event loop, in CPU seconds."""

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


@functools.cache
def _parsing(text: str) -> float:
    """Return the CPU seconds of the standard library's C parser for a text."""
    gc.disable()
    try:
        began = time.thread_time()
        json.loads(text)
        return time.thread_time() - began
    finally:
        gc.enable()


def _in_units(seconds: float, content: str) -> float:
    """Return CPU seconds in units of what it takes to parse a megabyte of numbers, or the body where that takes longer.

    That is seldom needed, so most bodies are not parsed for it.
    """
    units = seconds / _parsing(BODIES["numbers"])
    return units if units < UNITS else min(units, seconds / _parsing(content or "0"))


def test_heaviest_requests_cover_every_route(watched: tuple[Api, Wire]) -> None:
    """Every route has its heaviest requests in `HEAVIEST`."""
    paths = watched[0].app.openapi()["paths"]
    documented = {operation["operationId"] for path in paths.values() for operation in path.values()}
    assert documented == HEAVIEST.keys()


@pytest.mark.parametrize("heavy", [*_cases()])
async def test_heaviest_request_is_bounded(
    watched: tuple[Api, Wire], monkeypatch: pytest.MonkeyPatch, heavy: Heavy
) -> None:
    api, wire = watched
    ratio, run = float("inf"), MOST
    for number in range(RUNS):  # one run without noise is enough
        if number:
            _parsing.cache_clear()  # the machine may be slower by now
        with measured(monkeypatch) as loop, wire.counted() as statements:
            await asyncio.sleep(0)  # the current step of the loop started before the measurement
            response = await api.client.request(
                heavy.method,
                heavy.path,
                params=heavy.params,
                headers=heavy.headers,
                content=heavy.content.encode(),
            )
        assert response.status_code in heavy.statuses, response.text[:500]
        run = min(run, len(statements))  # the first request may also query types
        ratio = min(ratio, _in_units(loop.longest, heavy.content))
        if ratio < UNITS and run <= heavy.statements:
            break
    assert run <= heavy.statements
    assert ratio < UNITS


def test_cache_of_list_statements_is_bounded() -> None:
    """Measured in CPU time. SQLAlchemy takes some milliseconds to compile a statement."""
    access = Owners().access(articles)
    lister = Lister(articles, access, PerformanceSettings(), CursorCodec(""))
    keys = lister.parser.parse(Query({}, {}), access.every_row).shape.keys
    shapes = [
        Shape(pair, keys, search=True, cursor=True)
        for pair in itertools.combinations(sorted(lister.filters), 2)
    ]
    for shape in shapes:  # compiles every part once
        lister.statements.page(shape)
    costs = []
    for _ in range(3):
        lister.statements.page.cache_clear()
        began = time.thread_time()
        for shape in shapes:
            lister.statements.page(shape)
        costs.append((time.thread_time() - began) / len(shapes))
    assert min(costs) < 0.0005
    assert lister.statements.page.cache_info().currsize <= 128


def test_patch_of_other_fields_compiles_no_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client can send other fields each time, of which there are more combinations than any cache holds."""
    writer = Writer(articles, Owners().access(articles))
    names = [name for name in articles.input_fields if name not in articles.immutable]
    for name in names:  # compiles every part once
        writer.patch((name,))
    monkeypatch.setattr(statement, "_compiled", None)
    shapes = [*itertools.combinations(names, 3)]
    assert len({writer.patch(shape).sql for shape in shapes}) == len(shapes)
