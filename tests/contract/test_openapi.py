"""The OpenAPI document matches the behaviour, for every status, header and parameter."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import SEED, Target
from tests.examples import EXAMPLES
from tests.services import ROOT

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
CONFIG = Path(__file__).with_name("schemathesis.toml")


# Parts of about the same duration, for several workers.
PARTS = [
    pytest.param("examples,coverage", "--include-path-regex=/articles", 10, id="articles"),
    pytest.param("examples,coverage", "--exclude-path-regex=/articles", 10, id="others"),
    pytest.param("fuzzing", "--exclude-path-regex=^$", 20, id="fuzzing"),
    pytest.param("stateful", "--exclude-path-regex=^$", 40, id="stateful"),
]


@pytest.mark.long
@pytest.mark.parametrize(("phases", "paths", "few"), PARTS)
@pytest.mark.timeout(300 + 30 * EXAMPLES)
async def test_schemathesis_finds_nothing(
    target: Target, phases: str, paths: str, few: int, tmp_path: Path
) -> None:
    """All checks, links included; `hooks.py` adds what Schemathesis cannot know."""
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        f"--config-file={CONFIG}",
        "run",
        f"{target.url}/openapi.json",
        "--checks=all",
        f"--phases={phases}",
        paths,
        f"--max-examples={EXAMPLES or few}",
        f"--seed={SEED}",
        f"--header=Authorization: Bearer {target.key}",
        "--no-color",
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SLIPWAY_TEST_SHELF": target.shelf,
            "SLIPWAY_TEST_PREFIX": target.key.split("_")[1],
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    sys.stdout.write(output.decode())  # pytest shows it if the test fails
    assert process.returncode == 0, f"repeat with SLIPWAY_TEST_SEED={SEED}"
