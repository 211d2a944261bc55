"""Any text in any place is stored and found as sent, or refused; it never breaks anything."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from httpx2 import Response

from tests.contract.corpora import REFUSED_STRINGS, STRINGS, share
from tests.contract.specimens import Json
from tests.engine.api import ARTICLES, BASE, Api, unique

LIST = f"{BASE}/specimens"
UNKNOWN = "01890000-0000-7000-8000-000000000000"


def sound(response: Response) -> Response:
    """Return the response, which must be a success or a problem."""
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
    return response


@pytest.fixture(scope="session")
async def stored(specimen_api: Api) -> list[Json]:
    """A specimen for each string, which is its label, its tag, and part of its document."""
    items = []
    for start in range(0, len(STRINGS), 200):
        some = STRINGS[start : start + 200]
        operations = [
            {"op": "create", "item": {"label": text, "tags": [text], "data": {text: text}}} for text in some
        ]
        response = await specimen_api.client.post(f"{LIST}/bulk", json={"operations": operations})
        assert response.status_code == 200, response.text
        items += [result["item"] for result in response.json()["results"]]
    return items


def test_every_string_is_stored_unchanged(stored: Sequence[Json]) -> None:
    for text, item in zip(STRINGS, stored, strict=True):
        assert (item["label"], item["tags"], item["data"]) == (text, [text], {text: text})


async def _ids(api: Api, **query: str) -> set[str]:
    response = sound(await api.client.get(LIST, params={**query, "limit": "20"}))
    assert response.status_code == 200, response.text
    items = response.json()["items"]
    return {item["id"] for item in items}


@pytest.mark.parametrize("part", range(2))
async def test_every_string_works_as_a_filter(specimen_api: Api, stored: Sequence[Json], part: int) -> None:
    thorough = set(share(part, 5))
    for text, item in list(zip(STRINGS, stored, strict=True))[part::2]:
        assert item["id"] in await _ids(specimen_api, label=text, tags__contains=text)
        if text not in thorough:
            continue
        assert item["id"] in await _ids(specimen_api, tags__contains=text)
        assert item["id"] not in await _ids(specimen_api, label__ne=text, tags__contains=text)
        if text:
            assert item["id"] in await _ids(specimen_api, label__startswith=text, tags__contains=text)
        assert item["id"] in await _ids(specimen_api, label__in=text, tags__contains=text)


async def test_paging_works_past_any_string(specimen_api: Api, stored: Sequence[Json]) -> None:
    labels: list[str] = []
    query = {"sort": "-label", "limit": "40"}
    while True:
        page = (await specimen_api.client.get(LIST, params=query)).json()
        labels += [item["label"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert labels == sorted(labels, reverse=True)
    assert set(STRINGS) <= set(labels)


async def test_every_string_as_a_name_is_accepted_or_refused(specimen_api: Api) -> None:
    shelf = await specimen_api.shelf()
    for text in share(1, 2):
        item = {
            "sku": unique("NAUGHTY"),
            "name": text,
            "price": "1.00",
            "shelf_id": shelf,
            "description": text,
        }
        response = sound(await specimen_api.client.post(ARTICLES, json=item))
        fits = 1 <= len(text) <= 200
        assert response.status_code == (201 if fits else 422), response.text
        if fits:
            read = (await specimen_api.client.get(response.headers["location"])).json()
            assert (read["name"], read["description"]) == (text, text)


@pytest.mark.parametrize(
    "field", ["sku", "price", "stock", "status", "shelf_id", "tags", "attributes", "nothing"]
)
async def test_every_string_in_typed_fields_is_accepted_or_refused(specimen_api: Api, field: str) -> None:
    for text in share(len(field), 8):
        item = {"sku": unique("F"), "name": "n", "price": "1.00", "shelf_id": str(stored), field: text}
        assert sound(await specimen_api.client.post(ARTICLES, json=item)).status_code == 422


@pytest.mark.parametrize("text", REFUSED_STRINGS, ids=ascii)
async def test_invalid_text_in_bodies_is_refused(specimen_api: Api, text: str) -> None:
    for item in (
        {"label": text},
        {"label": "x", "tags": [text]},
        {"label": "x", "data": {"a": [text]}},
        {text: 1},
    ):
        body = json.dumps(item).encode()
        response = await specimen_api.client.post(
            LIST, content=body, headers={"content-type": "application/json"}
        )
        assert sound(response).status_code == 400


PARAMETERS = (
    "q", "sort", "limit", "cursor", "count", "sku", "sku__startswith", "name", "name__in", "price", "price__gte",
    "stock", "status", "tags__contains", "shelf_id", "created_at", "created_at__lt", "updated_at__in", "nothing",
)  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
async def test_every_string_in_a_parameter_is_accepted_or_refused(specimen_api: Api, name: str) -> None:
    for text in [*share(PARAMETERS.index(name), 6), "\0"]:
        response = sound(await specimen_api.client.get(f"{ARTICLES}?{name}={quote(text, safe='')}"))
        assert response.status_code in (200, 400)
        if name == "q" and len(text) <= 200 and "\0" not in text:
            assert response.status_code == 200


@pytest.mark.parametrize("suffix", ["", "/history", "/restore", "?as_of="])
async def test_every_string_in_a_path_is_accepted_or_refused(specimen_api: Api, suffix: str) -> None:
    for text in share(len(suffix), 4):
        path = quote(text, safe="")
        url = f"{ARTICLES}/{UNKNOWN}{suffix}{path}" if "?" in suffix else f"{ARTICLES}/{path}{suffix}"
        method = "POST" if suffix == "/restore" else "GET"
        assert sound(await specimen_api.client.request(method, url)).status_code in (200, 400, 404, 405)


def _is_field(text: str) -> bool:
    """Whether HTTP allows it as a field value (RFC 9110, section 5.5)."""
    return re.search(r"[\x00\r\n]", text) is None


Judge = Callable[[str, Response], Any]


def _request_id(text: str, response: Response) -> None:
    echoed = response.headers["x-request-id"] == text
    assert echoed is bool(re.fullmatch(r"[A-Za-z0-9._-]{8,128}", text))


HEADERS: dict[str, tuple[set[int], Judge]] = {
    "If-Match": ({200, 400, 412}, lambda *_: None),
    "If-None-Match": ({200, 304, 400}, lambda *_: None),
    "Accept": ({200, 406}, lambda *_: None),
    "X-Request-Id": ({200}, _request_id),
    "traceparent": ({200}, lambda *_: None),
    "Content-Type": ({200}, lambda *_: None),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_every_string_in_a_header_is_accepted_or_refused(
    specimen_api: Api, stored: Sequence[Json], name: str
) -> None:
    statuses, judge = HEADERS[name]
    url = f"{LIST}/{stored[0]['id']}"
    for text in filter(_is_field, share(len(name), 3)):
        response = sound(await specimen_api.client.get(url, headers={name.encode(): text.encode()}))
        assert response.status_code in statuses, (text, response.text)
        judge(text, response)


async def test_every_string_as_an_idempotency_key_replays_or_is_refused(specimen_api: Api) -> None:
    for text in filter(_is_field, share(2, 3)):
        headers = {b"Idempotency-Key": text.encode()}
        first, second = [
            sound(await specimen_api.client.post(LIST, json={"label": text}, headers=headers))
            for _ in range(2)
        ]
        assert first.status_code in (201, 400)
        if first.status_code == 201:
            assert (second.content, second.headers["etag"]) == (first.content, first.headers["etag"])


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key"])
async def test_every_string_as_a_credential_is_refused(specimen_api: Api, name: str) -> None:
    for text in filter(_is_field, share(len(name), 4)):
        headers = {b"Authorization": b"", name.encode(): text.encode()}
        assert sound(await specimen_api.client.get(LIST, headers=headers)).status_code == 401
