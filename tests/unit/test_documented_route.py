"""What FastAPI makes of generated routes waits for the document."""

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
