"""Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from service.http.content.integers import INT32
from service.http.middleware.state import field_values, state_of
from service.http.problems import FieldError, MalformedRequest, PreconditionRequired

# As documented. The parser also accepts rarer forms of RFC 9110, such as empty list elements.
TAGS_PATTERN = r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'
_VERSION = re.compile(r"[1-9][0-9]{0,9}")
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(r'\s*(W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*(,\s*((W/)?"[\x21\x23-\x7e\x80-\xff]*"\s*)?)*\Z')

STALE = "The item has changed since it was read. Read it again, and send its new ETag."
_WEAK = (
    "If-Match has a weak entity tag (W/), which never matches: the comparison is strong (RFC 9110, section 13.1.1). "
    "A proxy that compresses responses makes their ETags weak. Read the item with Accept-Encoding: identity, and "
    "send the ETag of that response."
)


_RENAMED = (
    "If-Match has an entity tag to which a proxy added the name of a compression, such as -gzip, so it never matches. "
    "Read the item with Accept-Encoding: identity, and send the ETag of that response."
)
# Apache's mod_deflate and mod_brotli, and Jetty.
_COMPRESSED = re.compile(r"[-;:](gzip|br|deflate|zstd)\Z")


@dataclass(frozen=True, slots=True)
class Tags:
    """The entity tags of an `If-Match` or `If-None-Match` field. `any` means `*`; `strong` has only the strong ones."""

    any: bool
    strong: frozenset[str]
    all: frozenset[str]

    @property
    def advice(self) -> str:
        """Return the advice for a client when no tag matches."""
        if self.strong != self.all:
            return _WEAK
        return _RENAMED if any(map(_COMPRESSED.search, self.strong)) else STALE

    def match(self, tag: str) -> bool:
        """Whether `If-Match` holds for an item with this tag: strong comparison (RFC 9110, 13.1.1)."""
        return self.any or tag.strip('"') in self.strong

    def match_weakly(self, tag: str) -> bool:
        """Whether `If-None-Match` names an item with this tag: weak comparison (RFC 9110, 13.1.2)."""
        return self.any or tag.strip('"') in self.all


class TagMaker:
    """Makes the entity tags of one resource from a row's version and a digest of the shown fields.

    A release that shows other fields represents the same version with other bytes, so it needs other tags. The tag of
    an item that shows others within it ends in a digest of theirs; a change may send it, since it names the version.
    """

    def __init__(self, shown_fields: Sequence[str]) -> None:
        self._digest = hashlib.sha256(",".join(shown_fields).encode()).hexdigest()[:8]

    def tag(self, version: int, others: str = "") -> str:
        """Return the strong tag of a version, in quotes. `others` is a digest of what the item shows of others."""
        return f'"{version}-{self._digest}.{others}"' if others else f'"{version}-{self._digest}"'

    def versions(self, tags: Tags) -> list[int]:
        """Return the versions that the tags name, by strong comparison."""
        found = []
        for opaque in tags.strong:
            version, _, digest = opaque.partition("-")
            if (
                digest.partition(".")[0] == self._digest
                and _VERSION.fullmatch(version)
                and int(version) in INT32
            ):
                found.append(int(version))
        return found

    def newest(self, tags: Tags) -> int:
        """Return the highest version that the tags name, weak ones included; 0 without any."""
        return max(self.versions(Tags(any=False, strong=tags.all, all=tags.all)), default=0)


def digest(content: bytes) -> str:
    """Return what content is known by in entity tags: the same for the same bytes."""
    return hashlib.sha256(content).hexdigest()[:32]


def tag_of(content: bytes) -> str:
    """Return the strong tag of content without a version, in quotes."""
    return f'"{digest(content)}"'


def conditions_of(request: Request) -> tuple[Tags | None, Tags | None]:
    """Return the tags in `If-Match` and in `If-None-Match`. Raises `MalformedRequest`."""
    fields = state_of(request.scope).fields
    return (
        tags_of(request, "If-Match") if b"if-match" in fields else None,
        tags_of(request, "If-None-Match") if b"if-none-match" in fields else None,
    )


def tags_of(request: Request, header: str) -> Tags | None:
    """Return the tags in a header; None without the header. Raises `MalformedRequest`."""
    values = field_values(request.scope, header.lower().encode())
    if not values:
        return None
    tags = parse_tags(",".join(values))
    if tags is None:
        message = "The value must be * or a list of entity tags in quotes."
        raise MalformedRequest(errors=[FieldError(message, header=header)])
    return tags


def parse_tags(text: str) -> Tags | None:
    """Return the tags in a field's value; None if it is malformed."""
    text = text.strip()
    if text == "*":
        return Tags(any=True, strong=frozenset(), all=frozenset())
    if (only := _TAG.fullmatch(text)) is not None:
        weak, tag = only[1], frozenset((only[2],))
        return Tags(any=False, strong=frozenset() if weak else tag, all=tag)
    if not _LIST.match(text):
        return None
    found = _TAG.findall(text)
    return Tags(
        any=False,
        strong=frozenset(opaque for weak, opaque in found if not weak),
        all=frozenset(opaque for _, opaque in found),
    )


@dataclass(frozen=True, slots=True)
class Guard:
    """The preconditions of a change, as parameters of its statement.

    `versions` are allowed, None for all; `excluded` are not, None for none. `advice` is for a client whose tags do not
    match.
    """

    versions: list[int] | None
    excluded: list[int] | None
    advice: str = STALE

    def parameters(self) -> dict[str, list[int] | None]:
        return {"versions": self.versions, "excluded": self.excluded}

    def allows(self, version: int) -> bool:
        allowed = self.versions is None or version in self.versions
        return allowed and (self.excluded is None or version not in self.excluded)


def guard_of(request: Request, tags: TagMaker, *, required: bool) -> Guard:
    """Return the preconditions in `If-Match` and `If-None-Match`. Raises `PreconditionRequired` if `If-Match` is
    `required` and missing."""
    matching, unless = conditions_of(request)
    if matching is None and required:
        raise PreconditionRequired("Send the ETag of the item as If-Match.")
    versions = None if matching is None or matching.any else tags.versions(matching)
    advice = STALE if matching is None else matching.advice
    if unless is None:
        return Guard(versions, None, advice)
    if unless.any:
        return Guard([], None, advice)  # always fails: the item exists, or there is nothing to change
    all_of_them = Tags(any=False, strong=unless.all, all=unless.all)
    return Guard(versions, tags.versions(all_of_them), advice)
