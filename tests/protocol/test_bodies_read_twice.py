"""A hand-written route may read its body with `read_body` and with Starlette's request, in any order."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Request
from pydantic import BaseModel

from service.http.handwritten import read_body
from service.main import create_app
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import SHELVES, domain_of, settings_for
from tests.protocol.handwritten import Running, served
from tests.shop.resources import shelves

Writer = Annotated[Principal, require_scope("shop:write")]
JSON = {"Content-Type": "application/json"}
CONTENT = b'{"number": "1"}'

router = APIRouter()


class Order(BaseModel):
    number: str


async def model(request: Request) -> Any:
    return (await read_body(request, Order)).number


async def content(request: Request) -> Any:
    return (await request.body()).decode()


async def document(request: Request) -> Any:
    return await request.json()


async def stream(request: Request) -> Any:
    return b"".join([chunk async for chunk in request.stream()]).decode()


READ: dict[str, tuple[Callable[[Request], Awaitable[Any]], Any]] = {
    "model": (model, "1"),
    "content": (content, CONTENT.decode()),
    "document": (document, {"number": "1"}),
    "stream": (stream, CONTENT.decode()),
}


@router.post("/read/{first}/{second}")
async def read(first: str, second: str, request: Request, _: Writer) -> Any:
    return [await READ[first][0](request), await READ[second][0](request)]


@router.post("/given")
async def given(order: Annotated[Order, Body()], request: Request, _: Writer) -> Any:
    return [order.number, await model(request)]


@pytest.fixture(scope="module")
def running(database_url: str) -> Iterator[Running]:
    settings = settings_for(database_url, security={"anonymous": "write"})
    with served(create_app(settings, domain_of(replace(shelves, extra=router)))) as running:
        yield running


@pytest.mark.parametrize("second", READ)
@pytest.mark.parametrize("first", ["model", "content", "document"])
def test_body_can_be_read_again(running: Running, first: str, second: str) -> None:
    response = running.api.post(f"{SHELVES}/read/{first}/{second}", content=CONTENT, headers=JSON)
    assert response.json() == [READ[first][1], READ[second][1]]


def test_body_that_fastapi_has_read_can_be_read_again(running: Running) -> None:
    assert running.api.post(f"{SHELVES}/given", content=CONTENT, headers=JSON).json() == ["1", "1"]


def test_consumed_stream_is_an_error_at_once(running: Running) -> None:
    response = running.api.post(f"{SHELVES}/read/stream/model", content=CONTENT, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
