"""The headers that the edge adds to every response."""

from operator import itemgetter

from starlette.types import Message, Scope

from service.http.middleware.services import EdgeServices
from service.http.middleware.state import RequestState

SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]
_NAME = itemgetter(0)  # of a field
_SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)
HSTS = (b"strict-transport-security", b"max-age=31536000")  # RFC 6797; seconds, a year


def edge_headers(
    scope: Scope, state: RequestState, services: EdgeServices, start: Message
) -> list[tuple[bytes, bytes]]:
    """Return the headers to add to a response. `start` is its `http.response.start`, whose security headers win."""
    names = [*map(bytes.lower, map(_NAME, start.get("headers", ())))]
    headers = [(b"x-request-id", state.request_id.encode()), *state.extra_headers]
    if _SECURITY_NAMES.isdisjoint(names):
        headers += SECURITY_HEADERS
    else:
        headers += [header for header in SECURITY_HEADERS if header[0] not in names]
    if scope["scheme"] == "https":  # as the client sees it, if a trusted proxy says so
        headers.append(HSTS)
    headers += services.cors.headers(scope)
    if services.lifecycle.draining:
        headers.append((b"connection", b"close"))
    return headers
