"""The code in docs/declaration.md and the pages that continue it runs, and does what they say."""

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from service.main import API
from service.resources.domain import Domain
from service.security.api_keys.commands import create_key
from tests.conftest import DatabaseFactory
from tests.engine.api import Api, problem, running
from tests.engine.tables import set_apart
from tests.shop.metadata import new_metadata

DOCS = Path(__file__).parents[2] / "docs"
PAGES = tuple(
    DOCS / f"{name}.md"
    for name in ("declaration", "actions", "fields", "relations", "handwritten", "units-of-work", "views")
)
SCOPES = ("orders:read", "orders:write")
MARGIN = "orders:margin"


@cache
def code() -> dict[str, Any]:
    """The definitions in the code blocks of the pages, with a table that no other test uses."""
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    text = "\n".join(re.findall(r"```python\n(.*?)```", pages, re.DOTALL))
    text = text.replace("table=True):", "table=True):\n    metadata = METADATA")
    found: dict[str, Any] = {"METADATA": new_metadata(), "__name__": "resources_page"}
    exec(compile(text, "<docs>", "exec"), found)
    return found


async def migrate(url: str, *upgrades: Any, apart: bool = False) -> None:
    def run(connection: Connection) -> None:
        if apart:
            set_apart(connection)
        with Operations.context(MigrationContext.configure(connection)):
            for upgrade in upgrades:
                upgrade()

    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


async def domain_works(api: Api, domain: Domain) -> None:
    """Its route reads its settings, its seed adds once, and its job works."""
    assert (await api.client.get(f"{API}/carriers")).json() == ["post", "drone"]
    assert domain.seed is not None
    for told in ("orders: added 1", "orders: nothing to add"):
        async with api.database.session() as session:
            assert await domain.seed.load(session) == told
    await api.make("orders", number="empty", total="0")
    (job,) = domain.jobs(api.database, api.app.state.settings, api.app.state.units)
    await job.work()
    left = (await api.client.get(f"{API}/orders")).json()["items"]
    assert [order["number"] for order in left] == ["SAMPLE-1"]


async def actions_work(api: Api, item: str) -> None:
    """The order is paid once, and gets cheaper until it would be given away."""
    paid = await api.client.post(f"{item}/pay")
    assert (paid.status_code, paid.json()["status"]) == (200, "paid")
    assert problem(await api.client.post(f"{item}/pay"), 409, "wrong_state")["detail"] == (
        "status is paid; it must be new."
    )
    problem(await api.client.post(f"{item}/discount", json={"percent": 10}), 428, "precondition_required")
    headers = {"If-Match": paid.headers["etag"]}
    cheaper = await api.client.post(f"{item}/discount", json={"percent": 10}, headers=headers)
    assert cheaper.json()["total"] == "11.25"
    headers = {"If-Match": cheaper.headers["etag"]}
    refused = await api.client.post(f"{item}/discount", json={"percent": 99}, headers=headers)
    assert problem(refused, 409, "too_cheap")["detail"] == "The order would cost 0.11."
    history = (await api.client.get(f"{item}/history")).json()["items"]
    assert [entry["action"] for entry in history[:2]] == ["discount", "pay"]


async def margin_is_for_some(api: Api, item: str) -> None:
    """Callers without the scope do not see the margin."""
    async with api.database.session() as session:
        _, key = await create_key(session, name="outsider", scopes=SCOPES)
    outside = await api.client.get(item, headers={"Authorization": f"Bearer {key}"})
    assert outside.status_code == 200
    assert "margin" not in outside.json()


async def relations_work(api: Api, order: str) -> None:
    """Lines show their order, and are created with one."""
    line = await api.make("order-lines", order_id=order, what="lamp")
    found = await api.client.get(f"{API}/order-lines", params={"order.number__in": ["A-1", "B-2"]})
    assert found.json()["items"] == [line.json()]
    for path in (line.headers["location"], f"{API}/order-lines", f"{API}/orders/{order}/order-lines"):
        shown = (await api.client.get(path, params={"expand": "order"})).json()
        (item,) = shown.get("items", [shown])
        assert item == {**line.json(), "order": {"id": order, "number": "A-1", "margin": "3.00"}}
    body = {"number": "l-1", "total": "20.00", "lines": [{"what": "lamp"}, {"what": "bulb"}]}
    made = await api.make("orders", **body)
    assert [line["what"] for line in made.json()["lines"]] == ["lamp", "bulb"]
    wrong = await api.client.post(f"{API}/orders", json={**body, "number": "l-2", "lines": [{}]})
    assert problem(wrong, 422, "validation_failed")["errors"][0]["pointer"] == "/lines/0/what"


