"""Fields that only the service sets: on no path can a client set one, and nothing else changes them."""

from io import BytesIO

import orjson
import pytest

from service.main import create_app
from service.resources.declaration import Change, DeclarationError, Hooks
from service.resources.imports.importer import Importer
from tests.engine.api import BASE, Api, Json, domain_of, engine_of, settings_for
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups

ANY = {"If-Match": "*"}
READONLY = ("code", "rank", "colours", "notes")
SET_BY_SERVICE = "is set by the service"


class Numbers(Hooks):
    """Codes from titles, and a rank with each update."""

    async def before_create(self, change: Change) -> None:
        change.values.setdefault("code", f"G-{change.values['title']}")

    async def before_update(self, change: Change) -> None:
        change.values["rank"] = 7


RESOURCE = gadgets(readonly=READONLY, immutable=(), hooks=Numbers())


async def start(shop: Shop) -> Api:
    return await shop(groups(), RESOURCE)


async def test_readonly_field_in_a_request_is_named(shop: Shop) -> None:
    api = await start(shop)
    url = f"{BASE}/gadgets/{(await api.make('gadgets')).json()['id']}"
    body = dict.fromkeys(READONLY)
    operations = [
        {"op": "create", "item": body},
        {"op": "patch", "id": url[-36:], "if_match": "*", "changes": body},
    ]
    for response, places in (
        (await api.client.post(f"{BASE}/gadgets", json=body), [""]),
        (await api.client.put(url, json=body, headers=ANY), [""]),
        (await api.client.patch(url, json=body, headers=ANY), [""]),
        (
            await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": operations}),
            ["/operations/0/item", "/operations/1/changes"],
        ),
    ):
        assert response.status_code == 422, response.text
        assert response.json()["errors"] == [
            {"pointer": f"{place}/{name}", "message": SET_BY_SERVICE} for place in places for name in READONLY
        ]


def test_only_representations_have_readonly_fields() -> None:
    schemas = create_app(
        settings_for("postgresql://nobody@127.0.0.1:1/nothing"), domain_of(groups(), RESOURCE)
    ).openapi()["components"]["schemas"]
    for name in READONLY:
        having = {
            key for key in ("GadgetCreate", "GadgetPatch", "GadgetRead") if name in schemas[key]["properties"]
        }
        assert having == {"GadgetRead"}


async def test_readonly_fields_have_the_values_of_defaults_and_hooks(shop: Shop) -> None:
    api = await start(shop)
    made = (await api.make("gadgets", title="a")).json()
    assert {name: made[name] for name in READONLY} == {
        "code": "G-a", "rank": None, "colours": ["grey"], "notes": None,
    }  # fmt: skip
    replaced = await api.client.put(f"{BASE}/gadgets/{made['id']}", json={"title": "b"}, headers=ANY)
    assert {name: replaced.json()[name] for name in ("title", *READONLY)} == {
        "title": "b", "code": "G-a", "rank": 7, "colours": ["grey"], "notes": None,
    }  # fmt: skip
    operations = [{"op": "create", "item": {"title": name}} for name in ("c", "d")]
    done = await api.client.post(f"{BASE}/gadgets/bulk", json={"operations": operations})
    items = [result["item"] for result in done.json()["results"]]
    assert [(item["code"], item["colours"]) for item in items] == [("G-c", ["grey"]), ("G-d", ["grey"])]


async def test_import_keeps_readonly_fields(shop: Shop) -> None:
    api = await start(shop)
    exported: Json = {"code": "OLD-7", "rank": 3, "colours": ["red"], "title": "a"}
    lines = b"\n".join(orjson.dumps(item) for item in (exported, {"title": "b"}))
    tally = await Importer(engine_of(api, RESOURCE)).run(BytesIO(lines))
    assert str(tally) == "2 added, 0 already present, 0 invalid"
    found = (await api.client.get(f"{BASE}/gadgets", params={"sort": "created_at"})).json()["items"]
    assert {item["title"]: (item["code"], item["rank"], item["colours"]) for item in found} == {
        "a": ("OLD-7", 3, ["red"]), "b": ("G-b", None, ["grey"]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("code", "code is readonly and has no default, so no item can be created"),
        ("version", "version is set by the service anyway"),
        ("colour", "readonly names colour, but Gadget has no such field"),
    ],
)
def test_readonly_that_cannot_work_is_refused(name: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        gadgets(readonly=(name,), immutable=())
