"""Generated routes answer outside the framework, hand-written ones inside it: clients cannot tell them apart."""

import sys
from collections import Counter
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from prometheus_client import REGISTRY
from starlette.responses import Response

from service.http.middleware.dispatch import Dispatch, Route
from tests.api.conftest import Json, MakeClient

SHELVES = "/api/v1/shelves"
WAYS = {"generated": SHELVES + "/{id}", "handwritten": SHELVES + "/{id}/summary"}
MOST_CALLS = 150  # of functions of the service and of Starlette, to read one item

both = pytest.mark.parametrize("template", WAYS.values(), ids=WAYS)


@both
async def test_head_is_get_without_content(client: AsyncClient, shelf: Json, template: str) -> None:
    path = template.format(id=shelf["id"])
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    assert _names(head) == _names(got)
    assert head.headers["content-length"] == str(len(got.content))


@both
async def test_options_names_the_methods(client: AsyncClient, shelf: Json, template: str) -> None:
    response = await client.options(template.format(id=shelf["id"]))
    assert response.status_code == 204
    assert {"GET", "HEAD", "OPTIONS"} <= {*response.headers["allow"].split(", ")}


@both
async def test_method_of_no_route_is_refused(client: AsyncClient, shelf: Json, template: str) -> None:
    response = await client.post(template.format(id=shelf["id"]))
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in response.headers["allow"]


@both
@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"headers": {"Authorization": ""}}, (401, "unauthenticated")),
        ({"headers": {"Accept": "text/csv"}}, (406, "not_acceptable")),
        ({"params": {"surprise": "1"}}, (400, "invalid_parameter")),
    ],
)
async def test_refused(
    client: AsyncClient, shelf: Json, template: str, change: Json, refusal: tuple[int, str]
) -> None:
    response = await client.get(template.format(id=shelf["id"]), **change)
    assert (response.status_code, response.json()["code"]) == refusal
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["instance"] == template.format(id=shelf["id"])
    assert response.json()["request_id"] == response.headers["x-request-id"]


@both
async def test_scope_is_asked_for(client_with: MakeClient, shelf: Json, template: str) -> None:
    stranger = await client_with("other:read")
    response = await stranger.get(template.format(id=shelf["id"]))
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


@both
async def test_absent_item_is_not_found(client: AsyncClient, template: str) -> None:
    response = await client.get(template.format(id=uuid4()))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@both
async def test_metrics_name_the_template(client: AsyncClient, shelf: Json, template: str) -> None:
    labels = {"method": "GET", "path": template, "status_code": "200", "app_name": "slipway"}
    before = REGISTRY.get_sample_value("http_requests_total", labels) or 0
    await client.get(template.format(id=shelf["id"]), headers={"X-Request-Id": "one-of-both"})
    assert REGISTRY.get_sample_value("http_requests_total", labels) == before + 1


@pytest.mark.parametrize("path", ["/{id}", "/{id}/history", "//", "/%7Bid%7D"])
async def test_template_is_not_a_path(client: AsyncClient, path: str) -> None:
    assert (await client.get(f"{SHELVES}{path}")).status_code == 404


@pytest.mark.parametrize("ending", ["%0A", "/", "%00", "0"])
async def test_longer_id_is_not_found(client: AsyncClient, shelf: Json, ending: str) -> None:
    assert (await client.get(f"{SHELVES}/{shelf['id']}{ending}")).status_code == 404


async def test_reading_takes_few_calls(app: FastAPI, client: AsyncClient, article: Json) -> None:
    path = f"/api/v1/articles/{article['id']}"
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", client.headers["authorization"].encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    statuses = []

    async def receive() -> Json:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 200))

    counts = []
    for _ in range(10):
        calls = _count("/service/", "/starlette/", "/fastapi/")
        await app({**scope}, receive, send)
        counts.append(_counted(calls))
    assert {*statuses} == {200}
    fewest = min(counts, key=Counter.total)  # other tasks run in between
    assert fewest["/fastapi/"] == 0
    assert fewest.total() <= MOST_CALLS


def test_fifty_resources_take_no_longer_than_one() -> None:
    async def handle(_: object) -> Response:
        return Response()

    def calls(resources: int) -> int:
        names = [f"things-{number}" for number in range(resources)]
        dispatch = Dispatch(
            "/api/v1",
            [Route("GET", f"/api/v1/{name}{end}", handle) for name in names for end in ("", "/{id}")],
        )
        for path in (f"/api/v1/{names[-1]}", f"/api/v1/{names[-1]}/{uuid4()}"):
            counted = _count("")
            route = dispatch.find({"method": "GET", "path": path})
            number = _counted(counted).total()
            assert route is not None
        return number

    assert calls(1) == calls(50)


def _count(*folders: str) -> Counter[str]:
    """Count calls of Python functions from now on, by the folder that their path contains."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            calls.update(folder for folder in folders if folder in frame.f_code.co_filename)

    sys.setprofile(count)
    return calls


def _counted(calls: Counter[str]) -> Counter[str]:
    """Return the calls, and stop counting."""
    sys.setprofile(None)
    return calls


def _names(response: Any) -> set[str]:
    return {name for name in response.headers if not name.startswith("ratelimit")}
