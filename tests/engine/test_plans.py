"""Query plans of lists over many articles: no sequential scan, and no sort of the table.

A sort of the table is a Sort (not an Incremental Sort, which only sorts rows that are equal so far) of more than FEW
rows. SLIPWAY_TEST_PLAN_ROWS is the number of articles (default 20 000).
"""

import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from service.config import PerformanceSettings
from service.database import Database
from service.resources.lists.cursor import Cursor, CursorCodec
from service.resources.lists.lister import Lister
from service.resources.lists.parser import ListQuery
from service.resources.relations.relation import relations_of
from service.resources.statements.ownership import Owners
from service.security.principals import Principal
from tests.engine.api import Json, settings_for
from tests.engine.rows import load_articles
from tests.services import Client
from tests.shop.resources import articles, shelves

pytestmark = [pytest.mark.xdist_group("plans"), pytest.mark.timeout(600)]

ROWS = int(os.environ.get("SLIPWAY_TEST_PLAN_ROWS", "20000"))
FEW = 5000
PAGE = PerformanceSettings().page_size
FEW_PAGES = 4  # a common value needs no index of its own: its rows are close together
SLOWEST = 1.0  # seconds for any page of a list, on a busy machine

SORTS = [
    ",".join(sign + field for sign, field in zip(signs, fields, strict=True))
    for count in (1, 2, 3)
    for fields in itertools.permutations(articles.sortable, count)
    for signs in itertools.product(("", "-"), repeat=count)
]
ADMIN = Principal("plans", frozenset({"admin"}))
SEARCHES = ("brass", "rare77", "nothing", "brass rare78", '"brass lamp"', "chair or word5", "item -lamp")

ACCESS = Owners().access(articles)


def read(lister: Lister, given: Mapping[str, str]) -> ListQuery:
    """Return the query of a request with these parameters."""
    query = lister.parser.split(urlencode(given).encode())
    return lister.parser.parse(query, ACCESS.every_row, lister.expansions(query, ADMIN))


@dataclass(frozen=True)
class Library:
    """A database with articles, an article from the middle, and the lists."""

    database: Database
    lister: Lister
    codec: CursorCodec
    middle: Json

    async def faults(self, given: Mapping[str, str]) -> list[str]:
        """Return problems in the plans of a list: of the first page, and from the middle in both directions."""
        found = []
        for way in ("first", "next", "prev"):
            if not any(_faults(await self.explain(given, way), "Plan Rows")):
                continue
            # The estimate for a prefix is as good as the sample of ANALYZE: it may be a hundredth of the table.
            plan = await self.explain(given, way, ", ANALYZE")
            found += [f"{way} page of {dict(given)}: {fault}" for fault in _faults(plan, "Actual Rows")]
        return found

    async def explain(self, given: Mapping[str, str], way: str, how: str = "", **arguments: object) -> Json:
        """Return the plan of a page; `arguments` replace those of the statement, for values that no article has."""
        query = read(self.lister, given)
        if way != "first":
            values = tuple(self.middle[key.field] for key in query.shape.keys)
            cursor = self.codec.write(Cursor(values, way == "prev"), bound_to=query.bound_to)
            query = read(self.lister, {**given, "cursor": cursor})
        statement = self.lister.statements.page(query.shape)
        rows = await self.database.fetch(
            f"EXPLAIN (FORMAT JSON{how}) {statement.sql}",
            statement.arguments({**query.arguments, **arguments}),
        )
        plan: Json = json.loads(rows[0][0])[0]
        return plan


def _nodes(plan: Json) -> Iterator[Json]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _faults(plan: Json, rows: str) -> Iterator[str]:
    for node in _nodes(plan["Plan"]):
        if node["Node Type"] == "Seq Scan":
            yield f"sequential scan of {node['Relation Name']}"
        if node["Node Type"] == "Sort" and node["Plans"][0][rows] > FEW:
            yield f"sort of {node['Plans'][0][rows]} rows"


@pytest.fixture(scope="module")
async def library(services: Client, worker: int) -> AsyncIterator[Library]:
    name = f"plans_{worker}"
    # A million rows take longer to insert and to index than a statement of the service may.
    unhurried = {"statement_timeout": 600}
    database = Database(settings_for(services.create_database(name, migrated=True), database=unhurried))
    await database.start()
    try:
        await load_articles(database, ROWS, shelves=20)
        codec = CursorCodec("plans")
        relations = [*relations_of(articles, (shelves, articles))]
        lister = Lister(articles, ACCESS, PerformanceSettings(), codec, relations)
        one = read(lister, {"sku": f"ROW-{ROWS // 2:08}"})
        statement = lister.statements.page(one.shape)
        (row,) = await database.fetch(statement.sql, statement.arguments(one.arguments))
        yield Library(database, lister, codec, json.loads(row["items"]))
    finally:
        await database.stop()
        services.drop_database(name)


