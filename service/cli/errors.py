"""Exit codes of the `slipway` command, and the way to end with one clear line."""

from enum import IntEnum


class Exit(IntEnum):
    """0 is success. Scripts may rely on these."""

    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    UNAVAILABLE = 4
    PORT_TAKEN = 5
    MIGRATION = 6
    NOT_AT_HEAD = 7


class CommandError(Exception):
    """Ends the command: `message` on standard error, line by line, and the exit code."""

    def __init__(self, message: str, exit_code: int = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
