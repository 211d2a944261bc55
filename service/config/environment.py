"""The environment of this process and its child processes."""

import os


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a child process: ours, with `changes`."""
    return {**os.environ, **changes}
