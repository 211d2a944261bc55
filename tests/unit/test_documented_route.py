"""What FastAPI makes of generated routes waits for the document."""

from enum import StrEnum
from typing import Any

import pytest
from fastapi._compat import v2
from pydantic import BaseModel

from service.config import Settings
from service.http.openapi import flat_models
from service.main import create_app
from service.resources.documented_route import DocumentedRoute
from tests.engine.api import domain_of, settings_for
from tests.engine.tables import gadgets, groups


def test_fastapi_analyses_generated_routes_for_the_document_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And then makes no validator for each field of each model."""
    monkeypatch.delattr(v2, "get_model_fields")
    domains = domain_of(groups(), gadgets())
    app = create_app(settings_for("postgresql://nobody@localhost/none"), domains)
    routes = [route for route in app.routes if isinstance(route, DocumentedRoute)]
    assert {route.path_format for route in routes} <= app.openapi()["paths"].keys()
    fresh = create_app(settings_for("postgresql://nobody@localhost/none"), domains)
    waiting = [route for route in fresh.routes if isinstance(route, DocumentedRoute)]
    assert [route.name for route in waiting if "dependant" in vars(route)] == []
    assert [route.name for route in routes if "dependant" not in vars(route)] == []
    assert not hasattr(routes[0], "no_such_attribute")


def test_each_read_of_a_route_that_cannot_be_described_says_why() -> None:
    def describe() -> dict[str, Any]:
        raise ValueError("no such schema")

    route = DocumentedRoute("GET", "/lamps", operation_id="list_lamps", scope="lamps:read", describe=describe)
    for _ in range(2):
        with pytest.raises(ValueError, match="no such schema"):
            route.dependant  # noqa: B018  # reading it is what matters


class Colour(StrEnum):
    RED = "red"


class Leaf(BaseModel):
    colour: Colour | None = None


class Tree(BaseModel):
    name: str
    leaves: dict[str, list[Leaf]]
    parent: "Tree | None" = None


def test_models_of_a_document_are_those_that_fields_name() -> None:
    assert flat_models.models_of(Tree) == {Tree, Leaf, Colour}
    for model in (Tree, Settings):
        assert flat_models.models_of(model) == flat_models.replaced(model), "as FastAPI does"
