"""Builds the FastAPI application from settings and domains. Read it top to bottom."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service import __version__
from service.backup.run_metrics import REPORT_SECONDS as BACKUP_SECONDS
from service.backup.run_metrics import BackupMetrics
from service.cache.cached_function import Caches
from service.cache.change_feed import ChangeFeed
from service.cache.memory import Memory
from service.cache.redis_client import NoRedis, Redis
from service.config import Settings
from service.database import Database
from service.domains import DOMAINS
from service.features import routes as features
from service.features.flag_store import FlagStore, with_flags
from service.features.live_settings import LiveGroups, live_settings, values_of
from service.health import admin_port
from service.health.probes import Health
from service.http import openapi
from service.http.middleware.admission import Admission
from service.http.middleware.cors import Cors, NoCors
from service.http.middleware.dispatch import Dispatch
from service.http.middleware.edge import Edge
from service.http.middleware.entrance import Entrance
from service.http.middleware.forwarded import TrustedProxies
from service.http.middleware.services import EdgeServices
from service.http.middleware.trusted_hosts import AnyHost, TrustedHosts
from service.http.openapi import docs_page
from service.http.openapi.operation_ids import provisional_id
from service.http.problems import handlers
from service.http.server.lifecycle import Lifecycle
from service.jobs.job import Job
from service.jobs.job_runner import JobRunner
from service.jobs.leases import Leases
from service.jobs.periodic import Periodic
from service.migrations.policies import expected_policies
from service.migrations.schema import Schema
from service.observability import logs
from service.observability.access_log import AccessLog
from service.observability.metrics import NoRequestMetrics, RequestMetrics
from service.resources.conflicts import refuse_conflicts
from service.resources.declaration import RestResource
from service.resources.declaration.list_indexes import warn_of_missing_indexes
from service.resources.domain import Domain, caches_of, flags_of, jobs_of, resources_of
from service.resources.engine import Engine, Services, engines_of
from service.resources.lists.cursor import CursorCodec
from service.resources.purge_expired import ExpiredRows
from service.resources.requests.idempotency import IdempotencyStore
from service.resources.routes import document_operations, handlers_of
from service.resources.rows_of_callers import rows_told
from service.resources.statements.ownership import Owners
from service.resources.units import Units
from service.security.access import check_ungated
from service.security.api_keys import routes as api_keys
from service.security.api_keys.api_key_verifier import ApiKeyVerifier
from service.security.api_keys.expiry import REPORT_SECONDS, KeyExpiry
from service.security.api_keys.last_use import WRITE_SECONDS
from service.security.callers import Callers
from service.security.gate import Gate, Verifier
from service.security.rate_limits.request_limits import Limits, limits_of
from service.security.scopes import known_scopes, require_scopes
from service.security.signing_keys import SigningKeys
from service.security.tokens.no_tokens import NoTokens

if TYPE_CHECKING:
    from service.security.tokens.token_verifier import TokenVerifier

API = "/api/v1"
MEBIBYTE = 1024 * 1024
# The chassis' own routes.
TAGS = (api_keys.TAG, *features.TAGS, admin_port.TAG)


class Application(FastAPI):
    """FastAPI inside the edge, which handles requests that do not need the framework without its layers."""

    edge: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.edge(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Without the outermost layer, which responds to an unhandled exception in plain text: the edge handles it."""
        stack = super().build_middleware_stack()
        assert isinstance(stack, ServerErrorMiddleware)
        return stack.app


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Step = Callable[[], Awaitable[None]]


def create_app(settings: Settings, domains: Sequence[Domain] = DOMAINS) -> FastAPI:
    """The public application. It connects to nothing until its lifespan starts."""
    resources = resources_of(domains)
    warn_of_missing_indexes(resources)
    lifecycle, owners = Lifecycle(), Owners(resources)
    redis = Redis(settings.redis) if settings.redis.enabled else NoRedis()
    feed = ChangeFeed(redis, settings.app.name)
    database = Database(settings, feed)
    tokens, limits = _tokens(settings), limits_of(settings.rate_limit, redis)
    keys = ApiKeyVerifier(database, settings.security.key_cache_seconds)
    gate = _gate(settings, [keys, tokens], limits, owners)
    schema = _schema(settings, database, resources, owners)
    health = Health(database=database, schema=schema, optional=redis.checks, lifecycle=lifecycle)
    services = _services(settings, database, feed, owners)
    engines = engines_of(resources, services)
    caches = Caches(caches_of(domains), database, services.memory, feed)
    access = AccessLog(settings.logging)
    live = LiveGroups(settings, {"logging": (logs.follow, access.follow)})
    units = Units(database, services.engines)
    flags = FlagStore(database, (*flags_of(domains), *live_settings()), values_of(settings), live.follow)
    more = (*redis.jobs, *limits.jobs, *flags.jobs, *feed.jobs)
    jobs = _jobs(settings, database, health, keys, tokens, more=more)
    team = [with_flags(job, flags) for job in jobs_of(domains, database, settings, units, taken=jobs)]
    periodic = Periodic(JobRunner(Leases(database)), jobs, team, draining=lambda: lifecycle.draining)
    # The probes close first: they run until then, and would reopen what is closed before them.
    starting = (_one_after_another(database.start, flags.start), redis.start)
    closing = (health.close, keys.last_use.close, caches.close, database.stop, tokens.close, redis.close)

    app = _fastapi(settings, resources, _lifespan(settings, lifecycle, starting, periodic, closing))
    app.state.settings, app.state.gate, app.state.flags = settings, gate, flags
    app.state.database, app.state.caches, app.state.units = database, caches, units
    app.state.health, app.state.lifecycle = health, lifecycle

    _route(app, domains, engines)
    _document(app, settings, gate)
    _require_scopes(app, resources)
    dispatch = Dispatch(API, handlers_of(engines, gate, prefix=API))
    around = _edge_services(settings, lifecycle, gate, flags, dispatch, access=access)
    app.edge, app.state.entrance = Edge(super(Application, app).__call__, around), Entrance(around)
    return app


