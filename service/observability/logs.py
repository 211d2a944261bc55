"""Logs: JSON lines for machines, coloured lines for a terminal; one path for ours and the libraries'."""

import logging
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor

from service.config import LoggingSettings

LONGEST_VALUE = 2000
LONGEST_LINE = 8192
"""Bytes of a JSON line; collectors cut or refuse longer ones."""
SHORT_VALUE = 100


def configure(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard output) in the format that the settings name."""
    stream = stream or sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
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
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(is_json(settings, stream)),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def is_json(settings: LoggingSettings, stream: TextIO) -> bool:
    """Whether lines are JSON: as the settings say, and for `auto` when nobody watches a terminal."""
    return settings.format == "json" or (settings.format == "auto" and not stream.isatty())


def _renderers(json: bool) -> list[Processor]:  # noqa: FBT001
    if json:
        return [structlog.processors.format_exc_info, _json_line]
    return [
        structlog.dev.ConsoleRenderer(
            colors=True,
            pad_event_to=0,
            # The default shows local variables, and with them whatever secrets are in them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _bounded(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """No value floods the log: long texts are cut."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > LONGEST_VALUE and key != "exception":
            event[key] = value[:LONGEST_VALUE] + "…"
    return event


def _json_line(_logger: Any, _method: str, event: EventDict) -> str:
    ordered = {"time": event.pop("timestamp", None), "level": event.pop("level", None), **event}
    while len(line := orjson.dumps(ordered, default=str)) > LONGEST_LINE and _cut_longest(ordered):
        pass
    return line.decode()


def _cut_longest(event: EventDict) -> bool:
    """Halve the longest text; of a traceback stays the end, where the cause is. False when no text is long."""
    texts = {
        key: value for key, value in event.items() if isinstance(value, str) and len(value) > SHORT_VALUE
    }
    if not texts:
        return False
    key = max(texts, key=lambda name: len(texts[name]))
    value, kept = texts[key], len(texts[key]) // 2
    event[key] = "…" + value[-kept:] if key == "exception" else value[:kept] + "…"
    return True
