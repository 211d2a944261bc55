"""The order service that docs/resources.md builds does what the page says, in a started process."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from httpx2 import Response

from tests.engine.api import problem
from tests.guide import page
from tests.guide.conftest import Checkout, OrderService
from tests.migrations.roles import Roles, execute
from tests.process.conftest import new_key
from tests.process.served import eventually

Json = dict[str, Any]
Headers = dict[str, str]

STAFF = (
    "customers:read", "customers:write", "products:read", "products:write", "products:cost",
    "orders:read", "orders:write", "orders:all", "orders:pay", "orders:ship",
)  # fmt: skip
HISTORY = "SELECT table_name, action, actor FROM row_history WHERE request_id = $1 ORDER BY at, table_name"
AGE = "UPDATE \"order\" SET created_at = created_at - interval '31 minutes' WHERE id = ANY($1::uuid[])"


@dataclass
class Shop:
    """The service with a product, of which there are few, and two customers."""

    service: OrderService
    staff: Headers
    customers: list[Json]
    keys: list[Headers]
    outsider: Headers

    def call(self, method: str, path: str, who: Headers, **more: Any) -> Response:
        return self.service.api.request(method, f"/api/v1/{path}", headers=who, **more)

    def get(self, path: str, who: Headers) -> Json:
        response = self.call("GET", path, who)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body

    def make(self, path: str, **item: Any) -> Json:
        response = self.call("POST", path, self.staff, json=item)
        assert response.status_code == 201, response.text
        body: Json = response.json()
        return body

    def order(self, product: Json, quantity: int = 1, who: int = 0) -> Response:
        lines = [{"product_id": product["id"], "quantity": quantity}]
        return self.call("POST", "orders", self.keys[who], json={"lines": lines})

    def stock(self, product: Json) -> int:
        return int(self.get(f"products/{product['id']}", self.staff)["stock"])


async def opened(service: OrderService) -> Shop:
    async def key(*scopes: str, **claims: str) -> Headers:
        return {"Authorization": f"Bearer {await new_key(service.checkout.url, *scopes, claims=claims)}"}

    shop = Shop(service, await key(*STAFF), [], [], await key("products:read", "products:write"))
    for name in ("Ada", "Bob"):
        shop.customers.append(shop.make("customers", name=name, email=f"{name}@example.com"))
    ada, bob = (customer["id"] for customer in shop.customers)
    documented = (word.replace("0197…", ada) for word in page.command("keys create"))
    shop.keys += (
        {"Authorization": f"Bearer {service.checkout.command(*documented).strip()}"},
        await key("orders:read", "orders:write", "products:read", customer=bob),
    )
    return shop


def name_of(who: Headers) -> str:
    """Return the principal of a key."""
    return f"key:{who['Authorization'].removeprefix('Bearer ').split('_')[1]}"


async def test_order_service_of_the_guide(service: OrderService, roles: Roles, tmp_path: Path) -> None:
    shop = await opened(service)
    connection = await asyncpg.connect(service.checkout.url)
    try:
        await placing(shop, connection)
        await paying_and_shipping(shop, connection)
        await cancelling(shop, connection)
        await own_routes(shop, connection)
    finally:
        await connection.close()
    customers_see_only_their_own(shop)
    managers_see_costs(shop)
    every_operation_needs_its_scope(shop)
    assert service.lines(level="error") == service.lines(event="lists get slower as the table grows") == []
    assert service.stop() == 0
    second = OrderService(changed(service.checkout, tmp_path / "second", roles), **secured(roles))
    try:
        second.ready()
        await with_row_security(replace(shop, service=second), roles)
        assert second.stop() == 0
    finally:
        second.close()


def changed(before: Checkout, folder: Path, roles: Roles) -> Checkout:
    """Build the next version: orders have another field, and PostgreSQL keeps customers apart."""
    shutil.copytree(before.folder / "service", folder / "service")
    after = Checkout(folder, before.url)
    page.add_field_later(after.domain / "models.py")
    documented = page.command('migration orders "Orders may')
    files = after.command(*documented, database__row_security="prepare").splitlines()
    assert [Path(file).name for file in files] == [
        "orders_0002_orders_may_be_gifts.py",
        "orders_0003_orders_may_be_gifts_order_line.py",
    ]
    after.command("migrate", database__app_role=roles.app)
    return after


async def with_row_security(shop: Shop, roles: Roles) -> None:
    """Hooks, actions, the job and a hand-written route work as before, on the rows that they should see."""
    ada, bob = shop.keys
    assert {order["gift"] for order in shop.get("orders", ada)["items"]} == {False}
    mug = shop.make("products", sku="mug", price="3.00", stock=3)
    own, late = (shop.order(mug, who=1).json() for _ in range(2))
    assert (own["total"], shop.stock(mug)) == ("3.00", 1)
    problem(shop.call("POST", f"orders/{own['id']}/cancel", ada), 404, "not_found")
    assert shop.call("POST", f"orders/{own['id']}/cancel", bob).json()["status"] == "cancelled"
    assert [shop.get("spending", who)["total"] for who in shop.keys] == ["9.00", "0"]
    await execute(roles.admin_url, AGE.replace("$1::uuid[]", f"ARRAY['{late['id']}'::uuid]"))
    run = partial(shop.service.checkout.run, **secured(roles))
    assert eventually(lambda: run("jobs", "run", "cancel-unpaid-orders").returncode == 0)
    assert (shop.get(f"orders/{late['id']}", bob)["status"], shop.stock(mug)) == ("cancelled", 3)
    connection = await asyncpg.connect(roles.app_url)
    try:
        assert await connection.fetchval('SELECT count(*) FROM "order"') == 0
    finally:
        await connection.close()


def secured(roles: Roles) -> dict[str, object]:
    """The settings of a service that logs in as its own role, with row-level security."""
    return {"database__url": roles.app_url, "database__row_security": "require"}


async def placing(shop: Shop, connection: asyncpg.Connection) -> None:
    """Six orders for three pieces at once: three get one, and each takes it from the stock in its own name."""
    lamp = shop.make("products", sku="lamp", price="12.50", cost="4.00", stock=3)
    with ThreadPoolExecutor(6) as threads:
        placed = [*threads.map(lambda _: shop.order(lamp), range(6))]
    assert sorted(response.status_code for response in placed) == [201] * 3 + [409] * 3
    assert shop.stock(lamp) == 0
    for response in placed:
        rows = await connection.fetch(HISTORY, response.headers["x-request-id"])
        if response.status_code == 409:
            told = problem(response, 409, "out_of_stock")
            assert told["errors"] == [
                {"message": "There are 0 pieces of lamp in stock.", "pointer": "/lines/0"}
            ]
            assert rows == []
        else:
            order = response.json()
            assert (order["total"], order["lines"][0]["price"]) == ("12.50", "12.50")
            assert order["customer_id"] == shop.customers[0]["id"]
            assert {row["table_name"] for row in rows} == {"order", "order_line", "product"}
            assert {row["actor"] for row in rows} == {name_of(shop.keys[0])}


async def paying_and_shipping(shop: Shop, connection: asyncpg.Connection) -> None:
    bulb = shop.make("products", sku="bulb", price="2.00", stock=10)
    order = f"orders/{shop.order(bulb, 2).json()['id']}"
    post = {"carrier": "post"}
    early = problem(shop.call("POST", f"{order}/ship", shop.staff, json=post), 409, "wrong_state")
    assert early["detail"] == "status is new; it must be paid."
    paid = shop.call("POST", f"{order}/pay", shop.staff)
    assert (paid.status_code, paid.json()["status"]) == (200, "paid")
    shipped = shop.call("POST", f"{order}/ship", shop.staff, json=post)
    assert {"status": "shipped", "carrier": "post", "total": "4.00"}.items() <= shipped.json().items()
    late = problem(shop.call("POST", f"{order}/cancel", shop.keys[0]), 409, "wrong_state")
    assert late["detail"] == "status is shipped; it must be new."
    history = shop.get(f"{order}/history", shop.keys[0])["items"]
    assert [entry["action"] for entry in history] == ["ship", "pay", "update", "create"]
    (row,) = await connection.fetch(HISTORY, shipped.headers["x-request-id"])
    assert row["actor"] == name_of(shop.staff)


async def cancelling(shop: Shop, connection: asyncpg.Connection) -> None:
    """By its customer, and by the job after half an hour. The pieces go back into stock."""
    vase = shop.make("products", sku="vase", price="5.00", stock=10)
    late, fresh, paid, own = (shop.order(vase).json()["id"] for _ in range(4))
    assert shop.call("POST", f"orders/{own}/cancel", shop.keys[0]).json()["status"] == "cancelled"
    assert shop.call("POST", f"orders/{paid}/pay", shop.staff).status_code == 200
    assert shop.stock(vase) == 7
    await connection.execute(AGE, [late, paid])
    # The service runs the job, too, and one of the two waits for its next turn.
    assert eventually(
        lambda: shop.service.checkout.run("jobs", "run", "cancel-unpaid-orders").returncode == 0
    )
    found = [shop.get(f"orders/{order}", shop.staff)["status"] for order in (late, fresh, paid)]
    assert found == ["cancelled", "new", "paid"]
    assert shop.stock(vase) == 8
    for path in (f"orders/{late}", f"products/{vase['id']}"):
        assert shop.get(f"{path}/history", shop.staff)["items"][0]["actor"] == "job:cancel-unpaid-orders"


async def own_routes(shop: Shop, connection: asyncpg.Connection) -> None:
    assert [shop.get("spending", who)["total"] for who in (*shop.keys, shop.staff)] == ["9.00", "0", "9.00"]
    changed = shop.call("POST", "price-changes", shop.staff, json={"percent": 10})
    assert changed.status_code == 204
    rows = await connection.fetch(HISTORY, changed.headers["x-request-id"])
    assert {tuple(row) for row in rows} == {("product", "update", name_of(shop.staff))}
    assert len(rows) == len(shop.get("products", shop.staff)["items"])


def customers_see_only_their_own(shop: Shop) -> None:
    ada, bob = shop.keys
    first = shop.get("orders", ada)["items"][0]
    assert shop.get("orders", bob)["items"] == []
    for path in ("", "/history", "/order-lines"):
        assert shop.call("GET", f"orders/{first['id']}{path}", ada).status_code == 200
        problem(shop.call("GET", f"orders/{first['id']}{path}", bob), 404, "not_found")
    problem(shop.call("POST", f"orders/{first['id']}/cancel", bob), 404, "not_found")
    query = "orders?expand=customer&customer.name=Ada&limit=1"
    (shown,) = shop.get(query, shop.staff)["items"]
    assert shown == {**first, "customer": {"id": shop.customers[0]["id"], "name": "Ada"}}
    problem(shop.call("GET", query, ada), 403, "forbidden")


def managers_see_costs(shop: Shop) -> None:
    assert shop.get("products?sku=lamp", shop.staff)["items"][0]["cost"] == "4.00"
    assert "cost" not in shop.get("products?sku=lamp", shop.keys[0])["items"][0]
    body = {"sku": "x", "price": "1", "cost": "1"}
    problem(shop.call("POST", "products", shop.outsider, json=body), 422, "validation_failed")


def every_operation_needs_its_scope(shop: Shop) -> None:
    """Of what the page adds to the generated operations. A line cannot be changed alone."""
    order = shop.get("orders?status=new", shop.staff)["items"][0]
    for path, scope in (
        ("orders", "orders:write"),
        (f"orders/{order['id']}/pay", "orders:pay"),
        (f"orders/{order['id']}/ship", "orders:ship"),
        (f"orders/{order['id']}/cancel", "orders:write"),
    ):
        problem(shop.call("POST", path, {}), 401, "unauthenticated")
        refused = problem(shop.call("POST", path, shop.outsider), 403, "forbidden")
        assert scope in refused["detail"]
    problem(shop.call("POST", "price-changes", shop.keys[0]), 403, "forbidden")
    assert shop.call("POST", "order-lines", shop.staff, json={}).status_code == 405