def _gate(settings: Settings, verifiers: Sequence[Verifier], limits: Limits, owners: Owners) -> Gate:
    rows = None if settings.database.row_security == "disable" else rows_told(owners)
    return Gate(verifiers, limits=limits, anonymous=settings.security.anonymous, rows_of=rows)


def _schema(
    settings: Settings, database: Database, resources: Sequence[RestResource], owners: Owners
) -> Schema:
    policies = expected_policies((one.column for one in owners.all), settings.database.row_security)
    return Schema(database, [resource.table for resource in resources], policies)


def _fastapi(settings: Settings, resources: Sequence[RestResource], lifespan: Lifespan) -> Application:
    app = Application(
        title=settings.app.name.capitalize(),
        version=__version__,
        description="Lists are paged by cursor, updates use `If-Match`, and errors are problem details (RFC 9457).",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_ungated)],
        openapi_tags=[*(resource.tag for resource in resources), *TAGS],
        generate_unique_id_function=provisional_id,
    )
    handlers.install(app)
    return app


def _route(app: FastAPI, domains: Sequence[Domain], engines: Sequence[Engine]) -> None:
    document_operations(app, engines, prefix=API)
    app.include_router(api_keys.router, prefix=API)
    app.include_router(features.router, prefix=API)
    app.include_router(admin_port.public)
    for domain in domains:  # last, so that their paths cannot hide the service's own
        for router in domain.routers:
            app.include_router(router, prefix=API, tags=None if router.tags else [domain.name])
    refuse_conflicts(app, engines, taken={tag["name"]: tag["description"] for tag in TAGS})


def _tokens(settings: Settings) -> "TokenVerifier | NoTokens":
    if not settings.security.issuers:
        return NoTokens()
    # Cryptography and an HTTP client: 90 modules and 10 MB that only issuers need.
    from service.security.tokens.token_verifier import TokenVerifier  # noqa: PLC0415

    return TokenVerifier(settings.security)


def _document(app: FastAPI, settings: Settings, gate: Gate) -> None:
    if settings.feature.docs:
        docs_page.install(app)
    openapi.install(app, gate.is_open)


def _require_scopes(app: FastAPI, resources: Sequence[RestResource]) -> None:
    require_scopes(app, API)
    of_fields = (resource.visible.values() for resource in resources)
    of_owners = (resource.owner.all_scope for resource in resources if resource.owner is not None)
    app.state.scopes = frozenset(known_scopes(app)).union(*of_fields, of_owners)


def _jobs(
    settings: Settings,
    database: Database,
    health: Health,
    keys: ApiKeyVerifier,
    tokens: "TokenVerifier | NoTokens",
    *,
    more: Sequence[Job],
) -> list[Job]:
    """The service's own periodic work."""
    return [
        Job("health", health.refresh, 2),
        Job("pools", database.report, 1),
        Job("key-expiry", KeyExpiry(database).report, REPORT_SECONDS, first=5),
        Job("key-last-used", keys.last_use.write, WRITE_SECONDS, first=WRITE_SECONDS),
        Job("backups", BackupMetrics(database).report, BACKUP_SECONDS, first=5),
        Job("token-keys", tokens.renew, 30, first=5),
        *ExpiredRows(database, settings).jobs,
        *more,
    ]


def _edge_services(
    settings: Settings,
    lifecycle: Lifecycle,
    gate: Gate,
    flags: FlagStore,
    dispatch: Dispatch,
    *,
    access: AccessLog,
) -> EdgeServices:
    server, security = settings.server, settings.security
    return EdgeServices(
        lifecycle=lifecycle,
        max_body_bytes=server.max_body_bytes,
        public_path=server.public_path,
        access=access,
        metrics=RequestMetrics(settings) if settings.monitoring.metrics else NoRequestMetrics(),
        admission=Admission(server.max_concurrency),
        proxies=TrustedProxies(server),
        hosts=TrustedHosts(security.trusted_hosts) if security.trusted_hosts else AnyHost(),
        cors=Cors(security.cors_origins) if security.cors_origins else NoCors(),
        callers=Callers(gate),
        flags=flags.current,
        dispatch=dispatch,
    )


def _services(settings: Settings, database: Database, feed: ChangeFeed, owners: Owners) -> Services:
    return Services(
        database=database,
        records=IdempotencyStore(database, settings.app.idempotency_hours),
        cursors=CursorCodec(
            settings.security.secret_key.get_secret_value(), current=SigningKeys(settings).current
        ),
        sizes=settings.performance,
        exports=asyncio.Semaphore(settings.performance.exports),
        memory=Memory(settings.performance.cache_memory * MEBIBYTE),
        feed=feed,
        owners=owners,
    )


def _one_after_another(*steps: Step) -> Step:
    async def run() -> None:
        for step in steps:
            await step()

    return run


def _lifespan(
    settings: Settings,
    lifecycle: Lifecycle,
    starting: Sequence[Step],
    periodic: Periodic,
    closing: Sequence[Step],
) -> Lifespan:
    """Start connections and background jobs; at shutdown, close them in order.

    Connections start concurrently, and none waits long for an unreachable server.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.gather(*(start() for start in starting))
        if settings.performance.freeze_gc:
            gc.freeze()  # without a collection, which takes 0.1 s and finds less than a hundredth
        async with periodic.running():
            lifecycle.started = True
            yield
        for close in closing:
            await close()

    return lifespan
