"""A change that PostgreSQL rolls back is retried a fixed number of times, however many parts handle it."""

import io
import json

import asyncpg
import pytest

from service.http.problems import Busy
from service.resources.declaration import Change, Hooks
from service.resources.imports.importer import Importer
from service.resources.lists.sorting import SortKey
from service.resources.lists.sql import Shape
from service.resources.retries import ATTEMPTS
from tests.engine.api import BASE, engine_of, problem
from tests.engine.conftest import Shop
from tests.engine.tables import gadgets, groups

GADGETS = f"{BASE}/gadgets"
ITEM = {"code": "a", "colours": ["grey"]}


class Deadlocked(Hooks):
    """Hooks that fail every transaction with a deadlock error. Each attempt begins with what the client sent."""

    def __init__(self) -> None:
        self.attempts = 0

    async def before_create(self, change: Change) -> None:
        change.values["colours"].append("red")

    async def before_commit(self, change: Change) -> None:
        assert await change.connection.fetchval("SELECT array_agg(cardinality(colours)) FROM gadget") == [2]
        self.attempts += 1
        raise asyncpg.DeadlockDetectedError


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "again"}], ids=["plain", "with a key"])
async def test_only_one_module_retries_deadlocks(shop: Shop, headers: dict[str, str]) -> None:
    hooks = Deadlocked()
    api = await shop(groups(children={"gadgets": "gadgets"}), gadgets(hooks=hooks))
    response = await api.client.post(GADGETS, json=ITEM, headers=headers)
    problem(response, 503, "busy")
    assert hooks.attempts == ATTEMPTS
    operations = [{"op": "create", "item": ITEM}]
    response = await api.client.post(f"{GADGETS}/bulk", json={"operations": operations}, headers=headers)
    problem(response, 503, "busy")
    assert hooks.attempts == 2 * ATTEMPTS
    nested = {"order": "a", "gadgets": [ITEM]}
    response = await api.client.post(f"{BASE}/groups", json=nested, headers=headers)
    problem(response, 503, "busy")
    assert hooks.attempts == 3 * ATTEMPTS
    with pytest.raises(Busy):
        await Importer(engine_of(api, gadgets(hooks=hooks))).run(io.BytesIO(json.dumps(ITEM).encode()))
    assert hooks.attempts == 4 * ATTEMPTS


class DeadlockedAtTheEnd(Deadlocked):
    """The same, with a hook at the end that alters a list of the client's, and none before."""

    before_create = Hooks.before_create

    async def before_commit(self, change: Change) -> None:
        assert await change.connection.fetchval("SELECT array_agg(cardinality(colours)) FROM gadget") == [1]
        change.values["colours"].append("red")
        self.attempts += 1
        raise asyncpg.DeadlockDetectedError


async def test_each_attempt_begins_with_what_the_client_sent(shop: Shop) -> None:
    hooks = DeadlockedAtTheEnd()
    api = await shop(groups(children={"gadgets": "gadgets"}), gadgets(hooks=hooks))
    operations = {"operations": [{"op": "create", "item": ITEM}]}
    bodies = {"gadgets": ITEM, "gadgets/bulk": operations, "groups": {"order": "a", "gadgets": [ITEM]}}
    for path, body in bodies.items():
        problem(await api.client.post(f"{BASE}/{path}", json=body), 503, "busy")
    assert hooks.attempts == len(bodies) * ATTEMPTS


async def test_statements_that_only_read_are_repeated_after_a_lost_connection(shop: Shop) -> None:
    """Others may have had their effect."""
    engine = engine_of(await shop(gadgets()), gadgets())
    lists, writer, batches = engine.lister.statements, engine.writer, engine.batches
    shape = Shape((), (SortKey("id", descending=True),), search=False, cursor=False)
    shown = (engine.read_one, engine.history.as_of, engine.history.page)
    listed = (lists.page(shape), lists.count(shape), lists.estimate(shape), lists.rows(shape))
    assert all(statement.reads for statement in (*shown, *listed))
    one = (writer.create, writer.create_once, writer.delete, writer.restore(()), writer.patch(("title",)))
    many = (batches.create, batches.create_strictly, batches.patch, batches.delete)
    assert not any(statement.reads for statement in (*one, *many))


FAILING = """
CREATE SEQUENCE attempts;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM nextval('attempts');
  RAISE EXCEPTION USING ERRCODE = TG_ARGV[0];
END $$;
CREATE TRIGGER failing BEFORE INSERT ON gadget FOR EACH ROW EXECUTE FUNCTION fail('{}')
"""


@pytest.mark.parametrize(
    ("state", "attempts"), [("40P01", ATTEMPTS), ("40001", ATTEMPTS), ("55P03", 1), ("57014", 1)]
)
async def test_statement_is_repeated_only_if_it_was_rolled_back(
    shop: Shop, state: str, attempts: int
) -> None:
    """A sequence counts on, whatever is rolled back. Waits for locks and time are not repeated."""
    api = await shop(groups(), gadgets())
    async with api.database.transaction() as connection:
        await connection.execute(FAILING.format(state))
    for number, path in enumerate(("", "/bulk"), 1):
        body = {"operations": [{"op": "create", "item": ITEM}]} if path else ITEM
        assert (await api.client.post(f"{GADGETS}{path}", json=body)).status_code in {503, 504}
        ((counted,),) = await api.database.fetch("SELECT last_value FROM attempts")
        assert counted == attempts * number
