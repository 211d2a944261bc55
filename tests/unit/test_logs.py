"""Log lines: no secrets from local variables, and no line too long for a collector."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from service.config import LoggingSettings
from service.observability import logs
from tests.isolation import log_plainly

IN_TROUBLE = """
import logging
import warnings
from service.config import LoggingSettings
from service.observability import logs

class Untidy:
    def __del__(self):
        raise OSError("the socket is closed")

class Mute:
    def __str__(self):
        raise ValueError("no text")

logs.configure(LoggingSettings(format="json"))
Untidy()
logging.getLogger("library").warning("%s", Mute())
warnings.warn("an old call")
noisy = logging.getLogger("noisy")
noisy.setLevel(logging.DEBUG)
noisy.debug("a detail")
"""


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A stream for log lines, to pass to `logs.configure`."""
    before = logging.getLogger().handlers[:]
    yield io.StringIO()
    logging.getLogger().handlers[:] = before
    log_plainly()


def _fail(_secret: str, message: str) -> None:
    raise RuntimeError(message)


def _log_a_failure(secret: str, message: str, **more: str) -> None:
    try:
        _fail(secret, message)
    except RuntimeError:
        structlog.get_logger("test").exception("failed", **more)


def test_logger_of_a_command_is_configured_again(stream: io.StringIO) -> None:
    """Otherwise a test that captures lines would depend on the commands that tests before it have run."""
    logger = structlog.get_logger("test")
    logs.configure(LoggingSettings(format="json"), stream)
    logger.info("to the stream")
    log_plainly()
    with structlog.testing.capture_logs() as lines:
        logger.info("captured")
    assert [line["event"] for line in lines] == ["captured"]
    assert "captured" not in stream.getvalue()


def test_console_tracebacks_hide_local_variables(stream: io.StringIO) -> None:
    logs.configure(LoggingSettings(format="console"), stream)
    secret = "s3cr3t-in-a-local"
    _log_a_failure(secret, "broken")
    assert "broken" in stream.getvalue()
    assert secret not in stream.getvalue()


@pytest.mark.parametrize("letter", ["x", "\x00", "€", '"'])
def test_long_line_is_truncated_but_keeps_the_traceback_end(stream: io.StringIO, letter: str) -> None:
    logs.configure(LoggingSettings(format="json"), stream)
    _log_a_failure("", letter * 20_000 + "the cause", one=letter * 5000, two=letter * 5000)
    line = stream.getvalue()
    assert len(line.encode()) <= 8192 + 1  # its newline
    told = json.loads(line)
    assert told["event"] == "failed"
    assert told["exception"].endswith("the cause")


def test_errors_without_a_caller_are_lines_of_the_log() -> None:
    """Those of a destructor, which Python prints to standard error, and of an argument that has no text; warnings too.
    A library with a level of its own logs no more than the service."""
    done = subprocess.run(
        [sys.executable, "-c", IN_TROUBLE], capture_output=True, text=True, timeout=60, check=True
    )
    ignored, unwritten, warned = map(json.loads, done.stdout.splitlines())
    assert done.stderr == ""
    assert ignored["event"].startswith("exception ignored: <function Untidy.__del__ at ")
    assert (ignored["level"], ignored["logger"]) == ("error", "python")
    assert ignored["exception"].endswith("OSError: the socket is closed")
    assert (unwritten["event"], unwritten["error"]) == ("a log line cannot be written", "ValueError")
    assert warned["logger"] == "py.warnings"
    assert "UserWarning: an old call" in warned["event"]