def _filters(library: Library) -> Iterator[dict[str, str]]:
    """Yield each filter with values that many, some and no articles have."""
    middle = library.middle
    times = ["2026-01-01T00:00:05Z", middle["created_at"], "2030-01-01T00:00:00Z"]
    values: dict[str, list[str]] = {
        "id": [middle["id"], "00000000-0000-7000-8000-000000000000"],
        "sku": [middle["sku"], "NONE"],
        "name": [middle["name"], "None"],
        "price": ["0.50", middle["price"], "99999"],
        "stock": ["0", str(middle["stock"]), "123456"],
        "status": ["active", "discontinued", "draft"],
        "tags": ["common", middle["tags"][0], "none"],
        "shelf_id": [middle["shelf_id"], "00000000-0000-7000-8000-000000000000"],
        "created_at": times,
        "updated_at": times,
    }
    for filter_ in library.lister.filters.values():
        if filter_.relation is not None:
            continue
        for value in values[filter_.column.name]:
            yield {filter_.name: value[:-2] if filter_.operator == "startswith" else value}


async def test_every_sort_uses_an_index(library: Library) -> None:
    assert [fault for sort in SORTS for fault in await library.faults({"sort": sort})] == []


async def test_every_filter_uses_an_index(library: Library) -> None:
    faults = []
    for given in _filters(library):
        for sort in ("-created_at", "price", "name,-price"):
            faults += await library.faults({**given, "sort": sort})
    assert faults == []


async def test_filtered_list_reads_one_page_for_common_rare_and_absent_values(library: Library) -> None:
    """At a million rows as at a thousand: the first page, and from the middle in both directions."""
    wide = []
    for status, field, sign, way in itertools.product(
        ("active", "discontinued", "absent"), articles.sortable, ("", "-"), ("first", "next", "prev")
    ):
        given = {"status": "active", "sort": f"{sign}{field}"}
        plan = await library.explain(given, way, ", ANALYZE, TIMING OFF", f_status=status)
        read = max(_read(node) for node in _nodes(plan["Plan"]))
        if read > FEW_PAGES * PAGE:
            wide.append((status, field, sign, way, read))
    assert wide == []


async def test_search_uses_an_index_for_frequent_and_rare_words(library: Library) -> None:
    faults = []
    for words in SEARCHES:
        for sort in ("-created_at", "price", "name,-price"):
            faults += await library.faults({"q": words, "sort": sort})
    assert faults == []


async def test_list_under_a_shelf_uses_its_index(library: Library) -> None:
    shelf = library.middle["shelf_id"]
    plan = await library.explain({"shelf_id": shelf}, "next")
    assert "ix_tests_article_shelf_id_created_at" in json.dumps(plan)
    given = {"shelf_id": shelf, "status": "active", "price__lt": "500"}
    assert [f for sort in SORTS[:6] for f in await library.faults({**given, "sort": sort})] == []


async def test_filter_over_a_relation_needs_no_scan(library: Library) -> None:
    """A shelf has a twentieth of the articles. Without a shelf that matches, no article is read."""
    for (slug, most), way in itertools.product((("c7", FEW), ("absent", 0)), ("first", "next", "prev")):
        arguments = {"f_shelf.slug": slug}
        plan = await library.explain({"shelf.slug": "c7"}, way, ", ANALYZE, TIMING OFF", **arguments)
        articles_read = [_read(n) for n in _nodes(plan["Plan"]) if n.get("Relation Name") == "tests_article"]
        assert max(articles_read) <= most, (slug, way)
    for given in ({"shelf.name__startswith": "Shelf 1"}, {"shelf.name": "Shelf 7"}, {"shelf.name": "absent"}):
        faults = await library.faults({**given, "sort": "-created_at"})
        assert [fault for fault in faults if "tests_shelf" not in fault] == []  # it is small


async def test_expanded_page_is_a_page_and_a_look_up_for_each_item(library: Library) -> None:
    for way in ("first", "next", "prev"):
        plain, expanded = [
            (await library.explain({"sort": "price", **more}, way))["Plan"]
            for more in ({}, {"expand": "shelf"})
        ]
        *_, look_up = nodes = [*_nodes(expanded)]
        assert [node["Node Type"] for node in nodes[:-1]] == [node["Node Type"] for node in _nodes(plain)]
        assert (look_up["Parent Relationship"], look_up["Relation Name"]) == ("SubPlan", "tests_shelf")


async def test_deep_pages_are_as_fast_as_the_first(library: Library) -> None:
    slow = []
    lists: list[dict[str, str]] = [{"sort": sort} for sort in SORTS[:6]]
    lists += [{"sort": "price", "price__lte": "99999"}, {"sort": "-price", "price__gte": "0"}]
    lists += [{"q": words, "sort": "price"} for words in SEARCHES]
    for given, way in itertools.product(lists, ("first", "next", "prev")):
        plan = await library.explain(given, way, ", ANALYZE, TIMING OFF")
        read = max(_read(node) for node in _nodes(plan["Plan"]))
        if plan["Execution Time"] > SLOWEST * 1000 or read > FEW:
            slow.append((given, way, plan["Execution Time"], read))
    assert slow == []


def _read(node: Json) -> float:
    """Return the number of rows that a node has read."""
    removed: Any = node.get("Rows Removed by Filter", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])
