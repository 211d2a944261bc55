"""JSON merge patches (RFC 7396) match the RFC's pseudocode, and versions count actual changes."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.specimens import Json
from tests.engine.api import BASE, Api
from tests.examples import examples

LIST = f"{BASE}/specimens"
NAMES = st.sampled_from(["a", "b", "c", "", "é", "a/b", "~", "null", "__proto__", "a.b", "🔑"])
NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)),
    max_size=4,
)  # fmt: skip
FIELDS = {
    "label": TEXTS,
    "rank": st.none() | st.integers(-(2**31), 2**31 - 1),
    "score": st.none() | st.sampled_from(["0.00", "1.50", "-999999.99"]),
    "flag": st.booleans(),
    "colour": st.sampled_from(["blue", "red"]),
    "tags": st.lists(TEXTS, max_size=3),
    "data": DOCUMENTS,
}
PATCHES = st.fixed_dictionaries({}, optional=FIELDS)


def merged(target: Any, patch: Any) -> Any:
    """Apply a merge patch as in the pseudocode of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def patched(item: Json, patch: Json) -> Json:
    """Columns always exist, so null is a value; only documents lose members."""
    return {
        name: merged(old, patch.get(name, {})) if name == "data" else patch.get(name, old)
        for name, old in item.items()
    }


def canonical(value: Any) -> str:
    """Return a value that is equal for equal JSON: 1.0 is 1, true is not."""
    if isinstance(value, float) and value.is_integer():
        value = int(json.loads(f"{value:.0f}"))
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{canonical(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


@given(start=st.fixed_dictionaries(FIELDS), patches=st.lists(PATCHES, min_size=1, max_size=4))
@settings(max_examples=examples(20))
async def test_patched_item_matches_the_model(specimen_api: Api, start: Json, patches: list[Json]) -> None:
    client = specimen_api.client
    created = await client.post(LIST, json=start)
    assert created.status_code == 201, created.text
    url, tag, model, version = created.headers["location"], created.headers["etag"], start, 1
    for patch in patches:
        before, model = model, patched(model, patch)
        version += canonical(model) != canonical(before)
        response = await client.patch(url, json=patch, headers={"If-Match": tag})
        assert response.status_code == 200, response.text
        read = await client.get(url)
        assert read.content == response.content
        item, tag = read.json(), read.headers["etag"]
        assert canonical({name: item[name] for name in model}) == canonical(model)
        assert item["version"] == version
    changes = (await client.get(f"{url}/history")).json()["items"]
    assert [change["version"] for change in changes] == list(range(version, 0, -1))


@given(start=st.fixed_dictionaries(FIELDS), patch=PATCHES)
@settings(max_examples=examples(20))
async def test_bulk_patch_matches_the_model(specimen_api: Api, start: Json, patch: Json) -> None:
    made = (await specimen_api.make("specimens", **start)).json()
    operation = {"op": "patch", "id": made["id"], "if_match": "*", "changes": patch}
    response = await specimen_api.client.post(f"{LIST}/bulk", json={"operations": [operation]})
    item = response.json()["results"][0]["item"]
    model = patched(start, patch)
    assert canonical({name: item[name] for name in model}) == canonical(model)
    assert item["version"] == 1 + (canonical(model) != canonical(start))


@given(start=st.fixed_dictionaries(FIELDS))
@settings(max_examples=examples(20))
async def test_item_can_be_sent_back_as_read(specimen_api: Api, start: Json) -> None:
    """Replacing an item with its own fields changes nothing, for any numbers."""
    made = await specimen_api.make("specimens", **start)
    body = {name: made.json()[name] for name in start}
    response = await specimen_api.client.put(
        made.headers["location"], json=body, headers={"If-Match": made.headers["etag"]}
    )
    assert (response.status_code, response.content) == (200, made.content)


@pytest.mark.parametrize(
    "number", ["1e300", "-1e22", "-5e-324", "1.7976931348623157e308", "9223372036854775807", "1e19"]
)
async def test_numbers_in_documents_round_trip(specimen_api: Api, number: str) -> None:
    headers = {"content-type": "application/json"}
    body = f'{{"label": "n", "data": {{"n": {number}}}}}'
    made = await specimen_api.client.post(LIST, content=body, headers=headers)
    assert float(made.json()["data"]["n"]) == float(number)
    raw = made.text[made.text.index('"data":') : made.text.index(',"created_at"')]
    again = await specimen_api.client.put(
        made.headers["location"], content=f'{{"label": "n", {raw}}}', headers={**headers, "If-Match": "*"}
    )
    assert (again.status_code, again.content) == (200, made.content)
