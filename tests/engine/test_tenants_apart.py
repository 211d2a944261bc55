"""What a tenant gets does not depend on other tenants: random requests of two, and the same of each alone."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.security.api_keys.commands import create_key
from tests.engine.api import PARCELS, SCOPES, Api, Json, running

FEW = settings(
    max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MANY = settings(FEW, max_examples=300)
UUID_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What differs between two runs of the same requests: times, keys, tenants, ids of requests.
CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT[0-9:.]+Z|key:[a-z0-9]{12}|tenant-[0-9a-f-]{36}|[0-9a-f]{32}|\"next_cursor\":\"[^\"]*\""
)
TENANTS = ("one", "other")

Item = tuple[bool, int]
"""Whether it is the tenant's own item, and which of those that its owner has created."""
KINDS = (
    *(
        "create",
        "create once",
        "create below",
        "read",
        "past",
        "history",
        "patch",
        "move",
        "replace",
        "delete",
    ),
    *("restore", "send", "bulk", "list", "search", "below", "related", "export"),
)
requests = st.tuples(
    st.sampled_from(TENANTS),
    st.sampled_from(KINDS),
    st.tuples(st.booleans(), st.integers(0, 2)),
    st.integers(0, 2).map(lambda number: f"N-{number}"),
)
histories = st.lists(requests, min_size=4, max_size=16)


class World:
    """Tenants of one application, and what each of them has seen."""

    def __init__(self, clients: Mapping[str, AsyncClient]) -> None:
        self.clients = clients
        self.made: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self.seen: dict[str, list[tuple[int, str]]] = {tenant: [] for tenant in TENANTS}

    def id_of(self, tenant: str, item: Item) -> str:
        is_own, number = item
        made = self.made[tenant if is_own else TENANTS[tenant == TENANTS[0]]]
        return made[number] if number < len(made) else str(uuid4())

    async def send(self, tenant: str, kind: str, item: Item, number: str) -> None:
        response = await _send(self.clients[tenant], kind, self.id_of(tenant, item), number)
        if response.status_code == 201:
            self.made[tenant].append(response.json()["id"])
        self.seen[tenant].append((response.status_code, self._plain(tenant, response)))

    def _plain(self, tenant: str, response: Response) -> str:
        """The response with a name in place of each id: the tenant's own by number, all others alike."""
        own = {item: f"#{number}" for number, item in enumerate(self.made[tenant])}
        text = UUID_TEXT.sub(lambda found: own.get(found[0], "?"), CHANGING.sub("", response.text))
        return f"{text} {response.headers.get('etag')} {response.headers.get('idempotency-replayed')}"


async def _send(client: AsyncClient, kind: str, item: str, number: str) -> Response:
    one, match = f"{PARCELS}/{item}", {"If-Match": "*"}
    bulk = [
        {"op": "create", "item": {"number": number, "bundle_id": item}},
        {"op": "patch", "id": item, "if_match": "*", "changes": {"number": number}},
    ]
    sent: dict[str, tuple[str, str, Json | None, Json]] = {
        "create": ("POST", PARCELS, {"number": number, "note": "brass"}, {}),
        "create once": ("POST", PARCELS, {"number": number}, {"Idempotency-Key": number}),
        "create below": ("POST", PARCELS, {"number": number, "bundle_id": item}, {}),
        "read": ("GET", one, None, {}),
        "past": ("GET", f"{one}?as_of=2999-01-01T00:00:00Z", None, {}),
        "history": ("GET", f"{one}/history", None, {}),
        "patch": ("PATCH", one, {"number": number}, match),
        "move": ("PATCH", one, {"bundle_id": item}, match),
        "replace": ("PUT", one, {"number": number}, {"If-None-Match": "*"}),
        "delete": ("DELETE", one, None, match),
        "restore": ("POST", f"{one}/restore", None, {}),
        "send": ("POST", f"{one}/send", None, {}),
        "bulk": ("POST", f"{PARCELS}/bulk", {"mode": "partial", "operations": bulk}, {}),
        "list": ("GET", f"{PARCELS}?count=estimated&sort=created_at", None, {}),
        "search": ("GET", f"{PARCELS}?q=brass&count=exact", None, {}),
        "below": ("GET", f"{one}/parcels", None, {}),
        "related": ("GET", f"{PARCELS}?bundle.number={number}&expand=bundle", None, {}),
        "export": ("GET", f"{PARCELS}/export?sort=created_at", None, {}),
    }
    method, path, body, headers = sent[kind]
    more: dict[str, Any] = {} if body is None else {"json": body}
    return await client.request(method, path, headers=headers, **more)


@pytest.fixture(scope="module")
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running(database_url) as api:
        yield api


async def _client(api: Api) -> AsyncClient:
    """A client of a new tenant."""
    async with api.database.session() as session:
        claims = {"tenant": f"tenant-{uuid4()}"}
        _, key = await create_key(session, name="apart", scopes=SCOPES, claims=claims)
    transport = ASGITransport(api.app, raise_app_exceptions=False)
    return AsyncClient(transport=transport, base_url="http://t", headers={"X-API-Key": key})


async def check(api: Api, history: Sequence[tuple[str, str, Item, str]]) -> None:
    both = World({tenant: await _client(api) for tenant in TENANTS})
    for tenant, *request in history:
        await both.send(tenant, *request)  # type: ignore[arg-type]
    for tenant in TENANTS:
        alone = World({tenant: await _client(api)})
        for who, *request in history:
            if who == tenant:
                await alone.send(tenant, *request)  # type: ignore[arg-type]
        assert both.seen[tenant] == alone.seen[tenant]


@FEW
@given(history=histories)
async def test_tenant_gets_what_it_gets_alone(api: Api, history: Any) -> None:
    await check(api, history)


@pytest.mark.long
@MANY
@given(history=histories)
async def test_tenant_gets_what_it_gets_alone_at_length(api: Api, history: Any) -> None:
    await check(api, history)
