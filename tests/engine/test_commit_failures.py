"""A commit that fails: the request fails, nothing of it is kept, nobody is told of it, and it can be sent again.

A deferred trigger refuses at the commit itself, after every statement has succeeded.
"""

import json
from typing import Annotated, NamedTuple
from uuid import UUID

import pytest
from fastapi import APIRouter
from httpx2 import Response

from service.http.handwritten import SessionDep
from service.resources.declaration import Change, Hooks
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import BASE, Api, Json, problem
from tests.engine.conftest import Shop
from tests.engine.tables import Gadget, gadgets, groups

GADGETS = f"{BASE}/gadgets"
ANY = {"If-Match": "*"}
REFUSAL = """
CREATE TABLE refusal (state text);
CREATE SEQUENCE commits;  -- it counts those that fail too
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE how text := (SELECT state FROM refusal);
BEGIN
  IF how = 'lost' THEN PERFORM pg_terminate_backend(pg_backend_pid());
  ELSIF how = 'once' THEN
    IF nextval('commits') = 1 THEN RAISE EXCEPTION 'at the commit' USING ERRCODE = 'serialization_failure'; END IF;
  ELSIF how IS NOT NULL THEN RAISE EXCEPTION 'at the commit' USING ERRCODE = how;
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON gadget DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION refuse();
"""
KEPT = """
SELECT (SELECT jsonb_agg(g ORDER BY id) FROM gadget g)::text, (SELECT count(*) FROM row_history),
  (SELECT count(*) FROM idempotency_record WHERE status >= 200)
"""
CHANGES: dict[str, tuple[str, str, Json | None, dict[str, str]]] = {
    "create": ("POST", "", {"code": "made-HOW"}, {}),
    "create with a key": ("POST", "", {"code": "keyed-HOW"}, {"Idempotency-Key": "key-HOW"}),
    "patch": ("PATCH", "/ID", {"rank": 1}, ANY),
    "put": ("PUT", "/ID", {"code": "first"}, ANY),
    "bulk": (
        "POST",
        "/bulk",
        {"operations": [{"op": "create", "item": {"code": f"{n}-HOW"}} for n in range(3)]},
        {},
    ),
    "by hand": ("POST", "/ID/touch", None, {}),
    "delete": ("DELETE", "/ID", None, ANY),
    "restore": ("POST", "/ID/restore", None, {}),
}
router = APIRouter()


@router.post("/{id}/touch")
async def touch(id: UUID, session: SessionDep, _: Annotated[Principal, require_scope("shop:write")]) -> str:  # noqa: A002
    """Change an item by the ORM, in the transaction of the request."""
    gadget = await session.get(Gadget, id)
    assert gadget is not None
    gadget.title = "touched"
    return "done"


class Heard(Hooks):
    """Hooks that count the items whose change they are told of after the commit."""

    count = 0

    async def after_commit(self, change: Change) -> None:
        self.count += bool(change.id)


class HeardInTransaction(Heard):
    """The same, with a hook for which a transaction is begun and committed."""

    async def before_commit(self, change: Change) -> None:
        assert await change.connection.fetchval("SELECT 1") == 1


class Scene(NamedTuple):
    """An item, and a database that refuses commits when told to."""

    api: Api
    hooks: Heard
    item_id: str

    async def refuse(self, how: str | None) -> None:
        await self.api.database.fetch("DELETE FROM refusal")
        await self.api.database.fetch("SELECT setval('commits', 1, false)")
        await self.api.database.fetch("INSERT INTO refusal VALUES ($1)", [how])

    async def send(self, name: str, how: str) -> Response:
        method, path, body, headers = CHANGES[name]
        content = json.dumps(body).replace("HOW", how) if body else None
        return await self.api.client.request(
            method,
            GADGETS + path.replace("ID", self.item_id),
            content=content,
            headers={
                "content-type": "application/json",
                **{field: value.replace("HOW", how) for field, value in headers.items()},
            },
        )

    async def kept(self) -> tuple[object, ...]:
        return tuple((await self.api.database.fetch(KEPT))[0])


@pytest.fixture(params=[Heard, HeardInTransaction], ids=["one statement", "a transaction"])
async def scene(shop: Shop, request: pytest.FixtureRequest) -> Scene:
    hooks: Heard = request.param()
    api = await shop(groups(), gadgets(hooks=hooks, extra=router))
    async with api.database.dedicated() as connection:
        await connection.execute(REFUSAL)
    return Scene(api, hooks, (await api.make("gadgets", code="first")).json()["id"])


async def test_change_whose_commit_fails_is_not_made(scene: Scene) -> None:
    for how, status, code in (("restrict_violation", 409, "conflict"), ("lost", 503, "unavailable")):
        for name in CHANGES:
            before, heard = await scene.kept(), scene.hooks.count
            await scene.refuse(how)
            problem(await scene.send(name, how), status, code)
            assert (await scene.kept(), scene.hooks.count) == (before, heard), name
            await scene.refuse(None)
            assert (await scene.send(name, how)).status_code in {200, 201, 204}, name
            assert await scene.kept() != before
    for name in [name for name in CHANGES if name != "by hand"]:  # it is not known what a route does by hand
        await scene.refuse("once")
        response = await scene.send(name, "once")
        assert response.status_code in {200, 201, 204}, (name, response.text)
