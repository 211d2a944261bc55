"""Generated routes answer outside the framework, hand-written ones inside it: clients cannot tell them apart."""

from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from prometheus_client import REGISTRY
from starlette.responses import Response

from service.http.middleware.dispatch import Dispatch, Route
from tests.api.conftest import ORIGIN, Json, MakeClient
from tests.api.cost import counted_calls

SHELVES = "/api/v1/shelves"
WAYS = {"generated": SHELVES + "/{id}", "handwritten": SHELVES + "/{id}/summary"}

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


async def test_caller_is_checked_before_the_request(client: AsyncClient) -> None:
    headers = {"Authorization": "", "Accept": "text/csv", "Idempotency-Key": "key"}
    response = await client.get(f"{SHELVES}?surprise=1", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


@both
async def test_page_of_an_allowed_origin_reads_every_answer(
    client: AsyncClient, shelf: Json, template: str
) -> None:
    path, wanted = template.format(id=shelf["id"]), {"Access-Control-Request-Method": "GET"}
    for answer in (
        await client.get(path, headers={"Origin": ORIGIN}),
        await client.get(path, headers={"Origin": ORIGIN, "Authorization": ""}),
        await client.get(template.format(id=uuid4()), headers={"Origin": ORIGIN}),
        await client.options(path, headers={"Origin": ORIGIN, **wanted}),
    ):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in answer.headers["vary"]
    strange = {"Origin": "https://elsewhere.example"}
    assert "access-control-allow-origin" not in (await client.get(path, headers=strange)).headers
    assert (await client.options(path, headers={**strange, **wanted})).status_code == 400


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
            scope = {"method": "GET", "path": path}
            with counted_calls("") as counted:
                route = dispatch.find(scope)
            number = counted.total()
            assert route is not None
        return number

    assert calls(1) == calls(50)


def _names(response: Any) -> set[str]:
    return {name for name in response.headers if not name.startswith("ratelimit")}
