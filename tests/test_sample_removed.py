"""Without the sample domain the chassis is whole: a copy of the tracked files from which it is deleted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shop.door import ROOT

SAMPLE = ROOT / "service" / "domains" / "catalog"
PARTS = ("service/domains/catalog", "tests/domains/catalog")
BIN = Path(sys.executable).parent
CREATE = "from service.main import create_app; from service.config import Settings; create_app(Settings())"
BROAD = (
    "tests/api",
    "tests/security/test_scopes.py",
    "tests/security/test_matrix.py",
    "tests/domains",
    "tests/unit",
)

pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample domain is already gone")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files without the sample."""
    folder = tmp_path_factory.mktemp("removed")
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for part in PARTS:
        shutil.rmtree(folder / part)
    for migration in (folder / "service" / "domains" / "migrations").glob("catalog_*.py"):
        migration.unlink()
    domains = folder / "service" / "domains" / "__init__.py"
    lines = [line for line in domains.read_text().splitlines(keepends=True) if "catalog" not in line]
    domains.write_text("".join(lines))
    return folder


def run(copy: Path, *command: object, seconds: float = 100) -> None:
    """Run a command in the copy; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=copy,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": str(copy), "HOME": str(copy)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


def test_application_is_created_without_the_sample(copy: Path) -> None:
    run(copy, sys.executable, "-c", CREATE)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_gates_are_green_without_the_sample(copy: Path) -> None:
    """Lint, types, generated references after one command, the collection of all tests, and a broad part of them."""
    run(copy, BIN / "ruff", "check", ".")
    run(copy, BIN / "mypy", seconds=300)
    run(copy, sys.executable, "docs/reference/generate.py")
    run(copy, sys.executable, "docs/reference/generate.py", "--check")
    run(copy, BIN / "pytest", "--collect-only", "-q", seconds=100)
    run(copy, BIN / "pytest", "-q", *BROAD, seconds=400)
