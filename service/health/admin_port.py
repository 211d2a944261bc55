"""The application of the admin port (probes, metrics, version), and `/health` on the public port."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service import __version__
from service.config import METRICS_FOLDER, Settings, child_environment
from service.health.probes import Health
from service.http.handwritten import any_query, responses_of
from service.http.middleware.dispatch import Dispatch, Handler
from service.http.middleware.dispatch import Route as Handled
from service.http.middleware.edge import Edge
from service.http.middleware.services import EdgeServices
from service.http.problems import Unavailable
from service.http.server.lifecycle import Lifecycle
from service.migrations import branches
from service.observability.exposition import Exposition

READY, NOT_READY = 200, 503
# Made once: probes ask every second.
ALIVE = JSONResponse({"status": "alive"})
STARTED, STARTING = JSONResponse({"status": "started"}), JSONResponse({"status": "starting"}, NOT_READY)

TAG = {"name": "health", "description": "Whether the service can serve requests."}
public = APIRouter(tags=[TAG["name"]], dependencies=[Depends(any_query)])


class PublicHealth(BaseModel):
    """The health of the service, without details."""

    status: Literal["ok"] = "ok"


@public.get("/health", summary="Read the health of the service", responses=responses_of(Unavailable))
async def read_health(request: Request) -> PublicHealth:
    """Says only ok or not; the admin port's `/readyz` says why."""
    health: Health = request.app.state.health
    if not await health.ready():
        raise Unavailable
    return PublicHealth()


def create_admin_app(health: Health, settings: Settings, lifecycle: Lifecycle) -> Edge:
    """Return the admin application: `/livez`, `/readyz`, `/startupz`, `/version`, and `/metrics` if it is on.

    Its edge neither counts nor logs, since probes come every second, and finds their handlers by one look-up.
    """
    handlers = _handlers(health)
    if settings.monitoring.metrics:
        folder = child_environment().get(METRICS_FOLDER)
        handlers["/metrics"] = _merged_metrics(Path(folder)) if folder else _metrics()
    # Other paths and methods get the framework's responses.
    others = Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])
    found = [Handled("GET", path, handler) for path, handler in handlers.items()]
    services = EdgeServices(
        lifecycle=lifecycle, max_body_bytes=settings.server.max_body_bytes, dispatch=Dispatch("", found)
    )
    return Edge(others, services)


def _handlers(health: Health) -> dict[str, Any]:
    async def live(_: Request) -> Response:
        return ALIVE

    async def started(_: Request) -> Response:
        return STARTED if health.started else STARTING

    async def ready(_: Request) -> Response:
        checks = {name: check.as_json() for name, check in (await health.checks()).items()}
        is_ready = await health.ready()
        state = "draining" if health.draining else "ready" if is_ready else "not ready"
        return JSONResponse({"status": state, "checks": checks}, READY if is_ready else NOT_READY)

    heads = {branch.name: branches.head(branch) for branch in branches.BRANCHES}

    async def version(_: Request) -> Response:
        return JSONResponse({"version": __version__, "migration_heads": heads})

    return {"/livez": live, "/startupz": started, "/readyz": ready, "/version": version}


def _metrics() -> Handler:
    exposition = Exposition(REGISTRY)

    async def metrics(_: Request) -> Response:
        return _exposed(await exposition.write())

    return metrics


def _merged_metrics(folder: Path) -> Handler:
    from service.observability.merged import MergedMetrics  # noqa: PLC0415  # for several workers only

    merged = MergedMetrics(folder)

    async def metrics(_: Request) -> Response:
        return _exposed(await asyncio.to_thread(merged.write))

    return metrics


def _exposed(text: bytes) -> Response:
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})
