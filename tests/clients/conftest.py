"""The programs that `make client-test` installs, and one service that all clients call."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import new_key
from tests.process.served import Served, eventually
from tests.services import Client

HERE = Path(__file__).parent
SCOPES = ("admin", "shop:read", "shop:write")

Json = dict[str, Any]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder filled by tests/clients/tools."""
    folder = os.environ.get("SLIPWAY_CLIENT_TOOLS")
    if not folder:
        pytest.skip("generators and linters are installed by `make client-test`")
    return Path(folder)


@pytest.fixture(scope="session")
def node(tools: Path) -> Path:
    """The folder of the Node packages."""
    if not (tools / "node_modules").is_dir():
        pytest.skip("there is no npm on this machine, or it could not install the packages")
    return tools / "node_modules"


@dataclass(frozen=True, slots=True)
class Target:
    """A running service and its document."""

    service: Served
    database_url: str
    document: Json
    document_file: Path

    async def key(self) -> str:
        """A new key with all scopes."""
        return await new_key(self.database_url, *SCOPES)

    def missed(self, key: str) -> set[str]:
        """Return the operations that never succeeded with this key, as "get /path"."""
        # A request is logged after its response is sent, so the last line may come after the client has ended.
        eventually(lambda: self.operations <= self._called(key), seconds=5)
        return self.operations - self._called(key)

    def _called(self, key: str) -> set[str]:
        principal = f"key:{key.split('_')[1]}"
        lines = self.service.lines(event="request", principal=principal)
        return {f"{line['method'].lower()} {line['route']}" for line in lines if line["status"] < 400}

    @property
    def operations(self) -> set[str]:
        """Return the operations of the document that need a key."""
        return {
            f"{method} {path}"
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if operation["security"]
        }


@pytest.fixture(scope="session")
async def target(
    services: Client, worker: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    """`slipway serve` on a database that nothing else uses."""
    name, home = f"clients_{worker}", tmp_path_factory.mktemp("clients")
    url = services.create_database(name, migrated=True)
    service = Served(home, database__url=url, redis__enabled="false", rate_limit__enabled="false")
    try:
        text = service.ready().api.get("/openapi.json").text
        file = home / "openapi.json"
        file.write_text(text, "utf-8")
        yield Target(service, url, json.loads(text), file)
    finally:
        service.close()
        services.drop_database(name)


@pytest.fixture(scope="session")
def typescript(node: Path, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both generated TypeScript clients and the programs that use them, compiled into `out`."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(node)
    for file in ("package.json", "tsconfig.json", "fetch.ts", "hey.ts"):
        (folder / file).write_bytes((HERE / "typescript" / file).read_bytes())
    bin_ = node / ".bin"
    run(
        folder,
        bin_ / "openapi-typescript",
        target.document_file,
        "--default-non-nullable=false",
        "-o",
        "schema.d.ts",
    )
    config = {
        "input": str(target.document_file),
        "output": {"path": "hey", "importFileExtension": ".js"},
        "plugins": ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
    }
    (folder / "openapi-ts.config.mjs").write_text(f"export default {json.dumps(config)};\n")
    run(folder, bin_ / "openapi-ts", "--no-log-file")
    run(folder, bin_ / "tsc", "--project", ".")
    return folder


def run(folder: Path, *command: object, stdin: str = "", **environment: str) -> str:
    """Run a command that must succeed, and return its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
