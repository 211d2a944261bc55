"""Large bodies, which are validated in steps, get the same errors as small ones."""

import json

from service.http.content.gc_pause import LARGE
from tests.engine.api import BASE, Api, Json, problem, unique
from tests.engine.conftest import Shop

GADGETS = f"{BASE}/gadgets"
BULK = f"{GADGETS}/bulk"
WRONG: tuple[Json, ...] = (
    {"title": [1], "rank": {}, "notes": [], "colours": {"a": 1}},
    {"colours": ["red", [1, 2]], "weight": "x"},
    {"nothing": [[]], "title": 1},
    {"price": 1.234, "rank": 2.5, "built": "2026-02-30", "code": ""},
    {"colours": ["red"] * 1001},
)
RIGHT: Json = {
    "notes": {"deep": [[1, 1.5, -0.25, {"é": None}], 10**18, True]},
    "colours": ["red", "blue"],
    "price": "1.50",
    "built": "2026-02-28",
}


async def _sent(api: Api, path: str, document: object, padding: int) -> list[tuple[str, str]]:
    """Return the errors of a refused body padded with spaces."""
    content = json.dumps(document).encode() + b" " * padding
    response = await api.client.post(path, content=content, headers={"Content-Type": "application/json"})
    return sorted((e["pointer"], e["message"]) for e in problem(response, 422, "validation_failed")["errors"])


async def test_large_bodies_are_validated_like_small_ones(shop: Shop) -> None:
    api = await shop()
    for wrong in WRONG:
        item = {"code": "X", **wrong}
        small = await _sent(api, GADGETS, item, 0)
        assert await _sent(api, GADGETS, item, LARGE) == small
        bulk = {"operations": [{"op": "create", "item": item}]}
        same = [(f"/operations/0/item{pointer}", message) for pointer, message in small]
        assert await _sent(api, BULK, bulk, 0) == same
        # Here the operation itself must be large.
        bulk["operations"][0]["item"] = {**item, "select": "x" * LARGE}
        assert set(same) <= set(await _sent(api, BULK, bulk, 0))


async def test_large_bodies_are_stored_unchanged(shop: Shop) -> None:
    api = await shop()
    large = {**RIGHT["notes"], "more": ["x"] * LARGE}
    made = await api.make("gadgets", **RIGHT, code=unique("small"))
    assert {name: made.json()[name] for name in RIGHT} == RIGHT
    made = await api.make("gadgets", **{**RIGHT, "notes": large}, code=unique("large"))
    assert {name: made.json()[name] for name in RIGHT} == {**RIGHT, "notes": large}
    operation = {"op": "create", "item": {**RIGHT, "notes": large, "code": unique("bulk")}}
    response = await api.client.post(BULK, json={"operations": [operation]})
    assert response.json()["results"][0]["item"]["notes"] == large


async def test_large_invalid_list_reports_the_first_error(shop: Shop) -> None:
    api = await shop()
    assert await _sent(api, GADGETS, {"code": "X", "colours": ["red", 1, 2]}, LARGE) == [
        ("/colours/1", "must be a string")
    ]
