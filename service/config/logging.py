"""What is logged, and in which format."""

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
    """`json` lines, `console` for humans; `auto` is console on a terminal and JSON elsewhere."""
    access: bool = True
    """Log one line per request."""
    buffer_bytes: int = Field(default=4_194_304, ge=16_384)
    """Bytes of log lines that a process buffers while the log collector stalls. Further lines are dropped and counted
    in `slipway_log_lines_dropped_total`."""
