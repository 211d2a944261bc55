"""Deliveries: suppliers announce them, the shop receives them, and a job marks those that are late."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from service.domains.catalog.jobs import jobs, mark_overdue
from service.domains.catalog.models import DeliveryLine
from tests.api.conftest import Json, MakeClient, unique
from tests.api.test_items import problem

DELIVERIES = "/api/v1/deliveries"


@pytest.fixture(scope="module")
async def supplier(client_with: MakeClient) -> AsyncClient:
    return await client_with("deliveries:read", "deliveries:write")


@pytest.fixture(scope="module")
async def shop(client_with: MakeClient) -> AsyncClient:
    return await client_with("deliveries:read", "deliveries:receive")


@pytest.fixture
async def product(client: AsyncClient, new_product: Callable[..., Json]) -> str:
    """The URL of a product with three units."""
    made = await client.post("/api/v1/products", json=new_product(stock=3))
    assert made.status_code == 201, made.text
    return str(made.headers["location"])


async def announce(supplier: AsyncClient, product: str, *units: int, expected: str = "2999-01-31") -> str:
    """Announce a delivery with a line for each number of units, and return its URL."""
    lines = [{"product_id": product.rpartition("/")[2], "units": number} for number in units]
    body = {"number": unique("DN"), "expected": expected, "lines": lines}
    made = await supplier.post(DELIVERIES, json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["status"], made.json()["units"]) == ("announced", sum(units))
    return str(made.headers["location"])


async def test_units_of_a_delivery_are_added_once(
    client: AsyncClient, supplier: AsyncClient, shop: AsyncClient, product: str
) -> None:
    delivery = await announce(supplier, product, 2, 5)
    done = await asyncio.gather(*(shop.post(f"{delivery}/receive") for _ in range(3)))
    assert sorted(response.status_code for response in done) == [200, 409, 409]
    refused = next(response for response in done if response.status_code == 409)
    detail = problem(refused, 409, "wrong_state")["detail"]
    assert detail == "status is received; it must be announced or overdue."
    assert (await client.get(product)).json()["stock"] == 10
    history = (await supplier.get(f"{delivery}/history")).json()["items"]
    assert [entry["action"] for entry in history] == ["receive", "create"]
    received = history[0]["actor"], history[0]["request_id"]
    assert received != (history[1]["actor"], history[1]["request_id"])
    changes = (await client.get(f"{product}/history")).json()["items"]
    assert [(one["actor"], one["request_id"]) for one in changes[:2]] == [received] * 2


async def test_units_of_a_deleted_line_are_not_delivered(
    app: FastAPI, client: AsyncClient, supplier: AsyncClient, shop: AsyncClient, product: str
) -> None:
    delivery = await announce(supplier, product, 2, 5)
    lines = (await supplier.get(f"{delivery}/delivery-lines")).json()["items"]
    line = next(UUID(line["id"]) for line in lines if line["units"] == 5)
    await app.state.units.run(lambda unit: unit.delete(DeliveryLine, line))
    assert (await supplier.get(delivery)).json()["units"] == 2
    assert (await shop.post(f"{delivery}/receive")).status_code == 200
    assert (await client.get(product)).json()["stock"] == 5


async def test_suppliers_see_their_own_deliveries_and_receive_none(
    client_with: MakeClient, supplier: AsyncClient, shop: AsyncClient, product: str
) -> None:
    other = await client_with("deliveries:read", "deliveries:write")
    delivery = await announce(supplier, product, 1)
    lines = f"{delivery}/delivery-lines"
    for who, seen in ((supplier, True), (shop, True), (other, False)):
        assert [(await who.get(url)).status_code for url in (delivery, lines)] == [200 if seen else 404] * 2
        listed = (await who.get(DELIVERIES, params={"id__in": delivery.rpartition("/")[2]})).json()["items"]
        assert len(listed) == seen
        own = {"delivery_id": delivery.rpartition("/")[2]}
        assert len((await who.get("/api/v1/delivery-lines", params=own)).json()["items"]) == seen
    problem(await supplier.post(f"{delivery}/receive"), 403, "forbidden")


@pytest.mark.parametrize("name", ["status", "units", "supplier"])
async def test_supplier_cannot_set_what_the_shop_writes(supplier: AsyncClient, name: str) -> None:
    body = {"number": unique("DN"), "expected": "2999-01-31", name: "received"}
    refused = problem(await supplier.post(DELIVERIES, json=body), 422, "validation_failed")
    assert [error["pointer"] for error in refused["errors"]] == [f"/{name}"]


async def test_late_deliveries_become_overdue_and_can_be_received(
    app: FastAPI, supplier: AsyncClient, shop: AsyncClient, product: str
) -> None:
    late, early, received = [
        await announce(supplier, product, 1, expected=day)
        for day in ("2026-01-31", "2999-01-31", "2026-01-31")
    ]
    assert (await shop.post(f"{received}/receive")).status_code == 200
    (job,) = jobs(app.state.database, app.state.settings, app.state.units)
    await job.work()
    found = [(await shop.get(url)).json()["status"] for url in (late, early, received)]
    assert found == ["overdue", "announced", "received"]
    assert (await shop.post(f"{late}/receive")).json()["status"] == "received"


async def test_run_of_the_job_marks_a_bounded_number_of_deliveries(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, supplier: AsyncClient, product: str
) -> None:
    (job,) = jobs(app.state.database, app.state.settings, app.state.units)
    await job.work()  # what other tests left
    late = [await announce(supplier, product, 1, expected="2026-01-31") for _ in range(3)]
    monkeypatch.setitem(mark_overdue.__globals__, "MOST_AT_ONCE", 2)
    for marked in (["overdue", "overdue", "announced"], ["overdue"] * 3):
        await job.work()
        assert [(await supplier.get(url)).json()["status"] for url in late] == marked
