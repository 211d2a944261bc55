"""What the developer's machine must not change about the tests, and how they log."""

import os
import sys
import traceback
from typing import TextIO

import structlog
from structlog.typing import ExcInfo

from service.config import SECRETS_DIR, sources

FRAMES = 6  # of a traceback in the log, the last ones


def forget_settings() -> None:
    """Take away the settings of whoever runs the tests: variables such as SLIPWAY_DATABASE__URL, and `.env`.

    Variables that steer the tests themselves (SLIPWAY_TEST_…, SLIPWAY_FAULT_…) stay.
    """
    for name in [*os.environ]:
        if name == SECRETS_DIR or (name.upper().startswith("SLIPWAY_") and "__" in name):
            del os.environ[name]
    sources.DOTENV = os.devnull


def log_plainly() -> None:
    """Log what fails in a few lines. structlog's own default has rich print every frame with every local variable,
    which takes seconds and hides the assertion that failed."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=_last_frames),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stdout),
        cache_logger_on_first_use=False,
    )


def _last_frames(stream: TextIO, error: ExcInfo) -> None:
    stream.write("\n" + "".join(traceback.format_exception(*error, limit=-FRAMES)))
