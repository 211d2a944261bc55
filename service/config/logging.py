"""Log level, format and buffer."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from service.config.group import Group


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LoggingSettings(Group):
    level: LogLevel = LogLevel.INFO
    """Lowest level that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object per line; `console`: for people; `auto`: console on a terminal, otherwise JSON."""
    access: bool = True
    """Log one line per request. Turn it off if the proxy already logs requests."""
    buffer_bytes: int = Field(default=4_194_304, ge=16_384)
    """Bytes of log lines that a process buffers while the log collector stalls. Further lines are dropped and counted
    in `slipway_log_lines_dropped_total`."""
