"""Hand-written routes with bodies and parameters that FastAPI reads: the same rules hold as for generated routes."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Event, Semaphore
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, File, Form, Header, Query, Request, UploadFile
from prometheus_client import REGISTRY
from pydantic import BaseModel

from service.http.handwritten import any_body, any_query
from service.main import create_app
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import SHELVES, Json, domain_of, settings_for
from tests.process.served import eventually
from tests.protocol.handwritten import Bag, Order, Running, served
from tests.protocol.wire import Response, wire
from tests.shop.resources import shelves

LIMIT = 4096  # bytes of a body
PLACES = 3  # for running requests
Writer = Annotated[Principal, require_scope("shop:write")]

router, later = APIRouter(), APIRouter()


@router.post("/model")
async def model(order: Order, _: Writer) -> Any:
    return order


@router.post("/several")
async def several(order: Order, count: Annotated[int, Body()], _: Writer) -> Any:
    return count


@router.post("/bag")
async def bag(bag: Bag, _: Writer) -> Any:
    return bag


@router.post("/mapping")
async def mapping(mapping: dict[str, Any], _: Writer) -> Any:
    return mapping


@router.post("/json")
async def own_json(request: Request, _: Writer) -> Any:
    return await request.json()


@router.post("/bytes")
async def own_bytes(request: Request, _: Writer) -> Any:
    return len(await request.body())


@router.get("/content")
async def content_of_a_get(request: Request, _: Writer) -> Any:
    return len(await request.body())


@router.post("/stream")
async def own_stream(request: Request, _: Writer) -> Any:
    return sum([len(chunk) async for chunk in request.stream()])


@router.post("/webhook", dependencies=[Depends(any_body)])
async def webhook(request: Request, _: Writer) -> Any:
    return len(await request.body())


@router.post("/signed", dependencies=[Depends(any_body)])
async def signed(order: Order, _: Writer) -> Any:
    return order


@router.post("/form")
async def form(name: Annotated[str, Form()], tags: Annotated[list[str], Form()], _: Writer) -> Any:
    return [name, tags]


@router.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, File()], _: Writer) -> Any:
    return [len(await file.read()), note]


class Wanted(BaseModel):
    word: str = ""
    of: list[str] = []


@router.get("/query")
async def query(
    _: Writer,
    limit: int = 1,
    tags: Annotated[list[str] | None, Query(alias="tag")] = None,
    x_part: Annotated[int, Header()] = 0,
) -> Any:
    return [limit, tags]


@router.get("/wanted")
async def wanted(_: Writer, wanted: Annotated[Wanted, Query()]) -> Any:
    return wanted


@router.get("/any", dependencies=[Depends(any_query)])
async def anything(request: Request, _: Writer) -> Any:
    return request.query_params.multi_items()


waited: list[int] = []
arrived, release = Semaphore(0), Event()


@router.get("/wait")
async def wait(_: Writer) -> None:
    waited.append(1)
    arrived.release()
    while not release.is_set():  # noqa: ASYNC110  # the tests' thread sets it
        await asyncio.sleep(0.01)


@router.post("/administration")
async def administration(order: Order, _: Annotated[Principal, require_scope("admin")]) -> Any:
    return order


@later.post("/later")
async def added_later(order: Order, urgent: Annotated[int, Query()] = 0) -> Any:
    return order


BODIES = {"model": "number", "mapping": "x", "json": "x", "bytes": "x", "stream": "x"}


@pytest.fixture(scope="module")
def app(database_url: str) -> FastAPI:
    server = {"max_body_bytes": LIMIT, "body_timeout": 0.5, "max_concurrency": PLACES}
    settings = settings_for(database_url, security={"anonymous": "write"}, server=server)
    app = create_app(settings, domain_of(replace(shelves, extra=router)))
    app.include_router(later)
    return app


@pytest.fixture(scope="module")
def running(app: FastAPI) -> Iterator[Running]:
    with served(app) as running:
        yield running


def post(running: Running, name: str, content: bytes, kind: str = "application/json") -> httpx2.Response:
    path = f"/{name}" if name == "later" else f"{SHELVES}/{name}"
    return running.api.post(path, content=content, headers={"content-type": kind})


def problem(response: httpx2.Response, status: int, code: str) -> Json:
    body: Json = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    return body


def sent(running: Running, name: str, body: bytes, kind: str = "application/json") -> Response:
    """Return the response to a chunked body, sent as is."""
    fields = f"Host: a\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with wire(running.port) as client:
        client.send(f"POST {SHELVES}/{name} HTTP/1.1\r\n{fields}".encode() + body)
        response = client.response()
    assert response is not None
    return response


FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
START = {
    "form": (FORM, b"name=" + b"a" * 59),
    "upload": (PARTS, b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'),
    "webhook": ("application/octet-stream", b"a" * 64),
    **{name: ("application/json", b'{"%b":"' % field.encode()) for name, field in BODIES.items()},
}


@pytest.mark.parametrize("name", START)
def test_size_and_time_limits_apply(running: Running, name: str) -> None:
    kind, start = START[name]
    first = b"%x\r\n%b\r\n" % (len(start), start)
    long = sent(running, name, first + (b"400\r\n" + b"a" * 1024 + b"\r\n") * 5, kind)
    assert (long.status, long.problem["code"]) == (413, "body_too_large")
    slow = sent(running, name, first, kind)
    assert (slow.status, slow.problem["code"]) == (408, "request_timeout")


BAD_JSON = (
    b'{"%b": "a", "%b": "a"}', b'{"%b": NaN}', b'{"%b": "\xff"}', b'{"%b": "\\ud800"}', b'{"%b": "\\u0000"}',
    b'{"%b": ' + b"[" * 40 + b"]" * 40 + b"}", b'{"%b": 1e400}', b'{"%b": 123456789012345678901}', b'{"%b": "a"',
)  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_json_is_parsed_strictly(running: Running, name: str) -> None:
    field = BODIES[name].encode()
    for bad in BAD_JSON:
        content = bad.replace(b"%b", field)
        for kind in ("application/json", "application/problem+json; version=1"):
            problem(post(running, name, content, kind), 400, "invalid_json")
    problem(post(running, name, b"\xef\xbb\xbf{}"), 400, "invalid_json")
    assert post(running, name, b'{"%b": "\xc3\xa9"}' % field).status_code == 200


def test_any_body_route_gets_the_raw_body(running: Running) -> None:
    assert post(running, "webhook", b'{"a": NaN, "a": 1}').json() == 18
    assert post(running, "signed", b'{"number": "1"}').json()["number"] == "1"
    problem(post(running, "signed", b'{"number": '), 400, "invalid_json")


def pointers(response: httpx2.Response) -> set[str]:
    return {error["pointer"] for error in problem(response, 422, "validation_failed")["errors"]}


def test_unknown_members_are_refused_unless_the_model_allows_them(running: Running) -> None:
    order: Json = {
        "number": "1",
        "lines": [{"sku": "a", "pieces": 2}, {"sku": "b", "count": 3}],
        "bag": {"size": 2, "colour": "red"},
        "either": {"sku": "c", "x/y": 1},
        "z~": 1,
    }
    unknown = {"/lines/1/count", "/z~0"}
    assert pointers(post(running, "model", json.dumps(order).encode())) >= unknown
    assert not any("colour" in p for p in pointers(post(running, "model", json.dumps(order).encode())))
    assert pointers(post(running, "later", json.dumps({"number": "1", "extra": 1}).encode())) == {"/extra"}
    assert post(running, "bag", b'{"size": 1, "colour": "red"}').json()["colour"] == "red"
    body = {"order": {"number": "1", "more": 1}, "count": 1, "other": 2}
    assert pointers(post(running, "several", json.dumps(body).encode())) == {"/order/more", "/other"}
    assert pointers(post(running, "model", b'{"lines": 1, "z": 1}')) >= {"/number", "/lines"}
    good = post(running, "model", b'{"number": "1", "lines": [{"sku": "a"}], "bag": {"colour": "red"}}')
    assert good.json()["bag"] == {"size": 1, "colour": "red"}


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=latin1", FORM, ""])
def test_other_media_types_are_refused(running: Running, kind: str) -> None:
    response = post(running, "model", b'{"number": "1"}', kind)
    problem(response, 415, "unsupported_media_type")
    assert response.headers["accept"] == "application/json"


def test_forms_are_validated_strictly(running: Running) -> None:
    assert post(running, "form", b"name=a&tags=b&tags=c", FORM).json() == ["a", ["b", "c"]]
    for content, pointer in ((b"name=a&tags=b&x=1", "/x"), (b"name=a&name=b&tags=c", "/name")):
        assert pointers(post(running, "form", content, FORM)) == {pointer}
    for content in (b"name=%ff&tags=b", b"name=a%00&tags=b"):
        problem(post(running, "form", content, FORM), 400, "malformed_request")
    problem(post(running, "form", b'{"name": "a"}'), 415, "unsupported_media_type")
    url = f"{SHELVES}/upload"
    good = running.api.post(url, files={"file": b"abc"}, data={"note": "n"})
    assert good.json() == [3, "n"]
    odd = running.api.post(url, files={"file": b"abc", "other": b"d"}, data={"note": "n\0"})
    assert pointers(odd) == {"/other", "/note"}
    encoded = post(running, "upload", b"file=a&note=n", FORM)
    problem(encoded, 415, "unsupported_media_type")
    assert encoded.headers["accept"] == "multipart/form-data"


def test_too_many_errors_are_reported_as_one(running: Running) -> None:
    lines = b'{"number": "1", "lines": [' + b",".join([b"{}"] * 1001) + b"]}"
    refused = problem(post(running, "model", lines), 422, "validation_failed")
    assert refused["detail"] == "More than 1000 values are wrong or unknown."
    assert "errors" not in refused
    fields = b"&".join([b"a"] * 1001)
    for name, kind in (("form", FORM), ("model", FORM)):
        refused = problem(post(running, name, fields, kind), 400, "malformed_request")
        assert refused["detail"] == "The form has more than 1000 fields."
    many = json.dumps({str(n): 1 for n in range(400)}).encode()
    assert len(post(running, "bag", many).json()) == 401


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query?limit=1&x=1", {"x"}),
        ("query?limit=1&limit=2", {"limit"}),
        ("query?tag=a%00", {"tag"}),
        ("query?tags=a", {"tags"}),
        ("wanted?word=a&word=b&x=1", {"word", "x"}),
        ("wanted?wanted=a", {"wanted"}),
        (f"{'0' * 8}-0000-0000-0000-{'0' * 12}/summary?x=1", None),
    ],
)
def test_unknown_and_repeated_parameters_are_refused(
    running: Running, path: str, parameters: set[str] | None
) -> None:
    response = running.api.get(f"{SHELVES}/{path}")
    if parameters is None:
        assert response.status_code in {400, 404}
        return
    errors = problem(response, 400, "invalid_parameter")["errors"]
    assert {error["parameter"] for error in errors} == parameters


def test_wrong_header_is_reported_by_its_name(running: Running) -> None:
    response = running.api.get(f"{SHELVES}/query", headers={"X-Part": "first"})
    (error,) = problem(response, 400, "invalid_parameter")["errors"]
    assert error == {"header": "x-part", "message": "must be an integer"}


def test_list_parameters_repeat_and_any_query_is_an_opt_out(running: Running) -> None:
    assert running.api.get(f"{SHELVES}/query?tag=a&tag=b").json() == [1, ["a", "b"]]
    assert running.api.get(f"{SHELVES}/wanted?of=a&of=b").json() == {"word": "", "of": ["a", "b"]}
    assert len(running.api.get(f"{SHELVES}/any?a=1&a=2&%ff=3").json()) == 3
    problem(running.api.get(f"{SHELVES}/query?tag=%ff"), 400, "invalid_parameter")
    most = f"{SHELVES}/query?tag=a{'&tag=a' * 99}"
    assert running.api.get(most).status_code == 200
    problem(running.api.get(f"{most}&tag=a"), 400, "invalid_parameter")
    problem(running.api.post("/later?x=1", json={"number": "1"}), 400, "invalid_parameter")
    assert running.api.post("/later?urgent=1", json={"number": "1"}).status_code == 200
    problem(running.api.get(f"{SHELVES}/query%00"), 404, "not_found")
    assert running.api.get("/health?x=1").status_code == 200


def test_body_arriving_when_all_slots_are_taken_is_refused(running: Running) -> None:
    head = f"POST {SHELVES}/model HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    waiting = f"GET {SHELVES}/wait HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with ExitStack() as stack:
        late, *others = (stack.enter_context(wire(running.port)) for _ in range(1 + PLACES))
        late.send(f"{head}Content-Length: 15\r\n\r\n".encode())
        for other in others:
            other.send(waiting)
        assert eventually(lambda: arrived.acquire(timeout=5) and len(waited) == PLACES)
        late.send(b'{"number": "1"}')
        response = late.response()
        release.set()
        assert all((one := other.response()) is not None and one.status == 200 for other in others)
    assert response is not None
    assert (response.status, response.problem["code"]) == (503, "overloaded")


def test_authentication_comes_before_validation(running: Running) -> None:
    problem(running.api.post(f"{SHELVES}/administration?x=1", json={"y": 1}), 401, "unauthenticated")


UNREADABLE = {
    "malformed": b"1\r\n{\r\n0\r\n\r\n",
    "too large": (b"400\r\n" + b"a" * 1024 + b"\r\n") * 5,
    "too slow": b"1\r\n{\r\n",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_credentials_are_checked_before_the_body_is_read(running: Running, body: bytes) -> None:
    response = sent(running, "administration", body)
    assert (response.status, response.problem["code"]) == (401, "unauthenticated")
    assert "www-authenticate" in response.headers


def test_unauthenticated_client_gets_no_continue(running: Running) -> None:
    """RFC 9110, 10.1.1: the response comes instead of a 100."""
    with wire(running.port) as client:
        fields = (
            "Host: a\r\nContent-Type: application/json\r\nContent-Length: 64\r\nExpect: 100-continue\r\n\r\n"
        )
        client.send(f"POST {SHELVES}/administration HTTP/1.1\r\n{fields}".encode())
        response = client.response()
    assert response is not None
    assert response.status == 401


def test_head_with_a_missing_body_times_out(running: Running) -> None:
    with wire(running.port) as client:
        fields = "Host: a\r\nContent-Length: 64\r\n\r\n"
        client.send(f"HEAD {SHELVES}/content HTTP/1.1\r\n{fields}".encode() + b"a")
        response = client.response(head=True)
    assert response is not None
    assert response.status == 408


@pytest.mark.parametrize("name", ["", "/model", "/json", "/stream", "/form", "/upload"])
def test_disconnect_during_the_body_is_not_logged_as_an_error(
    running: Running, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    kind, start = START.get(name[1:], ("application/json", b'{"slug":'))
    before = _gone(name)
    with wire(running.port) as client:
        fields = f"Host: a\r\nContent-Type: {kind}\r\nContent-Length: 999\r\n\r\n"
        client.send(f"POST {SHELVES}{name} HTTP/1.1\r\n{fields}".encode() + start)
    assert eventually(lambda: _gone(name) == before + 1)
    assert "request failed" not in caplog.text + capsys.readouterr().out


def _gone(name: str) -> float:
    labels = {"method": "POST", "path": f"{SHELVES}{name}", "status_code": "499", "app_name": "slipway"}
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0
