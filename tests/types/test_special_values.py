"""Values that drivers or PostgreSQL treat specially, and values that only SQL can write."""

from typing import Any

import pytest

from tests.engine.api import BASE, Api, Json, problem
from tests.types.table import ARRAYS

LIST = f"{BASE}/zz-probes"
# Values that the API refuses but SQL can write. Pages that contain them work, and they stay unchanged.
_BY_SQL = {
    "ratio": ["'NaN'", "'Infinity'", "'-Infinity'", "0.1", "NULL"],
    "double": ["'NaN'", "'Infinity'", "'-Infinity'", "1e-320", "NULL"],
    "any_number": ["'NaN'", "'Infinity'", "'-Infinity'", "1e100", "1e-1200"],
    "exact": ["'NaN'", "1", "2.5", "NULL"],
    "day": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'9999-12-31'", "'20000-01-01'", "'0001-01-01'"],
    "at": ["'infinity'", "'-infinity'", "'0044-03-15 00:00+00 BC'", "'20000-01-01 00:00+00'", "'0001-01-01 00:00+00'"],
    "clock": ["'24:00'", "'00:00'", "'23:59:59.999999'"],
    "span": ["'2 years 1 mon'", "'1 year'", "'360 days'", "'-1 mon'", "'00:00:01.5'"],
}  # fmt: skip


async def _write(api: Api, field: str, values: list[str], label: str) -> None:
    arrays = "".join(f", {name}" for name in ARRAYS)
    empty = ", '{}'" * len(ARRAYS)
    rows = ", ".join(f"(gen_random_uuid(), 'sql', 'sql', '', '{label}', {value}{empty})" for value in values)
    columns = f"id, created_by, updated_by, title, label, {field}{arrays}"
    await api.database.fetch(f"INSERT INTO zz_probe ({columns}) VALUES {rows} RETURNING id", [])


async def _walk(api: Api, **query: Any) -> list[Json]:
    found: list[Json] = []
    for _ in range(30):
        response = await api.client.get(LIST, params=query)
        assert response.status_code == 200, response.text
        found += response.json()["items"]
        if response.json()["next_cursor"] is None:
            return found
        query["cursor"] = response.json()["next_cursor"]
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("field", _BY_SQL)
async def test_paging_ends_with_values_written_by_sql(api: Api, field: str) -> None:
    label = f"by sql {field}"
    await _write(api, field, _BY_SQL[field], label)
    for sort in (field, f"-{field}"):
        whole = await _walk(api, label=label, sort=sort, limit=200)
        assert len(whole) == len(_BY_SQL[field])
        for limit in (1, 2):
            assert await _walk(api, label=label, sort=sort, limit=limit) == whole
    item = whole[0]
    history = await api.client.get(f"{LIST}/{item['id']}/history")
    changes = {change["field"]: change["after"] for change in history.json()["items"][0]["changes"]}
    assert changes.get(field) == item[field]
    past = await api.client.get(f"{LIST}/{item['id']}", params={"as_of": "9999-12-31T23:59:59.999999Z"})
    assert past.json() == item


