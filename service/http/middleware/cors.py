"""Cross-origin requests (Fetch standard, 3.2), for the configured origins only.

The edge adds the headers to every response, so that a page can read every problem: without them, a 413 looks like a
network error.
"""

from collections.abc import Iterable

from starlette.types import Scope

from service.http.middleware.state import REFUSAL, state_of
from service.http.problems import MalformedRequest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Accept", "Accept-Language", "Authorization", "Content-Language", "Content-Type", "Idempotency-Key", "If-Match",
    "If-None-Match", "X-API-Key", "X-Request-Id", "traceparent", "tracestate",
)  # fmt: skip
RESPONSE_HEADERS = (
    "Accept", "Allow", "ETag", "Idempotency-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy",
    "Retry-After", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
PREFLIGHT_SECONDS = 600

RawHeaders = list[tuple[bytes, bytes]]

_ORIGIN = b"origin"
_WANTED_METHOD = b"access-control-request-method"
_WANTED_HEADERS = b"access-control-request-headers"
_VARY = (b"vary", b"Origin")
_EXPOSED = (b"access-control-expose-headers", ", ".join(RESPONSE_HEADERS).encode())
_PREFLIGHT: RawHeaders = [
    (b"access-control-allow-methods", ", ".join(METHODS).encode()),
    (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
    (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
]
_METHODS = frozenset(method.encode() for method in METHODS)
_REQUEST_HEADERS = frozenset(name.lower().encode() for name in REQUEST_HEADERS)


class Cors:
    """The origins whose pages may call the API, without browser credentials (cookies)."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, scope: Scope) -> RawHeaders:
        """Return the headers of every response. `Vary` is sent even without an origin, for caches."""
        origin = self._allowed(scope)
        if origin is None:
            return [_VARY]
        return [_VARY, (b"access-control-allow-origin", origin), _EXPOSED]

    def preflight(self, scope: Scope) -> RawHeaders | None:
        """Return the additional headers that allow a preflight; None for any other `OPTIONS`.

        Raises `MalformedRequest` for an origin, method or header that is not allowed.
        """
        if not (_values(scope, _ORIGIN) and _values(scope, _WANTED_METHOD)):
            return None
        names = b",".join(_values(scope, _WANTED_HEADERS)).split(b",")
        wanted = {name for field in names if (name := field.strip().lower())}
        if (
            self._allowed(scope) is None
            or not _METHODS.issuperset(_values(scope, _WANTED_METHOD))
            or not _REQUEST_HEADERS.issuperset(wanted)
        ):
            raise MalformedRequest("This origin, method or header is not allowed across origins.")
        return _PREFLIGHT

    def _allowed(self, scope: Scope) -> bytes | None:
        origins = _values(scope, _ORIGIN)
        if not origins and REFUSAL in scope and len(self._origins) == 1:
            # The connection refused the request before reading its Origin. A single origin can always be sent.
            return next(iter(self._origins))
        return origins[0] if len(origins) == 1 and origins[0] in self._origins else None


class NoCors:
    """Allows no cross-origin requests, and sends no CORS headers."""

    def headers(self, scope: Scope) -> RawHeaders:  # noqa: ARG002  # as `Cors`
        return []

    def preflight(self, scope: Scope) -> None:
        pass


def _values(scope: Scope, wanted: bytes) -> list[bytes]:
    return state_of(scope).fields.get(wanted, [])
