"""The application of the admin port (probes, metrics, version), and `/health` on the public port."""

from typing import Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette_exporter import handle_metrics

from service import __version__
from service.health.probes import Health
from service.http.handwritten import any_query, responses_of
from service.http.problems import Unavailable
from service.migrations import branches

READY, NOT_READY = 200, 503

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


def create_admin_app(health: Health, *, metrics: bool) -> Starlette:
    """Return the admin application: `/livez`, `/readyz`, `/startupz`, `/version`, and `/metrics` if `metrics`."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def started(_: Request) -> Response:
        return _answer(health.started, "started", "starting")

    async def ready(_: Request) -> Response:
        checks = {name: check.as_json() for name, check in (await health.checks()).items()}
        is_ready = await health.ready()
        state = "draining" if health.draining else "ready" if is_ready else "not ready"
        return JSONResponse({"status": state, "checks": checks}, READY if is_ready else NOT_READY)

    heads = {branch.name: branches.head(branch) for branch in branches.BRANCHES}

    async def version(_: Request) -> Response:
        return JSONResponse({"version": __version__, "migration_heads": heads})

    routes = [
        Route("/livez", live),
        Route("/startupz", started),
        Route("/readyz", ready),
        Route("/version", version),
    ]
    if metrics:
        routes.append(Route("/metrics", handle_metrics))
    return Starlette(routes=routes)


def _answer(good: bool, yes: str, no: str) -> Response:  # noqa: FBT001
    return JSONResponse({"status": yes if good else no}, READY if good else NOT_READY)
