"""Every setting, its effect seen from outside a started process. `table.py` says how to add one."""

from tests.process.settings import (
    commands,
    data,
    edge,
    limits,
    logs,
    lost,
    parts,
    pool,
    stop,
    tokens,
    workers,
)

__all__ = ["commands", "data", "edge", "limits", "logs", "lost", "parts", "pool", "stop", "tokens", "workers"]