async def test_numbers_beyond_a_double_in_documents_are_returned(api: Api) -> None:
    await _write(api, "doc", ["'{\"n\": 1e400}'", "'[-2.5e400, 1e400]'"], "huge")
    items = await _walk(api, label="huge", sort="-created_at", limit=1)
    huge = 10**400
    assert sorted((item["doc"] for item in items), key=str) == [[-25 * huge // 10, huge], {"n": huge}]
    for item in items:
        history = await api.client.get(f"{LIST}/{item['id']}/history")
        changes = {change["field"]: change["after"] for change in history.json()["items"][0]["changes"]}
        assert changes["doc"] == item["doc"]


async def test_real_values_work_in_filters_and_paging(api: Api) -> None:
    for ratio in (0.1, 0.2, 0.3):
        await api.make("zz-probes", label="ratios", ratio=ratio)
    found = await api.client.get(LIST, params={"label": "ratios", "ratio": "0.1"})
    assert [item["ratio"] for item in found.json()["items"]] == [0.1]
    found = await api.client.get(LIST, params={"label": "ratios", "ratio__gt": "0.1", "ratio__lte": "0.3"})
    assert len(found.json()["items"]) == 2
    paged = await _walk(api, label="ratios", sort="ratio", limit=2)
    assert [item["ratio"] for item in paged] == [0.1, 0.2, 0.3]


async def test_native_enums_sort_in_declared_order(api: Api) -> None:
    for colour in ("blue", "red", "green"):
        await api.make("zz-probes", label="enums", colour=colour)
    paged = await _walk(api, label="enums", sort="colour", limit=1)
    assert [item["colour"] for item in paged] == ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-01-31T09:30:00.1234567Z", "2026-01-31T09:30:00.123456Z"),
        ("2026-01-31t09:30:00.999999999z", "2026-01-31T09:30:00.999999Z"),
        ("2026-01-31T09:30:00+05:30", "2026-01-31T04:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
    ],
)
async def test_times_parse_the_same_in_bodies_filters_and_as_of(api: Api, given: str, shown: str) -> None:
    item = (await api.make("zz-probes", at=given, ats=[given])).json()
    assert (item["at"], item["ats"]) == (shown, [shown])
    for query in ({"at": given}, {"at__gte": given, "at__lte": given}, {"ats__contains": given}):
        found = await api.client.get(LIST, params={**query, "serial": item["serial"]})
        assert found.json()["items"] == [item], query
    past = await api.client.get(f"{LIST}/{item['id']}", params={"as_of": given})
    assert past.status_code in (200, 404)


@pytest.mark.parametrize(
    "given",
    ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+00:01", "2026-02-30T00:00:00Z", "2026-01-31", "now",
     "2026-01-31T09:30:00", "infinity", "2026-01-31T09:30:00." + "1" * 31 + "Z", "1700000000"],
)  # fmt: skip
async def test_invalid_times_are_refused_in_bodies_filters_and_as_of(api: Api, given: str) -> None:
    body = problem(await api.client.post(LIST, json={"at": given}), 422, "validation_failed")
    asked = problem(await api.client.get(LIST, params={"at": given}), 400, "invalid_parameter")
    item = (await api.make("zz-probes")).json()
    past = await api.client.get(f"{LIST}/{item['id']}", params={"as_of": given})
    told = body["errors"][0]["message"]
    assert [e["message"] for e in asked["errors"]] == [f"The value {told}."]
    assert problem(past, 400, "invalid_parameter")["errors"][0]["message"] == f"The value {told}."


@pytest.mark.parametrize(
    "query",
    ["ratio=1e39", "ratio=1e-50", "small=32768", "big=9223372036854775808", "whole=1.5", "span=P1Y", "clock=24:00:00",
     f"any_number={'9' * 1001}", "exact=1e5", "double=1e999", "colour=pink", "day=10000-01-01", "ref=x", "flag=1",
     "numbers__contains=x", "spans__contains=P1M", "small__in=1,x"],
)  # fmt: skip
async def test_filter_value_out_of_range_is_refused(api: Api, query: str) -> None:
    refused = problem(await api.client.get(f"{LIST}?{query}"), 400, "invalid_parameter")
    assert refused["errors"][0]["parameter"] == query.partition("=")[0]


async def test_generated_columns_are_read_only(api: Api) -> None:
    item = (await api.make("zz-probes", whole=21)).json()
    assert (item["doubled"], item["given"]) == (42, 7)
    for body in ({"doubled": 1}, {"serial": 1}):
        refused = problem(await api.client.post(LIST, json=body), 422, "validation_failed")
        assert refused["errors"][0]["message"] == "is not a known field"
    patched = await api.client.patch(f"{LIST}/{item['id']}", json={"whole": 4}, headers={"If-Match": "*"})
    assert patched.json()["doubled"] == 8
    history = (await api.client.get(f"{LIST}/{item['id']}/history")).json()["items"]
    assert {change["field"] for change in history[0]["changes"]} == {"whole", "doubled"}
