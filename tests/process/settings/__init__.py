"""Every setting has an effect that can be seen from outside the process. `table.py` says how to add one."""

from tests.process.settings import (
    backup,
    commands,
    data,
    edge,
    identity,
    limits,
    logs,
    lost,
    parts,
    pool,
    retention,
    s3,
    sentinel,
    stop,
    tokens,
    workers,
)

__all__ = [
    "backup",
    "commands",
    "data",
    "edge",
    "identity",
    "limits",
    "logs",
    "lost",
    "parts",
    "pool",
    "retention",
    "s3",
    "sentinel",
    "stop",
    "tokens",
    "workers",
]
