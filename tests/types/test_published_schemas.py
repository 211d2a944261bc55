"""The document accepts what the server accepts and describes its responses, by another JSON Schema implementation."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tests.engine.api import BASE, Api, Json, unique
from tests.examples import examples
from tests.types.values import items

LIST = f"{BASE}/zz-probes"
FEW = settings(settings.get_profile("types"), max_examples=examples(15))


@cache
def validator(api: Api, name: str) -> Draft202012Validator:
    """Return the validator of a component of the document."""
    document: Any = api.app.openapi()
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(schema, format_checker=FormatChecker())


def wrong(api: Api, name: str, value: Json) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(api, name).iter_errors(value)]


@FEW
@given(body=items())
async def test_accepted_and_returned_values_match_the_schemas(api: Api, body: Json) -> None:
    made = await api.client.post(LIST, json=body)
    assert made.status_code == 201, made.text
    assert wrong(api, "ZzProbeCreate", body) == []
    assert wrong(api, "ZzProbePatch", body) == []
    assert wrong(api, "ZzProbeRead", made.json()) == []


@pytest.fixture(scope="module")
async def shelf(api: Api) -> str:
    return await api.shelf()


@FEW
@given(
    cents=st.integers(0, 999_999_999_999) | st.sampled_from([1999, 7, 435, 10**12 - 1]), as_text=st.booleans()
)
async def test_every_price_matches_the_schemas(api: Api, shelf: str, cents: int, *, as_text: bool) -> None:
    text = f"{cents // 100}.{cents % 100:02}"
    price = text if as_text else float(text)
    body = {"sku": unique("PRICE"), "name": "Lamp", "price": price, "shelf_id": shelf}
    made = await api.client.post(f"{BASE}/articles", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["price"] == text
    assert wrong(api, "ArticleCreate", body) == []
    assert wrong(api, "ArticleRead", made.json()) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("exact", "1.23456"), ("exact", "1e3"), ("exact", 1e8), ("small", 32768), ("clock", "9:30"), ("span", "P1M"),
     ("span", "P"), ("day", "2026-02-30"), ("colour", "pink"), ("label", "x" * 101), ("flag", 1), ("nothing", 1)],
)  # fmt: skip
async def test_values_that_violate_the_schemas_are_refused(api: Api, field: str, value: Any) -> None:
    assert (await api.client.post(LIST, json={field: value})).status_code == 422
    assert wrong(api, "ZzProbeCreate", {field: value})
