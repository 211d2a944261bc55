"""The OpenAPI document is valid, complete and consistent."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

import jsonschema_rs
import pytest
from fastapi import FastAPI, Header, Query

from service.config import Settings
from service.main import create_app
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import domain_of
from tests.engine.tables import groups
from tests.process.conftest import Command, command
from tests.shop import SHOP

__all__ = ["command"]

Json = dict[str, Any]
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document() -> Json:
    made: Json = create_app(
        Settings(app={"environment": "test"}, redis={"enabled": False}), (SHOP,)
    ).openapi()
    return made


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _nodes(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _nodes(child)


def test_document_is_openapi_3_1(document: Json) -> None:
    # It imports a hundred modules, in each worker that only collects this file.
    from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR  # noqa: PLC0415

    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)] == []


def test_schemas_are_valid_and_match_their_examples(document: Json) -> None:
    components = document["components"]["schemas"]
    for node in _nodes(document):
        for schema in [node["schema"]] if isinstance(node.get("schema"), dict) else []:
            jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        if node in components.values() or "examples" not in node or "type" not in node:
            continue
        for example in node["examples"]:
            jsonschema_rs.validate(node, example)


def test_every_reference_and_link_resolves(document: Json) -> None:
    known = {operation["operationId"] for _, operation in _operations(document)}
    for node in _nodes(document):
        if isinstance(reference := node.get("$ref"), str):
            assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
        for link in node["links"].values() if isinstance(node.get("links"), dict) else ():
            assert link["operationId"] in known


def test_every_failure_is_a_problem(document: Json) -> None:
    for name, operation in _operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == [PROBLEM], f"{name} {status}"


def test_every_operation_documents_refusals_of_the_edge(document: Json) -> None:
    for name, operation in _operations(document):
        assert {"400", "408", "413", "414", "417", "431", "500", "503"} <= operation["responses"].keys(), name


def test_every_api_operation_documents_its_errors(document: Json) -> None:
    for name, operation in _operations(document):
        if "/api/" not in name:
            continue
        expected = {"400", "401", "403", "406", "429", "500", "503", "504"}
        if "{id}" in name:
            expected |= {"404"}
        if "requestBody" in operation:
            expected |= {"409", "413", "415", "422"}
        assert expected <= operation["responses"].keys(), name
        assert {"Retry-After"} <= operation["responses"]["429"]["headers"].keys()


def test_every_parameter_and_field_is_described(document: Json) -> None:
    for name, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["in"] == "path", f"{name} {parameter['name']}"
            assert parameter["schema"], f"{name} {parameter['name']}"


def test_optional_parameters_of_hand_written_routes_are_not_nullable() -> None:
    """Generators drop operations with an `anyOf` in a header."""
    app = create_app(Settings(app={"environment": "test"}, redis={"enabled": False}), (SHOP,))

    @app.get("/api/v1/echo", tags=["odd-ones"])
    async def echo(
        _: Annotated[Principal, require_scope("a:read"), require_scope("b:read")],
        x_tenant: Annotated[str | None, Header(max_length=5)] = None,
        since: date | None = None,
        one_of: Annotated[list[int] | None, Query()] = None,
    ) -> None: ...

    document = app.openapi()
    operation = document["paths"]["/api/v1/echo"]["get"]
    schemas = {one["name"]: one["schema"] for one in operation["parameters"]}
    assert {name: "anyOf" in schema for name, schema in schemas.items()} == dict.fromkeys(schemas, False)
    assert (schemas["x-tenant"]["type"], schemas["x-tenant"]["maxLength"]) == ("string", 5)
    assert (schemas["since"]["format"], schemas["one_of"]["type"]) == ("date", "array")
    assert {"name": "odd-ones", "description": "Odd ones."} in document["tags"]
    assert operation["operationId"] == "echo"


@pytest.mark.parametrize(
    ("anonymous", "open_"), [("none", set()), ("read", {"get"}), ("write", {"get", "post"})]
)
def test_operation_without_authentication_is_documented_as_open(anonymous: str, open_: set[str]) -> None:
    settings = {
        "app": {"environment": "test"},
        "redis": {"enabled": False},
        "security": {"anonymous": anonymous},
    }
    document = create_app(Settings.model_validate(settings), domain_of(groups())).openapi()
    listed = document["paths"]["/api/v1/groups"]
    assert {method for method, operation in listed.items() if {} in operation["security"]} == open_
    assert {} not in document["paths"]["/api/v1/keys"]["get"]["security"]
    assert document["paths"]["/health"]["get"]["security"] == []


def test_list_parameters_are_documented_as_repeatable(document: Json) -> None:
    for path in ("/api/v1/articles", "/api/v1/articles/export", "/api/v1/shelves/{id}/articles"):
        parameters = {one["name"]: one for one in document["paths"][path]["get"]["parameters"]}
        lists = {name for name, one in parameters.items() if one["schema"].get("type") == "array"}
        assert {"sort", "id__in", "name__in", "status__in", "price__in"} <= lists
        assert {(parameters[name]["style"], parameters[name]["explode"]) for name in lists} == {
            ("form", True)
        }
        assert parameters["status__in"]["schema"] == {
            "type": "array",
            "items": {"$ref": "#/components/schemas/ArticleStatus"},
            "minItems": 1,
            "maxItems": 100,
        }


def test_headers_that_every_response_has_are_required(document: Json) -> None:
    """Clients are generated with them as fields that are always there."""
    always = {"ETag", "Location", "Link"}
    found = {
        (name, header.get("required", False))
        for path, operations in document["paths"].items()
        if path.startswith("/api/v1/articles")
        for operation in operations.values()
        for response in operation["responses"].values()
        for name, header in response.get("headers", {}).items()
        if name in always
    }
    assert found == {(name, True) for name in always}


def test_documented_bounds_of_lists_are_those_that_hold(document: Json) -> None:
    """tests/api/test_query_bounds.py sends the most, and one more."""
    parameters = {
        one["name"]: one["schema"] for one in document["paths"]["/api/v1/articles"]["get"]["parameters"]
    }
    assert parameters["q"]["maxLength"] == 200
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (1, 200)
    assert (parameters["sort"]["minItems"], parameters["sort"]["maxItems"]) == (1, 3)
    assert parameters["sort"]["default"] == ["-created_at"]
    assert (parameters["id__in"]["minItems"], parameters["id__in"]["maxItems"]) == (1, 100)
    assert parameters["count"]["enum"] == ["exact", "estimated"]
    body = document["components"]["schemas"]["ArticleBulk"]["properties"]
    assert (body["operations"]["minItems"], body["operations"]["maxItems"]) == (1, 1000)
    parts = document["components"]["schemas"]["ParcelCreateWithParts"]["properties"]["parts"]
    assert parts["maxItems"] == 100
    exported = {one["name"] for one in document["paths"]["/api/v1/articles/export"]["get"]["parameters"]}
    assert {*parameters} - exported == {"limit", "cursor", "count"}


def test_links_lead_only_where_an_item_can_be(document: Json) -> None:
    def links(path: str, method: str, status: int) -> Json:
        found: Json = document["paths"][path][method]["responses"][str(status)]["links"]
        return {name: link["parameters"] for name, link in found.items()}

    item = "/api/v1/articles/{id}"
    there, tag = {"path.id": "$request.path.id"}, {"header.If-Match": "$response.header.ETag"}
    assert links(item, "delete", 204) == {"restore": there, "history": there}
    assert links(item, "get", 200) == {
        **dict.fromkeys(("read", "history"), there),
        **{name: {**there, **tag} for name in ("patch", "replace", "delete")},
    }
    created = document["paths"]["/api/v1/articles"]["post"]["responses"]["201"]
    assert created["headers"].keys() == {"ETag", "Location", "Idempotency-Replayed"}
    made = links("/api/v1/articles", "post", 201)
    assert {target["path.id"] for target in made.values()} == {"$response.body#/id"}


def test_total_parameter_has_no_default(document: Json) -> None:
    assert "default" not in document["components"]["schemas"]["ArticlePage"]["properties"]["total"]


def test_price_pattern_excludes_negative_values(document: Json) -> None:
    number, text = document["components"]["schemas"]["ArticleCreate"]["properties"]["price"]["anyOf"]
    assert number["minimum"] == 0
    assert not jsonschema_rs.is_valid(text, "-1")
    assert jsonschema_rs.is_valid(text, "12.50")


def test_command_prints_texts_as_they_are(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI(title="Größen")
    monkeypatch.setattr("service.cli.openapi.create_app", lambda _: app)
    done = command("openapi")
    assert (json.loads(done.stdout), "Größen" in done.stdout) == (app.openapi(), True)
