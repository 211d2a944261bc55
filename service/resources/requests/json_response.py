"""The JSON responses of operations."""

from starlette.responses import Response


def json_response(status: int, headers: dict[str, str], body: bytes) -> Response:
    """Return a JSON response. All are made here, so that a replay has the same content and fields."""
    return Response(body, status, headers, media_type="application/json")
