"""Logging for the service and its libraries: JSON lines, or coloured lines on a terminal."""

import logging
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from service import actor, clock
from service.config import LoggingSettings
from service.ndjson import escape_separators
from service.observability.writer import LineWriter

LONGEST_VALUE = 2000
LONGEST_LINE = 8192
"""Maximum length of a JSON line, in bytes; log collectors cut or drop longer ones."""
SHORT_VALUE = 100


def configure(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` in the configured format.

    Without a stream, lines go to standard output without ever blocking: see `writer`. Python's warnings and unraisable
    exceptions then become log lines too.
    """
    json = is_json(settings, stream or sys.stdout)
    handler = (
        _stdout_handler(settings.buffer_bytes, json=json) if stream is None else logging.StreamHandler(stream)
    )
    shared: list[Processor] = [
        with_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _bounded,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(json),
            ],
        )
    )
    _take_all(handler)
    follow(settings)


def follow(settings: LoggingSettings) -> None:
    """Use the level of these settings from now on, also for libraries."""
    root = logging.getLogger()
    root.setLevel(settings.level.upper())
    for handler in root.handlers:
        # A logger with a level of its own does not ask the root's.
        handler.setLevel(settings.level.upper())


def _take_all(handler: logging.Handler) -> None:
    """Route all loggers, including those of libraries, to the handler."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _WriterHandler(logging.Handler):
    """Passes lines to the writer."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  # logging must not fail the request
            line = (
                f'{{"level":"error","event":"a log line cannot be written","error":"{type(error).__name__}"}}'
            )
        self.writer.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _stdout_handler(most: int, *, json: bool) -> logging.Handler:
    """Return a handler for standard output; it writes directly if there is no file descriptor."""
    if (writer := stdout_writer()) is None:
        try:
            descriptor = sys.stdout.fileno()
        except OSError:
            return logging.StreamHandler(sys.stdout)
        writer = LineWriter(descriptor, most=most, notice=lambda missed: _notice(missed, json=json))
    logging.captureWarnings(capture=True)
    sys.unraisablehook = _log_unraisable
    return _WriterHandler(writer)


def stdout_writer() -> LineWriter | None:
    """Return the writer of standard output, if `configure` has set one."""
    handlers = logging.getLogger().handlers
    return next((handler.writer for handler in handlers if isinstance(handler, _WriterHandler)), None)


def _notice(missed: int, *, json: bool) -> bytes:
    event = "log lines dropped"
    if json:
        told = {"time": clock.now(), "level": "warning", "event": event, "dropped": missed}
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
    return f"{clock.now():%H:%M:%S} {event}: {missed}\n".encode()


def _log_unraisable(error: "sys.UnraisableHookArgs") -> None:
    """Log what Python would print to standard error, which could block."""
    cause = error.exc_value
    where = error.err_msg or "exception ignored"
    logging.getLogger("python").error("%s: %r", where, error.object, exc_info=cause)


def is_json(settings: LoggingSettings, stream: TextIO) -> bool:
    """Whether lines are JSON: as configured, or for `auto` if the stream is not a terminal."""
    return settings.format == "json" or (settings.format == "auto" and not stream.isatty())


def _renderers(json: bool) -> list[Processor]:  # noqa: FBT001
    if json:
        return [structlog.processors.format_exc_info, _json_line]
    return [
        structlog.dev.ConsoleRenderer(
            colors=True,
            pad_event_to=0,
            # The default formatter shows local variables, which may hold secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def with_request_id(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Name the request that the code works for, unless the line names one."""
    acting = actor.current()
    if acting is not None and acting.request_id is not None:
        event.setdefault("request_id", acting.request_id)
    return event


def _bounded(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Cut long values."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST_VALUE and key != "exception":
            event[key] = value[:LONGEST_VALUE] + "…"
    return event


def _json_line(_logger: Any, _method: str, event: EventDict) -> str:
    ordered = {"time": event.pop("timestamp", None), "level": event.pop("level", None), **event}
    while len(line := orjson.dumps(ordered, default=str)) > LONGEST_LINE and _cut_longest(ordered):
        pass
    return escape_separators(line).decode()


def _cut_longest(event: EventDict) -> bool:
    """Halve the longest text; a traceback keeps its end, where the cause is. Returns False if no text is long."""
    texts = {
        key: value for key, value in event.items() if isinstance(value, str) and len(value) > SHORT_VALUE
    }
    if not texts:
        return False
    key = max(texts, key=lambda name: len(texts[name]))
    value, kept = texts[key], len(texts[key]) // 2
    event[key] = "…" + value[-kept:] if key == "exception" else value[:kept] + "…"
    return True
