"""The programs that are compared: each serves `/api/v1/articles` over the same table."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.shop.door import PROGRAM, ROOT

PEERS = Path(__file__).with_name("peers")
INSTALLED = ROOT / ".local" / "bench"
INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A program and how to start it.

    `command` and `environment` may contain `{home}`, `{port}`, `{admin_port}`, `{database}` and `{redis}`. A program
    with `install` is one of benchmarks/peers: its folder is copied to its home, where these commands run once; it needs
    the `tools` on this machine.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    install: tuple[tuple[str, ...], ...] = ()
    tools: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """The folder in which it is started."""
        return INSTALLED / self.name if self.install else ROOT

    def prepare(self) -> str | None:
        """Install the program, unless that is done. Returns why it cannot be measured, in one line, or None."""
        if missing := [tool for tool in self.tools if shutil.which(tool) is None]:
            return f"{' and '.join(missing)} is not installed"
        if not self.install:
            return None
        stamp, wanted = self.home / ".installed", _digest(PEERS / self.name)
        if stamp.exists() and stamp.read_text() == wanted:
            return None
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(PEERS / self.name, self.home)
        for command in self.install:
            try:
                subprocess.run(
                    command,
                    cwd=self.home,
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=INSTALL_SECONDS,
                )
            except (OSError, subprocess.SubprocessError) as error:
                told = str(getattr(error, "stderr", "") or error).strip()
                return f"`{' '.join(command)}` failed: {told.splitlines()[-1]}"
        stamp.write_text(wanted)
        return None


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(
        b"\0".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)
    ).hexdigest()


def _uvicorn(module: str) -> tuple[str, ...]:
    options = "--http httptools --loop uvloop --no-access-log --log-level warning --port {port}"
    return sys.executable, "-m", "uvicorn", f"benchmarks.{module}:app", *options.split()


_SLIPWAY = {
    "SLIPWAY_SERVER__PORT": "{port}",
    "SLIPWAY_SERVER__ADMIN_PORT": "{admin_port}",
    "SLIPWAY_SERVER__DRAIN_DELAY": "0",
    "SLIPWAY_DATABASE__URL": "{database}",
    "SLIPWAY_DATABASE__ACQUIRE_TIMEOUT": "5",  # a busy machine must not turn a measurement into an error
    "SLIPWAY_REDIS__URL": "{redis}",
    "SLIPWAY_RATE_LIMIT__REQUESTS": "1000000",
    "SLIPWAY_RATE_LIMIT__WRITES": "1000000",
    "SLIPWAY_SECURITY__SECRET_KEY": "benchmark" * 4,
}
_PEER = {"DATABASE_URL": "{database}", "PORT": "{port}"}

FLOOR = Program("floor", "Floor: a bare ASGI function over asyncpg", _uvicorn("floor"), _PEER)
# As users start it. The tests' domain, which the load needs, also imports what servers do not.
SERVICE = Program(
    "service", "slipway serve", (str(Path(sys.executable).with_name("slipway")), "serve"), _SLIPWAY
)
SLIPWAY = Program("slipway", "Slipway, everything on", (*PROGRAM, "serve"), _SLIPWAY)
STOCK = Program("stock", "FastAPI with SQLModel sessions", _uvicorn("peers.stock"), _PEER)
DJANGO = Program(
    "django",
    "django-ninja with psycopg's pool",
    (
        "{home}/venv/bin/gunicorn",
        "app:application",
        *("--threads", "8", "--keep-alive", "75", "--bind", "127.0.0.1:{port}"),
    ),
    _PEER,
    install=(
        (sys.executable, "-m", "venv", "venv"),
        (
            "venv/bin/pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            "requirements.txt",
        ),
    ),
)
FASTIFY = Program(
    "fastify",
    "Fastify with pg",
    ("node", "{home}/server.mjs"),
    {**_PEER, "NODE_ENV": "production"},
    install=(("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"),),
    tools=("node", "npm"),
)
GO = Program(
    "go",
    "Go's net/http with pgx",
    ("{home}/server",),
    _PEER,
    install=(("go", "build", "-o", "server", "."),),
    tools=("go",),
)

PROGRAMS = (FLOOR, SLIPWAY, STOCK, DJANGO, FASTIFY, GO)
