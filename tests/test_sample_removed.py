"""The sample can be removed as docs/resources.md says: a copy of the tracked files passes every check."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authorization.expected import CHASSIS
from tests.conftest import DatabaseFactory
from tests.process.served import SLIPWAY, Served, command_environment
from tests.readme.markdown import commands, section
from tests.sample import SAMPLE
from tests.shop.door import ROOT

REMOVAL = [
    command.text
    for command in commands(
        section((ROOT / "docs" / "resources.md").read_text("utf-8"), "Removing the sample")
    )
]
MAKE = "make --assume-old=.venv/.installed"  # does not build an environment: the copy has that of this run
BIN = Path(sys.executable).parent
AUTHOR = ("-c", "user.name=test", "-c", "user.email=test@example.com")
SECONDS = 800
SHORT = ("-q", "-n", "2", "-m", "not long and not fault and not observability and not cluster")
GATES: dict[str, tuple[object, ...]] = {
    "check": (*MAKE.split(), "check"),
    "collection": (BIN / "pytest", "--collect-only", "-q"),
    "contract": (BIN / "pytest", *SHORT, "tests/api", "tests/domains", "tests/engine/test_resources_page.py"),
    "migrations": (BIN / "pytest", *SHORT, "tests/migrations"),
    "processes": (
        BIN / "pytest", *SHORT, "tests/readme", "tests/guide", "tests/tilt", "tests/dev/test_dev.py",
        *(f"tests/process/test_{name}.py" for name in ("domain", "helm_test", "ready_tables", "start", "stop")),
        *(f"tests/protocol/test_{name}.py" for name in ("every_problem", "handwritten", "honest")),
        *(f"tests/faults/test_{name}.py" for name in ("harness", "migrations", "probes", "start_order")),
        *(f"tests/security/test_{name}.py" for name in ("key_routes", "matrix", "page", "scopes")),
        *(f"tests/chart/test_{name}.py" for name in ("config", "domain_settings", "reference")),
    ),
}  # fmt: skip

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SAMPLE, reason="the sample domain is already gone"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the tracked files from which the sample is removed; `make` has not run yet."""
    folder = tmp_path_factory.mktemp("removed")
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for command in (
        ("init", "--quiet"),
        ("add", "--all"),
        (*AUTHOR, "commit", "--quiet", "--message", "The sample"),
    ):
        run(folder, "git", *command)
    for removal in REMOVAL:
        if not removal.startswith("make"):
            run(folder, "bash", "-c", removal)
    return folder


@pytest.fixture(scope="module")
def checkout(copy: Path) -> Path:
    """The copy after the rest of the removal, with this run's environment and what mypy knows already."""
    (copy / ".venv").symlink_to(BIN.parent)
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
    for removal in REMOVAL:
        if removal.startswith("make"):
            run(copy, "bash", "-c", removal.replace("make", MAKE))
    run(copy, "git", "add", "--all")
    return copy


def run(copy: Path, *command: object, **settings: object) -> None:
    """Run a command in the copy; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=copy,
        env=command_environment(PYTHONPATH=copy, HOME=copy, PYTHONWARNINGS="default", **settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


class Removed(Served):
    program = (SLIPWAY,)


@pytest.fixture
def served(copy: Path, fresh_database: DatabaseFactory, tmp_path: Path) -> Iterator[Served]:
    """The service of the copy, on a database that the copy has migrated."""
    url = fresh_database(migrated=False)
    run(copy, SLIPWAY, "migrate", database__url=url)
    given = {"database__url": url, "redis__enabled": "false", "feature__docs": "true"}
    service = Removed(tmp_path / "service", PYTHONPATH=copy, **given)
    yield service
    service.close()


def test_service_without_domains_is_ready_and_has_no_resource(served: Served) -> None:
    served.ready()
    document = served.api.get("/openapi.json").json()
    assert set(document["paths"]) == {operation.split()[1] for operation in CHASSIS}
    assert served.admin.get("/version").json()["migration_heads"]["domains"] is None


@pytest.mark.timeout(SECONDS + 100)
@pytest.mark.parametrize("gate", GATES)
def test_gate_is_green_without_the_sample(checkout: Path, gate: str) -> None:
    run(checkout, *GATES[gate])
