"""Content negotiation (RFC 9110, section 12.5.1): each operation has one media type, and the client takes it or not."""

from starlette.requests import Request

from service.http.problems import NotAcceptable


def require_acceptable(request: Request, media_type: str) -> None:
    """Raises `NotAcceptable` when the `Accept` field excludes `media_type`."""
    accept = ",".join(request.headers.getlist("accept")).lower()
    if accept in ("", "*/*", media_type):
        return
    kind = media_type.partition("/")[0]
    # The most specific range that fits decides.
    qualities = dict(_range(part) for part in accept.split(","))
    for candidate in (media_type, f"{kind}/*", "*/*"):
        if candidate in qualities:
            if qualities[candidate] > 0:
                return
            break
    raise NotAcceptable(f"The answer is {media_type}.")


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 1.0
