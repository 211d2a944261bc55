"""The machine: its processors, and which of them a process may use."""

import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

_OURS = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "asyncpg",
    "sqlalchemy",
    "sqlmodel",
    "pydantic",
    "orjson",
)


def processors() -> tuple[str, str]:
    """Return the processor of the program under measurement, and those of everything else, as taskset names them."""
    first, *others = sorted(os.sched_getaffinity(0))
    return str(first), ",".join(map(str, others)) or str(first)


def keep_off() -> None:
    """Keep the calling thread, a client, off the processor of the program under measurement."""
    os.sched_setaffinity(0, {int(number) for number in processors()[1].split(",")})


def on(processor: str, command: Sequence[str]) -> list[str]:
    """Return the command that runs a command on these processors."""
    return ["taskset", "--cpu-list", processor, *command] if shutil.which("taskset") else [*command]


def description() -> str:
    """Return the machine and the versions of the libraries in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in _OURS)
    return f"{len(os.sched_getaffinity(0))} processors ({model}), Python {platform.python_version()}, {libraries}"
