"""Cross-origin requests (Fetch standard), for the origins that are named and no other."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.problems import MEDIA_TYPE, MalformedRequest
from service.http.state import state_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-API-Key",
    "X-Request-Id", "traceparent",
)  # fmt: skip
RESPONSE_HEADERS = (
    "ETag", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
PREFLIGHT_SECONDS = 600


class Cors(CORSMiddleware):
    """Starlette's middleware, whose refusals are problems like all others."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if "origin" not in headers or not preflight:
            await super().__call__(scope, receive, send)
            return
        answer = self.preflight_response(request_headers=headers)
        if answer.status_code >= 400:  # noqa: PLR2004
            problem = MalformedRequest("This origin, method or header is not allowed across origins.")
            body = problem.as_bytes(instance=scope["path"], request_id=state_of(scope).request_id)
            answer = Response(body, problem.status, {"Vary": "Origin"}, media_type=MEDIA_TYPE)
        await answer(scope, receive, send)
