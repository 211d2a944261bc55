"""Changes that hooks make to `change.values`: removed fields, converted values, and errors in the log."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from service.resources.declaration import Change, Hooks
from tests.engine.api import BASE, Api, Json, problem
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups

ANY = {"If-Match": "*"}
GADGETS = f"{BASE}/gadgets"


class Meddler(Hooks):
    """Hooks that change the values as a test wants."""

    def __init__(self) -> None:
        self.meddle: Callable[[Json], Any] = lambda _: None

    async def before_create(self, change: Change) -> None:
        self.meddle(change.values)

    async def before_update(self, change: Change) -> None:
        self.meddle(change.values)

    async def before_delete(self, change: Change) -> None:
        self.meddle(change.values)


@pytest.fixture
def hooks() -> Meddler:
    return Meddler()


@pytest.fixture
async def api(shop: Shop, hooks: Meddler) -> Api:
    return await shop(groups(), gadgets(hooks=hooks))


async def write(api: Api, kind: str, item: Json) -> tuple[int, Json]:
    """Make a change of this kind, alone and in bulk, and return status and item."""
    url = f"{GADGETS}/{item['id']}"
    changes = {"title": "new", "rank": 7}
    whole = {"code": item["code"], **changes}
    code = str(uuid4())
    if kind == "bulk":
        operations = [
            {"op": "create", "item": {**whole, "code": code}},
            {"op": "patch", "id": item["id"], "if_match": "*", "changes": changes},
        ]
        response = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations})
        if response.status_code == 200:
            return 200, response.json()["results"][0]["item"]
    elif kind == "create":
        response = await api.client.post(GADGETS, json={**whole, "code": code})
    elif kind == "put":
        response = await api.client.put(url, json=whole, headers=ANY)
    elif kind == "delete":
        response = await api.client.delete(url, headers=ANY)
    else:
        response = await api.client.patch(url, json=changes, headers=ANY)
    return response.status_code, response.json() if response.content else {}


async def test_field_that_a_hook_removes_is_not_set(api: Api, hooks: Meddler) -> None:
    item = (await api.make("gadgets", code="a", title="old", rank=1)).json()
    hooks.meddle = lambda values: values.pop("title", None)
    for kind, title in (("create", ""), ("bulk", ""), ("patch", "old"), ("put", "old")):
        status, found = await write(api, kind, item)
        assert (status in {200, 201}, found["title"], found["rank"]) == (True, title, 7), (kind, found)
    hooks.meddle = lambda values: values.clear()
    status, found = await write(api, "patch", item)
    assert (status, found["rank"], found["title"]) == (200, 7, "old")


async def test_values_are_converted_to_their_fields_types(api: Api, hooks: Meddler) -> None:
    item = (await api.make("gadgets", code="a")).json()
    hooks.meddle = lambda values: values.update(
        built="2026-01-31", price=Decimal("1.50"), notes={"a": [1]}, colours=["red"], rank=7.0
    )  # the client has sent 7, which is equal
    for kind in ("create", "bulk", "patch", "put"):
        _, found = await write(api, kind, item)
        assert {n: found[n] for n in ("built", "price", "notes", "colours")} == {
            "built": "2026-01-31", "price": "1.50", "notes": {"a": [1]}, "colours": ["red"],
        }, (kind, found)  # fmt: skip


async def test_restore_applies_values_set_by_its_hook(api: Api, hooks: Meddler) -> None:
    item = (await api.make("gadgets", code="a")).json()
    await api.client.delete(f"{GADGETS}/{item['id']}", headers=ANY)
    hooks.meddle = lambda values: values.update(title="is back")
    restored = await api.client.post(f"{GADGETS}/{item['id']}/restore")
    assert (restored.status_code, restored.json()["title"], restored.json()["version"]) == (200, "is back", 3)


DEFECTS: list[tuple[Callable[[Json], Any], tuple[str, ...], str]] = [
        (lambda v: v.update(colour="red"), ("create", "patch", "put", "bulk", "delete"), "colour, which is not"),
        (lambda v: v.update(created_by="eve"), ("create", "patch", "bulk"), "sets created_by, which is not writable"),
        (lambda v: v.update(rank=object()), ("create", "patch", "put", "bulk"), "rank: Input should be a valid"),
        (lambda v: v["colours"].append(5), ("create", "put", "bulk"), "colours.1: Input should be a valid string"),
        (lambda v: v.update(title=None), ("create", "patch", "bulk"), "title: Input should be a valid string"),
        (lambda v: v.pop("code", None), ("create", "bulk"), "removes code, which has no default"),
        (lambda v: v.update(title="x"), ("delete",), "sets title: a deletion sets no field"),
]  # fmt: skip


async def test_hook_bug_is_reported_only_in_the_log(api: Api, hooks: Meddler) -> None:
    item = (await api.make("gadgets", code="a")).json()
    for meddle, kind, told in ((meddle, kind, told) for meddle, kinds, told in DEFECTS for kind in kinds):
        hooks.meddle = meddle
        with capture_logs(processors=[format_exc_info]) as logs:
            status, body = await write(api, kind, item)
        assert (status, body["code"], body.get("errors")) == (500, "internal_error", None), kind
        (line,) = [line for line in logs if line["log_level"] == "error"]
        reason = line["exception"].splitlines()[-1]
        assert "HookError: Meddler.before_" in reason
        assert told in reason
    hooks.meddle = lambda _: None
    assert (await api.client.get(GADGETS)).json()["items"] == [item]


async def test_invalid_value_from_a_hook_names_the_field(api: Api, hooks: Meddler) -> None:
    item = (await api.make("gadgets", code="a")).json()
    hooks.meddle = lambda values: values.update(title="x" * 101)
    for kind, pointer in (("create", "/title"), ("patch", "/title"), ("bulk", "/operations/0/item/title")):
        status, body = await write(api, kind, item)
        assert (status, body["errors"][0]["pointer"]) == (422, pointer)
    assert problem(await api.client.post(GADGETS, json={"code": "b"}), 422, "validation_failed")


async def test_values_that_a_hook_replaces_by_a_list_are_named_in_the_log(shop: Shop) -> None:
    class Careless(Hooks):
        async def before_create(self, change: Change) -> None:
            change.values = [*change.values.items()]  # type: ignore[assignment]

    api = await shop(groups(), gadgets(hooks=Careless()))
    with capture_logs(processors=[format_exc_info]) as logs:
        problem(await api.client.post(GADGETS, json={"code": "a"}), 500, "internal_error")
    (line,) = [line for line in logs if line["log_level"] == "error"]
    told = "HookError: Careless.before_create must leave change.values a dictionary, not list"
    assert line["exception"].endswith(told)
