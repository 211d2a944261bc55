"""Values are shown, filtered, changed, exported, imported, restored and replayed unchanged."""

import asyncio
import io
import json
from functools import cache
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from hypothesis import given, settings

from service.config import PerformanceSettings
from service.resources.engine import Engine, Services
from service.resources.imports.importer import Importer
from service.resources.lists.cursor import CursorCodec
from service.resources.requests.idempotency import IdempotencyStore
from tests.engine.api import BASE, Api, Json
from tests.examples import examples
from tests.types.table import ARRAYS, PROBES, SCALARS
from tests.types.values import differences, items

LIST = f"{BASE}/zz-probes"
ANY = {"If-Match": "*"}
FEW = settings(settings.get_profile("types"), max_examples=examples(12))


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@FEW
@given(body=items(), other=items())
async def test_item_round_trips_through_every_operation(api: Api, body: Json, other: Json) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    made = await api.client.post(LIST, json=body, headers=key)
    assert made.status_code == 201, made.text
    item = made.json()
    assert not differences(item, body)
    assert (item["given"], item["doubled"]) == (body.get("given", 7), body.get("whole") and body["whole"] * 2)
    assert (await api.client.post(LIST, json=body, headers=key)).content == made.content
    url = f"{LIST}/{item['id']}"
    assert (await api.client.get(url)).json() == item

    same = await api.client.patch(url, json={**body}, headers=ANY)
    assert same.json() == item, "a patch that changes nothing made a version"
    assert (await api.client.put(url, json={n: item[n] for n in body}, headers=ANY)).json() == item
    changed = await api.client.patch(url, json=other, headers=ANY)
    assert changed.status_code == 200, changed.text
    assert not differences(changed.json(), {n: v for n, v in other.items() if n != "doc"})
    replaced = await api.client.put(url, json=body, headers=ANY)
    assert not differences(replaced.json(), body)
    await api.client.delete(url, headers=ANY)
    restored = (await api.client.post(f"{url}/restore")).json()
    assert not differences(restored, body)

    past = await api.client.get(url, params={"as_of": item["updated_at"]})
    assert past.json() == item
    history = (await api.client.get(f"{url}/history")).json()["items"]
    created = {change["field"]: change["after"] for change in history[-1]["changes"]}
    assert created == {name: item[name] for name in created}
    assert {n for n in body if body[n] is not None} <= created.keys()


@FEW
@given(body=items(), other=items())
async def test_bulk_export_and_import_keep_every_value(api: Api, body: Json, other: Json) -> None:
    made = await api.client.post(f"{LIST}/bulk", json={"operations": [{"op": "create", "item": body}]})
    assert made.status_code == 200, made.text
    (item,) = (result["item"] for result in made.json()["results"])
    assert not differences(item, body)
    change = {"op": "patch", "id": item["id"], "if_match": "*", "changes": other}
    patched = await api.client.post(f"{LIST}/bulk", json={"operations": [change]})
    assert patched.status_code == 200, patched.text
    (item,) = (result["item"] for result in patched.json()["results"])
    assert not differences(item, {n: v for n, v in other.items() if n != "doc"})

    exported = await api.client.get(f"{LIST}/export", params={"serial": item["serial"]})
    assert exported.json() == item
    await api.database.fetch("DELETE FROM zz_probe WHERE id = $1 RETURNING id", [item["id"]])
    await api.database.fetch("DELETE FROM row_history WHERE row_id = $1 RETURNING row_id", [item["id"]])
    report = io.BytesIO()
    tally = await Importer(_engine(api), report=report).run(io.BytesIO(exported.content))
    assert (tally.added, tally.wrong) == (1, 0), report.getvalue()
    back = (await api.client.get(f"{LIST}/{item['id']}")).json()
    own = {name: value for name, value in item.items() if name not in _OTHERS}
    assert not differences(back, own)


_OTHERS = {"id", "serial", "created_at", "updated_at", "created_by", "updated_by", "version"}


@cache
def _engine(api: Api) -> Engine:
    """What imports: one for all examples, since a new one compiles all its statements."""
    services = Services(
        database=api.database,
        records=IdempotencyStore(api.database, 1),
        cursors=CursorCodec(""),
        sizes=PerformanceSettings(),
        exports=asyncio.Semaphore(1),
    )
    return Engine(PROBES, services)


@FEW
@given(body=items())
async def test_returned_values_work_as_filters(api: Api, body: Json) -> None:
    item = (await api.client.post(LIST, json=body)).json()
    for name in SCALARS:
        value = item[name]
        filters = {f"{name}__isnull": "true"} if value is None else {name: text_of(value)}
        if value is not None and name not in ("label", "flag", "ref", "colour", "shade"):
            filters |= {f"{name}__gte": text_of(value), f"{name}__lte": text_of(value)}
        if value is not None and name not in ("label", "flag"):
            filters[f"{name}__in"] = text_of(value)
        found = await api.client.get(LIST, params={**filters, "serial": item["serial"]})
        assert found.status_code == 200, (filters, found.text)
        assert found.json()["items"] == [item], filters
        if value is not None:
            other = await api.client.get(
                LIST, params={f"{name}__ne": text_of(value), "serial": item["serial"]}
            )
            assert other.json()["items"] == [], name
    for name in ARRAYS:
        for part in item[name]:
            query = urlencode({f"{name}__contains": text_of(part), "serial": item["serial"]})
            assert (await api.client.get(f"{LIST}?{query}")).json()["items"] == [item], query
