"""What is logged, and in which form."""

from enum import StrEnum
from typing import Literal

from service.config.group import Group


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LoggingSettings(Group):
    level: LogLevel = LogLevel.INFO
    """Least severe level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json` lines, `console` for humans; `auto` is console on a terminal and JSON elsewhere."""
    access: bool = True
    """Write one line a request."""
