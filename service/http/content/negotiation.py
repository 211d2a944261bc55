"""Content negotiation (RFC 9110, section 12.5.1) among an operation's media types."""

from collections.abc import Mapping

from starlette.requests import Request

from service.http.middleware.state import KEY, RequestState
from service.http.problems import NotAcceptable


def require_acceptable(request: Request, *media_types: str) -> str:
    """Return the media type that `Accept` prefers, the first on a tie. Raises `NotAcceptable` if it excludes all."""
    state: RequestState = request.scope[KEY]
    values = state.fields.get(b"accept")
    if not values:
        return media_types[0]
    accept = b",".join(values).decode("latin-1").lower()
    if accept in ("", "*/*", media_types[0]):
        return media_types[0]
    qualities = dict(_range(part) for part in accept.split(","))
    best = max(media_types, key=lambda media_type: _quality(media_type, qualities))
    if _quality(best, qualities) <= 0:
        raise NotAcceptable(f"The response is {' or '.join(media_types)}.")
    return best


def _quality(media_type: str, qualities: Mapping[str, float]) -> float:
    """Return the quality of the most specific matching range, or 0."""
    kind = media_type.partition("/")[0]
    fitting = (range_ for range_ in (media_type, f"{kind}/*", "*/*") if range_ in qualities)
    return next((qualities[range_] for range_ in fitting), 0.0)


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 1.0
