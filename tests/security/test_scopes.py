"""Scopes on every route of the shop: the declarations against the OpenAPI document and against what happens."""

from collections.abc import Sequence

from fastapi import FastAPI

from service.resources.domain import Domain
from tests.authorization.cases import (
    test_every_route_is_in_the_table,
    test_only_the_required_scope_grants_access,
)
from tests.authorization.expected import BASE, CHASSIS, actions, documented, generated, table

__all__ = ["test_every_route_is_in_the_table", "test_only_the_required_scope_grants_access"]

HANDWRITTEN = {f"get {BASE}/shelves/{{id}}/summary": {"shop:read"}}


def test_routes_match_the_declarations(app: FastAPI, domains: Sequence[Domain]) -> None:
    declared = {operation.key for operation in generated(domains)}
    declared |= actions(domains).keys()
    assert set(documented(app)) == declared | CHASSIS.keys() | HANDWRITTEN.keys()
    assert {key: table(app, domains)[key] for key in HANDWRITTEN} == HANDWRITTEN


def test_derived_scope_table_matches_a_literal_one(app: FastAPI, domains: Sequence[Domain]) -> None:
    """So that a derivation that leaves something out is noticed."""
    shelves, reads = f"{BASE}/shelves", {"shop:read"}
    assert {key: scopes for key, scopes in table(app, domains).items() if "shelves" in key} == {
        f"get {shelves}": reads,
        f"post {shelves}": {"shop:write"},
        f"post {shelves}/bulk": {"shop:write"},
        f"get {shelves}/export": reads,
        f"get {shelves}/{{id}}": reads,
        f"put {shelves}/{{id}}": {"shop:write"},
        f"patch {shelves}/{{id}}": {"shop:write"},
        f"delete {shelves}/{{id}}": {"shop:write"},
        f"post {shelves}/{{id}}/restore": {"shop:write"},
        f"get {shelves}/{{id}}/history": reads,
        f"get {shelves}/{{id}}/articles": reads,
        f"get {shelves}/{{id}}/summary": reads,
    }
