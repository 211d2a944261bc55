"""Log level, format and buffer."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from service.config.group import LIVE, Group


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LoggingSettings(Group):
    level: LogLevel = Field(default=LogLevel.INFO, json_schema_extra=LIVE)
    """Lowest level that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object per line; `console`: for people; `auto`: console on a terminal, otherwise JSON."""
    access: bool = Field(default=True, json_schema_extra=LIVE)
    """Log one line per request. Turn it off if the proxy already logs requests."""
    access_sample: float = Field(default=1.0, ge=0, le=1, json_schema_extra=LIVE)
    """Share of the requests with a status below 400 that get a line, chosen by request id. Lower it if there is too
    much to store."""
    buffer_bytes: int = Field(default=4_194_304, ge=16_384)
    """Bytes of log lines that a process buffers while the log collector stalls. Further lines are dropped and counted
    in `slipway_log_lines_dropped_total`."""
