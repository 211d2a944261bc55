"""The served document passes common API linters, and describes the actual requests and responses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import HERE, Json, Target, run

pytestmark = [pytest.mark.xdist_group("clients"), pytest.mark.timeout(200)]

BOUNDARIES: list[Json] = [
    {},
    {"price": 19.99},
    {"price": 0.07, "stock": 0},
    {"price": "4.35"},
    {"price": "9999999999.99", "stock": 2147483647},
    {"price": 9999999999, "tags": ["x" * 40] * 50},
    {"price": 0, "name": "😀" * 200, "attributes": {"a": [1, None, {"b": 1e300}]}},
    {"price": "0", "description": "\u2028 \\ \" '", "status": "discontinued"},
    {"stock": 5.0},
]


def test_redocly_finds_nothing(node: Path, target: Target, tmp_path: Path) -> None:
    told = run(
        tmp_path,
        node / ".bin" / "redocly",
        "lint",
        target.document_file,
        "--extends=recommended-strict",
        "--format=json",
    )
    report: Json = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert report["problems"] == []


def test_spectral_finds_nothing(node: Path, target: Target, tmp_path: Path) -> None:
    run(
        tmp_path,
        node / ".bin" / "spectral",
        "lint",
        target.document_file,
        f"--ruleset={HERE / 'spectral.yaml'}",
        "--fail-severity=hint",
    )


async def test_accepted_bodies_and_responses_match_the_schemas(
    node: Path, target: Target, tmp_path: Path
) -> None:
    """Validate with ajv, an implementation that neither the service nor Schemathesis uses."""
    api, headers = target.service.api, {"Authorization": f"Bearer {await target.key()}"}
    cases: list[Json] = []

    def call(method: str, path: str, template: str, body: Any, **more: str) -> Any:
        response = api.request(method, path, json=body, headers={**headers, **more})
        assert response.is_success, response.text
        place = f"#/paths/{template.replace('/', '~1')}/{method.lower()}"
        kind = "application~1merge-patch+json" if method == "PATCH" else "application~1json"
        ref = f"/responses/{response.status_code}/content/application~1json/schema"
        cases.append({"ref": f"{place}/requestBody/content/{kind}/schema", "value": body})
        cases.append({"ref": f"{place}{ref}", "value": response.json()})
        return response

    root, one = "/api/v1/articles", "/api/v1/articles/{id}"
    shelf = call("POST", "/api/v1/shelves", "/api/v1/shelves", {"slug": "ajv", "name": "A"}).json()
    for number, values in enumerate(BOUNDARIES):
        body = {"sku": f"AJV-{number}", "name": "N", "price": 1, "shelf_id": shelf["id"], **values}
        made = call("POST", root, root, body)
        path = made.headers["location"]
        tag = call("PATCH", path, one, values, **{"If-Match": made.headers["etag"]}).headers["etag"]
        call("PUT", path, one, body, **{"If-Match": tag})
        operations = [
            {"op": "create", "item": {**body, "sku": f"AJV-{number}-B"}},
            {"op": "patch", "id": made.json()["id"], "if_match": "*", "changes": values},
            {"op": "delete", "id": shelf["id"], "if_match": '"0-0"'},
        ]
        call("POST", f"{root}/bulk", f"{root}/bulk", {"mode": "partial", "operations": operations})
    key = {"name": "ajv", "scopes": ["shop:read"], "days": 1.0}
    call("POST", "/api/v1/keys", "/api/v1/keys", key)
    question = json.dumps({"document": target.document, "cases": cases})
    (tmp_path / "node_modules").symlink_to(node)
    program = tmp_path / "validate.mjs"
    program.write_bytes((HERE / "typescript" / "validate.mjs").read_bytes())
    wrong = json.loads(run(tmp_path, "node", program, stdin=question))
    assert wrong == []
