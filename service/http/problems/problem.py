"""Problem details (RFC 9457): the base class of all problems, and the errors of single values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import orjson

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100  # listed in one problem; more do not help the client
LONGEST_TEXT = 500  # characters of a message or pointer


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one value: of a JSON body by pointer (RFC 6901), of a parameter or header by name."""

    message: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None

    def as_json(self) -> dict[str, str]:
        return {
            key: value[:LONGEST_TEXT]
            for key in ("pointer", "parameter", "header", "message")
            if (value := getattr(self, key)) is not None
        }


class Problem(Exception):  # noqa: N818  # the RFC's own term
    """Base of all problems. `detail` is shown to the client: no SQL, no stack, no secret; so is `context`, JSON text
    from the detail of a hand-written route's exception."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        context: bytes | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = errors
        self.context = context
        given = headers or {}
        names = {name.lower() for name in given}
        self.all_headers = {name: v for name, v in self.headers.items() if name.lower() not in names} | {
            **given
        }

    @cached_property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields of its response, but for the length of the content."""
        given = [(name.lower().encode(), value.encode()) for name, value in self.all_headers.items()]
        return [*given, (b"content-type", MEDIA_TYPE.encode())]

    def as_json(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """Return the members of the problem document."""
        body: dict[str, Any] = {
            "type": f"urn:slipway:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "instance": instance,
            "request_id": request_id,
        }
        if self.detail is not None:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = [error.as_json() for error in self.errors[:MOST_ERRORS]]
        if self.context is not None:
            body["context"] = orjson.Fragment(self.context)
        return body

    def as_bytes(self, *, instance: str, request_id: str) -> bytes:
        return orjson.dumps(self.as_json(instance=instance, request_id=request_id))


def pointer(path: Iterable[Any]) -> str:
    """Return a JSON pointer (RFC 6901) to the value at `path`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
