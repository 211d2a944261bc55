"""The domain of docs/resources.md passes what `make check` and the tests ask of a domain."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guide.conftest import OrderService
from tests.process.served import command_environment
from tests.shop.door import ROOT

pytestmark = pytest.mark.long

BIN = Path(sys.executable).parent
SECONDS = 400
GATES = {
    "format": ("ruff", "check", "--fix", "service/domains"),  # sorts the imports, as `make format` does
    "lint": ("ruff", "check", "service/domains"),
    "types": ("mypy", "service/domains"),
    "tests": (
        "pytest",
        "-q",
        "-n",
        "0",
        "tests/domains/test_authorization.py",
        "tests/migrations/test_models.py",
    ),
    "migrations": ("python", "-m", "tests.migrations.lint"),
}


@pytest.mark.timeout(SECONDS + 100)
def test_domain_of_the_guide_passes_the_gates(service: OrderService) -> None:
    """The migrations and the models agree, and the authorization matrix covers its resources and routes."""
    assert service.stop() == 0
    for name in ("tests", "docs", "chart", "benchmarks"):
        shutil.copytree(ROOT / name, service.checkout.folder / name, ignore=shutil.ignore_patterns("catalog"))
    for file in ("pyproject.toml", "README.md", "Makefile"):
        shutil.copy2(ROOT / file, service.checkout.folder)
    for gate, command in GATES.items():
        done = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=service.checkout.folder,
            env=command_environment(PYTHONPATH=service.checkout.folder, PYTHONWARNINGS="default"),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{gate}: {done.stdout[-6000:]}{done.stderr[-3000:]}"
