"""Dependencies that change what a hand-written route accepts or returns."""

from fastapi import Request

from service.http.content.negotiation import require_acceptable


async def any_query() -> None:
    """A dependency that allows any query: the route parses all parameters itself, repeated ones included."""


async def any_body() -> None:
    """A dependency that allows any body: the route needs the raw bytes, such as a signed webhook.

    The limits on size and time still apply.
    """


async def answers_json(request: Request) -> None:
    """The dependency of hand-written routes that return JSON. Raises `NotAcceptable` if the client accepts none."""
    require_acceptable(request, "application/json")
