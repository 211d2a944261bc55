"""The environment of this process, and of those that it starts."""

import os


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a process that we start: ours, with `changes`."""
    return {**os.environ, **changes}
