"""`HTTPException` in hand-written routes becomes a problem with its status, text and headers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from fastapi import APIRouter, HTTPException
from starlette.exceptions import HTTPException as StarletteException

from service.main import create_app
from service.security.access import require_scope
from service.security.api_keys.key_format import generate
from service.security.principals import Principal
from tests.engine.api import SHELVES, Json, domain_of, settings_for
from tests.protocol.handwritten import Running, served
from tests.shop.resources import shelves

router = APIRouter()
Reader = Annotated[Principal, require_scope("shop:read")]

ID = UUID(int=7)
RAISED: dict[str, HTTPException] = {
    "text": HTTPException(409, "already shipped"),
    "nothing": HTTPException(409),
    "headers": HTTPException(401, "again", headers={"www-authenticate": "Basic", "Content-Length": "3"}),
    "mapping": HTTPException(422, {"reason": "shipped", "order": ID, "at": [1, None, float("nan")]}),
    "list": HTTPException(400, ["a", "b"]),
    "number": HTTPException(402, 5),
    "surrogate": HTTPException(404, "half \ud800"),
    "odd": HTTPException(409, {"\ud800": 1}),
    "server": HTTPException(500, "the printer is on fire"),
    "gateway": HTTPException(504, "the carrier did not answer"),
    "away": HTTPException(503, "closed at night", headers={"Retry-After": "3600"}),
    "starlette": StarletteException(410, "it was here"),  # type: ignore[dict-item]
    "method": HTTPException(405, "not on Sundays"),
    "method-with-allow": HTTPException(405, "not on Sundays", headers={"allow": "GET"}),
    "unheard": HTTPException(460, "hm"),
    "impossible": HTTPException(700, "hm"),
    "redirect": HTTPException(303, headers={"Location": "/elsewhere"}),
    "unchanged": HTTPException(304, headers={"ETag": '"x"'}),
}


@router.get("/raise/{name}")
async def raising(name: str, _: Reader) -> None:
    raise RAISED[name]


@router.get("/status/{status}")
async def any_status(status: int, _: Reader) -> None:
    raise HTTPException(status, "why")


@router.post("/echo")
async def echo(body: dict[str, Any], _: Reader) -> Any:
    return body


@pytest.fixture(scope="module")
def running(database_url: str) -> Iterator[Running]:
    settings = settings_for(database_url, security={"anonymous": "write"})
    with served(create_app(settings, domain_of(replace(shelves, extra=router)))) as running:
        yield running


def raised(running: Running, name: str) -> tuple[int, Json, httpx2.Headers]:
    """Return the status, the problem and the headers of the response."""
    response = running.api.get(f"{SHELVES}/raise/{name}")
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"]
    return response.status_code, problem, response.headers


@pytest.mark.parametrize(
    ("name", "status", "code", "detail"),
    [
        ("text", 409, "conflict", "already shipped"),
        ("nothing", 409, "conflict", None),
        ("surrogate", 404, "not_found", "half ?"),
        ("odd", 409, "conflict", None),
        ("server", 500, "internal_error", "the printer is on fire"),
        ("gateway", 504, "gateway_timeout", "the carrier did not answer"),
        ("starlette", 410, "gone", "it was here"),
        ("unheard", 460, "status_460", "hm"),
        ("impossible", 500, "internal_error", None),
    ],
)
def test_status_and_detail_are_kept(
    running: Running, name: str, status: int, code: str, detail: str | None
) -> None:
    given, problem, _ = raised(running, name)
    assert (given, problem["code"], problem.get("detail")) == (status, code, detail)


@pytest.mark.parametrize(
    ("name", "status", "context"),
    [
        ("mapping", 422, {"reason": "shipped", "order": str(ID), "at": [1, None, None]}),
        ("list", 400, ["a", "b"]),
        ("number", 402, 5),
    ],
)
def test_structured_detail_becomes_the_context(
    running: Running, name: str, status: int, context: Any
) -> None:
    given, problem, _ = raised(running, name)
    assert (given, problem["context"]) == (status, context)
    assert "detail" not in problem


def test_headers_are_kept_except_content_headers(running: Running) -> None:
    assert raised(running, "headers")[2].get_list("www-authenticate") == ["Basic"]
    assert raised(running, "away")[2].get_list("retry-after") == ["3600"]
    assert raised(running, "method-with-allow")[2].get_list("allow") == ["GET"]
    assert "GET" in raised(running, "method")[2]["allow"]
    assert raised(running, "method")[1]["detail"] == "not on Sundays"


def test_every_status_is_preserved(running: Running) -> None:
    for status in range(400, 600):
        response = running.api.get(f"{SHELVES}/status/{status}")
        assert (response.status_code, response.json()["detail"]) == (status, "why")
        assert response.json()["code"]
    assert running.api.get(f"{SHELVES}/raise/redirect").headers["location"] == "/elsewhere"
    unchanged = running.api.get(f"{SHELVES}/raise/unchanged")
    assert (unchanged.status_code, unchanged.headers.get("transfer-encoding")) == (304, None)


def test_framework_exceptions_keep_their_responses(running: Running) -> None:
    missing = running.api.get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["code"], missing.json().get("detail")) == (
        404,
        "not_found",
        None,
    )
    wrong = running.api.delete(f"{SHELVES}/raise/text")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS"
    options = running.api.options(f"{SHELVES}/raise/text")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    value = running.api.get(f"{SHELVES}/status/many")
    assert (value.status_code, value.json()["errors"][0]["parameter"]) == (400, "status")


async def test_error_while_the_caller_is_identified_is_logged(
    running: Running,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller is identified before FastAPI reads the body, outside of the route."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE api_key RENAME TO api_key_away")
    try:
        response = running.api.post(f"{SHELVES}/echo", json={}, headers={"X-API-Key": generate().text})
    finally:
        await connection.execute("ALTER TABLE api_key_away RENAME TO api_key")
        await connection.close()
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    # Whether an earlier test of this process has configured logging decides where the line goes.
    assert "cannot identify the caller" in capsys.readouterr().out + caplog.text
