"""The media type of content (RFC 9110, section 8.3), and the types an operation accepts."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request

from service.http.middleware.state import KEY, RequestState
from service.http.problems import UnsupportedMediaType

JSON_CONTENT = (b"content-type", b"application/json")
"""The field of a response with JSON."""

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"({_NAME}/{_NAME})")
# RFC 9110, 5.6.6; possessive, so that matching takes linear time.
_PARAMETER = re.compile(rf'[ \t]*+;[ \t]*+(?:({_NAME})=({_NAME}|"(?:[^"\\]|\\.)*+"))?+')


@dataclass(frozen=True, slots=True)
class MediaType:
    """`name` in lower case, such as `application/json`; parameter names in lower case, values as sent."""

    name: str
    parameters: Sequence[tuple[str, str]]
    is_utf_8: bool
    """Whether no `charset` is other than UTF-8. All other parameters are ignored."""

    @property
    def is_json(self) -> bool:
        """Whether the type is JSON, or based on it (RFC 6839, 3.1)."""
        return self.name == "application/json" or self.name.endswith("+json")


@lru_cache(64)
def media_type(value: str) -> MediaType | None:
    """Return the media type of a `Content-Type` field; None if it is malformed."""
    match = _TYPE.match(value)
    if match is None:
        return None
    name, parameters, place = match[1].lower(), [], match.end()
    while found := _PARAMETER.match(value, place):
        place = found.end()
        if found[1]:
            parameters.append((found[1].lower(), _unquoted(found[2])))
    if value[place:].strip(" \t"):
        return None
    charsets = [charset.lower() for parameter, charset in parameters if parameter == "charset"]
    return MediaType(name, parameters, is_utf_8=not set(charsets) - {"utf-8"})


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def require_media_type(request: Request, allowed: Collection[str]) -> None:
    """Raises `UnsupportedMediaType` unless the content is one of the `allowed`, in UTF-8, without content coding."""
    state: RequestState = request.scope[KEY]
    fields = state.fields
    values = fields.get(b"content-type", ())
    given = media_type(values[0].decode("latin-1")) if len(values) == 1 else None
    if given is None or given.name not in allowed or not given.is_utf_8:
        raise UnsupportedMediaType(
            f"Send {' or '.join(allowed)} in UTF-8.", headers={"Accept": ", ".join(allowed)}
        )
    codings = fields.get(b"content-encoding", ())
    if codings and any(coding.lower() != b"identity" for coding in codings):
        raise UnsupportedMediaType("Send the body without content coding.")
