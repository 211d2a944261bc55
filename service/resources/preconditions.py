"""Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from service.http.problems import FieldError, MalformedRequest, PreconditionFailed, PreconditionRequired

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(r'\s*(W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(,\s*((W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)?)*\Z')


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of an `If-Match` or `If-None-Match` field; `any` for `*`. Only strong ones are kept in `strong`."""

    any: bool
    strong: frozenset[str]
    all: frozenset[str]


class TagMaker:
    """Entity tags of one resource: the row's version, and a digest of which fields are shown.

    A deployment that shows another set of fields makes other bytes of the same version, so it needs other tags.
    """

    def __init__(self, shown_fields: Sequence[str]) -> None:
        self._digest = hashlib.sha256(",".join(shown_fields).encode()).hexdigest()[:8]

    def tag(self, version: int) -> str:
        """The strong tag of a version, in quotes."""
        return f'"{version}-{self._digest}"'

    def versions(self, tags: Tags) -> list[int] | None:
        """The versions that `If-Match` names, by strong comparison; None for any version."""
        if tags.any:
            return None
        found = []
        for opaque in tags.strong:
            version, _, digest = opaque.partition("-")
            if digest == self._digest and re.fullmatch(r"[1-9][0-9]{0,9}", version) and int(version) < 2**31:
                found.append(int(version))
        return found

    def none_match(self, tags: Tags | None, version: int) -> bool:
        """Whether `If-None-Match` lets the answer through, by weak comparison."""
        return tags is None or not (tags.any or self.tag(version).strip('"') in tags.all)


def tags_of(request: Request, header: str) -> Tags | None:
    """The tags of a header, None when it is absent. Raises `MalformedRequest`."""
    values = request.headers.getlist(header)
    if not values:
        return None
    text = ",".join(values).strip()
    if text == "*":
        return Tags(any=True, strong=frozenset(), all=frozenset())
    if not _LIST.match(text):
        message = "The value must be * or a list of entity tags in quotes."
        raise MalformedRequest(errors=[FieldError(message, header=header)])
    found = _TAG.findall(text)
    return Tags(
        any=False,
        strong=frozenset(opaque for weak, opaque in found if not weak),
        all=frozenset(opaque for _, opaque in found),
    )


def required_match(request: Request, tags: TagMaker) -> list[int] | None:
    """The versions that `If-Match` allows, None for any. Raises `PreconditionRequired` without the header."""
    given = tags_of(request, "If-Match")
    if given is None:
        raise PreconditionRequired("Send the ETag of the item as If-Match.")
    return tags.versions(given)


def stale() -> PreconditionFailed:
    return PreconditionFailed("Read the item again, and send its new ETag.")
