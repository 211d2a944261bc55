"""Exit codes of the `slipway` command, and the error that ends it with a message."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes that scripts may rely on. 0 is success."""

    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    UNAVAILABLE = 4
    PORT_TAKEN = 5
    MIGRATION = 6
    NOT_AT_HEAD = 7
    REFUSED_BACKUP = 8


class CommandError(Exception):
    """Ends the command with `message` on standard error and the exit code."""

    def __init__(self, message: str, exit_code: int = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
