"""The environment of this process and its child processes."""

import os

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that tells prometheus_client to write files, for several processes, and where."""


def child_environment(**changes: str) -> dict[str, str]:
    """Return the environment for a child process: ours, with `changes`."""
    return {**os.environ, **changes}
