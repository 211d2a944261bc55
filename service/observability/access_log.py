"""The access log: one line per request, written as bytes, since logging would cost more than the request."""

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from service import clock
from service.config import LoggingSettings
from service.ndjson import escape_separators
from service.observability.logs import is_json, stdout_writer

LONGEST = 200
CLIENT_ERROR, SERVER_ERROR = 400, 500
HASHES = 2**32
REFUSALS = 20


@dataclass(slots=True)
class AccessLine:
    """One request. `seconds` runs from the first byte received to the last byte sent; `size` is in bytes."""

    method: str
    template: str | None
    status: int
    seconds: float
    size: int
    principal: str | None
    request_id: str
    trace_id: str | None
    span_id: str | None


class AccessLog:
    """Writes access lines to standard output, as JSON or for the console."""

    def __init__(self, settings: LoggingSettings, stream: BinaryIO | None = None) -> None:
        self.follow(settings)
        self._json = is_json(settings, sys.stdout)
        writer = stdout_writer() if stream is None else None
        self._put = _unbuffered(stream or sys.stdout.buffer) if writer is None else writer.write
        self._refusals_used = float("-inf")  # the time until which the lines of refusals are used up

    def follow(self, settings: LoggingSettings) -> None:
        """Use the level, the switch and the sample of these settings from now on."""
        self._enabled = settings.access and settings.level in {"debug", "info"}
        self._sample = settings.access_sample

    def lists_refusal(self) -> bool:
        """Whether to write the line of a request that was turned away: `REFUSALS` in a second.

        They come in floods, which a line for each would prolong; `slipway_requests_turned_away` counts all.
        """
        now = clock.monotonic()
        used = max(self._refusals_used, now - 1) + 1 / REFUSALS
        if used > now:
            return False
        self._refusals_used = used
        return True

    def write(self, line: AccessLine) -> None:
        if self._enabled and (
            line.status >= CLIENT_ERROR
            or self._sample == 1
            or zlib.crc32(line.request_id.encode()) < self._sample * HASHES  # the same in all services
        ):
            self._put(_as_json(line) if self._json else _for_people(line))


class NoAccessLog:
    """Writes nothing."""

    def lists_refusal(self) -> bool:
        return False

    def write(self, line: AccessLine) -> None:
        pass


def _unbuffered(stream: BinaryIO) -> Callable[[bytes], None]:
    def put(line: bytes) -> None:
        stream.write(line)
        stream.flush()

    return put


def _as_json(line: AccessLine) -> bytes:
    text = orjson.dumps(
        {
            "time": clock.now(),
            "level": "info",
            "event": "request",
            "method": line.method[:LONGEST],
            "route": line.template,
            "status": line.status,
            "duration_ms": round(line.seconds * 1000, 3),
            "bytes": line.size,
            "principal": line.principal,
            "request_id": line.request_id,
            "trace_id": line.trace_id,
            "span_id": line.span_id,
        },
        option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z,
    )
    return text if text.isascii() else escape_separators(text)


def _for_people(line: AccessLine) -> bytes:
    colour = 31 if line.status >= SERVER_ERROR else 33 if line.status >= CLIENT_ERROR else 32
    return (
        f"{clock.now():%H:%M:%S} \x1b[{colour}m{line.status}\x1b[0m {line.method[:LONGEST]:<6} "
        f"{line.template or '(no route)'} {line.seconds * 1000:.1f} ms {line.principal or '-'} "
        f"{line.request_id}\n"
    ).encode()
