"""The JSON responses of operations."""

from starlette.responses import Response

from service.http.content.media_types import JSON_CONTENT


class JsonResponse(Response):
    """A JSON response. All are made here, so that a replay has the same content and fields.

    As Starlette's, without a search for fields that are never given here.
    """

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status_code, self.body, self.background = status, body, None
        raw = self.raw_headers = [(b"content-length", b"%d" % len(body)), JSON_CONTENT]
        for name, value in headers.items():
            raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))