async def units_of_work_work(api: Api, order: str) -> None:
    """An action adds a line to the order, and a route copies both. A view counts the lines."""
    given = await api.client.post(f"{API}/orders/{order}/add-gift")
    assert given.status_code == 200, given.text
    copy = (await api.client.post(f"{API}/orders/{order}/copy")).json()["id"]
    lines = (await api.client.get(f"{API}/orders/{copy}/order-lines", params={"sort": "created_at"})).json()
    assert [line["what"] for line in lines["items"]] == ["lamp", "gift"]
    sizes = await api.client.get(f"{API}/order-sizes", params={"lines": "2", "expand": "order"})
    found = {size["number"]: size["order"]["id"] for size in sizes.json()["items"]}
    assert found["A-1-COPY"] == copy


async def test_steps_of_the_page_create_a_resource(fresh_database: DatabaseFactory) -> None:
    page, url = code(), fresh_database()
    await migrate(url, page["upgrade"], page["upgrade_lines"], page["upgrade_views"], apart=True)
    hooks = page["OrderHooks"]()
    orders = dataclasses.replace(page["orders"], hooks=hooks, extra=page["router"])
    domain = dataclasses.replace(page["DOMAIN"], resources=[orders, page["order_lines"], page["order_sizes"]])
    carriers = {"carriers": "post,drone", "clean_seconds": 1}
    async with running(url, scopes=(*SCOPES, MARGIN), domains=[domain], orders=carriers) as api:
        await domain_works(api, domain)
        hooks.told.clear()
        made = await api.make("orders", number="a-1", total="12.50", note="in a brass box", margin="3.00")
        item = made.json()
        assert (item["number"], item["details"], item["net"]) == ("A-1", {}, "10.50")
        assert item["margin"] == "3.00"
        assert item.pop("lines") == []
        await margin_is_for_some(api, made.headers["location"])
        assert hooks.told == [f"create {item['id']}"]
        list_ = f"{API}/orders"
        problem(await api.client.post(list_, json={"number": "b", "total": 20_000}), 422, "validation_failed")
        problem(await api.client.post(list_, json={"number": "a-1", "total": 1}), 409, "duplicate")
        query = {"q": "brass", "total__gte": "10", "number": "A-1", "sort": "-total", "count": "exact"}
        found = await api.client.get(list_, params=query)
        assert (found.json()["items"], found.json()["total"]) == ([item], 1)
        headers = {"If-Match": made.headers["etag"]}
        url_ = f"{list_}/{item['id']}"
        problem(await api.client.patch(url_, json={"number": "x"}, headers=headers), 422, "validation_failed")
        assert (await api.client.patch(url_, json={"note": "x"}, headers=headers)).status_code == 200
        shipment = {"carrier": "by hand"}
        shipped = await api.client.post(f"{url_}/shipment", json=shipment)
        assert shipped.json() == {"number": "A-1", **shipment}
        twice = problem(await api.client.post(f"{url_}/shipment", json=shipment), 409, "conflict")
        assert twice["detail"] == "already shipped"
        unknown = await api.client.post(f"{url_}/shipment", json={**shipment, "weight": 1})
        problem(unknown, 422, "validation_failed")
        await actions_work(api, url_)
        await relations_work(api, item["id"])
        await units_of_work_work(api, item["id"])
        await migrate(url, page["upgrade_again"])  # while this version serves
        again = await api.make("orders", number="c", total="1")
        assert len((await api.client.get(f"{again.headers['location']}/history")).json()["items"]) == 1


def test_page_documents_every_hook_and_operation() -> None:
    text = PAGES[0].read_text("utf-8")
    for path in (
        "orders",
        "orders/{id}",
        "orders/{id}/restore",
        "orders/{id}/history",
        "orders/bulk",
        "orders/export",
    ):
        assert f"{API}/{path}`" in text
    page = code()
    for operation in (
        "list",
        "create",
        "read",
        "replace",
        "patch",
        "delete",
        "restore",
        "history",
        "bulk",
        "export",
    ):
        assert f"`{operation}`" in text
    roles = [
        f.name
        for f in dataclasses.fields(page["orders"])
        if f.name not in {"model", "path", "scopes", "singular"}
    ]
    assert [role for role in roles if f"`{role}`" not in text] == []
