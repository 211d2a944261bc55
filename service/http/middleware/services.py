"""What the edge works with. Whatever is not given does nothing: no part of the edge is optional for its code."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.types import Scope

from service.http.middleware.admission import Admission, NoAdmission
from service.http.middleware.cors import Cors, NoCors
from service.http.middleware.dispatch import Dispatch, NoDispatch
from service.http.middleware.forwarded import NoProxies, TrustedProxies
from service.http.middleware.trusted_hosts import AnyHost, TrustedHosts
from service.http.server.lifecycle import Lifecycle
from service.observability.access_log import AccessLog, NoAccessLog
from service.observability.metrics import NoRequestMetrics, RequestMetrics


class Callers(Protocol):
    """Identifies and admits the caller of a request."""

    async def admit_early(self, scope: Scope) -> None:
        """Admit the caller of a route whose body is about to be read by FastAPI. Raises a problem."""

    async def identify(self, scope: Scope) -> None:
        """Write the principal into the request's state. May raise a problem or a database error."""

    def known(self, scope: Scope) -> Any:
        """Return the principal if it is cached."""


class NoCallers:
    """For an application without principals."""

    async def admit_early(self, scope: Scope) -> None:
        pass

    async def identify(self, scope: Scope) -> None:
        pass

    def known(self, scope: Scope) -> None:
        pass


def _no_flags() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeServices:
    """The collaborators and bounds of one edge; `max_body_bytes` is the largest request body."""

    lifecycle: Lifecycle
    max_body_bytes: int
    public_path: str = ""
    access: AccessLog | NoAccessLog = field(default_factory=NoAccessLog)
    metrics: RequestMetrics | NoRequestMetrics = field(default_factory=NoRequestMetrics)
    admission: Admission | NoAdmission = field(default_factory=NoAdmission)
    proxies: TrustedProxies | NoProxies = field(default_factory=NoProxies)
    hosts: TrustedHosts | AnyHost = field(default_factory=AnyHost)
    cors: Cors | NoCors = field(default_factory=NoCors)
    callers: Callers = field(default_factory=NoCallers)
    flags: Callable[[], object] = _no_flags
    """Returns the states of feature flags that a request begins with."""
    dispatch: Dispatch | NoDispatch = field(default_factory=NoDispatch)
