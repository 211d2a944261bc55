"""What FastAPI makes of generated routes waits for the document."""

from typing import Any

import pytest

from service.main import create_app
from service.resources.documented_route import DocumentedRoute
from tests.engine.api import settings_for
from tests.shop import SHOP


def test_fastapi_analyses_generated_routes_for_the_document_alone() -> None:
    app = create_app(settings_for("postgresql://nobody@localhost/none"), (SHOP,))
    routes = [route for route in app.routes if isinstance(route, DocumentedRoute)]
    assert {route.path_format for route in routes} <= app.openapi()["paths"].keys()
    fresh = create_app(settings_for("postgresql://nobody@localhost/none"), (SHOP,))
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
