"""JSON as RFC 8259 has it, held to I-JSON (RFC 7493), so that what a client sent is what is stored.

Refused: bytes that are not UTF-8, a byte order mark, duplicate names, NaN and Infinity, lone surrogates, NUL in
text, numbers that neither 64 bits nor a double can hold as they are, and deep nesting.

orjson enforces RFC 8259 only, and checking each value in Python would take ten times as long as parsing. So each check
below works on the whole text, and inspects single values only if necessary.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import orjson

from service.http.content.gc_pause import LARGE, collector_paused
from service.http.content.strict_numbers import check_numbers, may_be_inexact
from service.http.problems import InvalidJson

MAX_DEPTH = 32
MAX_CONTAINERS = 131_072  # 8 bytes of a megabyte for each; containers cost the parser and the collector most
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_TOO_DEEP = f"Nested deeper than {MAX_DEPTH} levels."


def parse(body: bytes) -> Any:
    """The document. Raises `InvalidJson` with the reason."""
    document = _load(body)
    if not _is_plain(body, document):
        for _ in _judge(body, document):
            pass
    return document


async def read(body: bytes) -> Any:
    """As `parse`, but yields to the event loop between the checks of a large body."""
    if len(body) <= LARGE:
        return parse(body)
    with collector_paused(len(body)):
        document = _load(body)
        await asyncio.sleep(0)
        for _ in _judge(body, document):
            await asyncio.sleep(0)
        return document


def _load(body: bytes) -> Any:
    if (
        len(body) > MAX_CONTAINERS
        and _opened(body) > MAX_CONTAINERS
        and _opened(_without_strings(body)) > MAX_CONTAINERS
    ):
        raise InvalidJson(f"There are more than {MAX_CONTAINERS} arrays and objects.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(_reason(error)) from None


def _opened(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def _is_plain(body: bytes, document: Any) -> bool:
    """Whether the text cannot break a rule of `_judge`, which costs more: true of most objects with a few members."""
    return (
        type(document) is dict
        and body.count(b":") == len(document)  # one for each member, and none within
        and body.count(b"[") + body.count(b"{") <= MAX_DEPTH
        and b"\\u0000" not in body
        and not may_be_inexact(body)
    )


def _judge(body: bytes, document: Any) -> Iterator[None]:
    """Check the rules beyond RFC 8259, and yield after each step. Raises `InvalidJson`."""
    deep = _opened(body) > MAX_DEPTH
    inexact = may_be_inexact(body)
    if deep or inexact:
        yield
        text = _without_strings(body)
        yield
        if deep:
            yield from _check_depth(text)
        if inexact:
            yield from check_numbers(text)
    if b":" in body:
        _check_names(body, document)
    if b"\\u0000" in body and b"\\u0000" in _without_backslashes(body):
        raise InvalidJson("A text has a NUL character.")


def _check_depth(text: bytes) -> Iterator[None]:
    """Remove the innermost pairs of brackets, level by level."""
    brackets = text.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        yield
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return
    raise InvalidJson(_TOO_DEEP)


def _check_names(body: bytes, document: Any) -> None:
    """Raise `InvalidJson` if an object has a duplicate name.

    Of two members with the same name, the parser keeps one. So the text then has more colons than the document when
    serialised again.
    """
    sent = body.count(b":")
    if type(document) is dict and sent == len(document):
        return  # one colon for each member, and none within
    if b"\\u003" in body:
        escapes = _without_backslashes(body)
        sent += escapes.count(b"\\u003a") + escapes.count(b"\\u003A")
    if sent != orjson.dumps(document).count(b":"):
        raise InvalidJson("An object has the same name twice.")


def _without_strings(body: bytes) -> bytes:
    """Return a valid JSON text without its strings."""
    if b'"' not in body:
        return body
    return b"".join(_without_backslashes(body).replace(b'\\"', b"").split(b'"')[::2])


def _without_backslashes(body: bytes) -> bytes:
    """Return the text without escaped backslashes, so that each remaining backslash begins another escape."""
    return body.replace(b"\\\\", b"")


def _reason(error: json.JSONDecodeError) -> str:
    message = error.msg
    if "UTF-8:" in message:
        return "The body is not UTF-8."
    if "recursion" in message.lower():
        return _TOO_DEEP
    if "surrogate" in message:
        return "A text has half of a surrogate pair."
    if "infinity" in message:
        return "A number does not fit into a double without loss; send it as text."
    return f"{message[:1].upper()}{message[1:]} at character {error.pos}."
