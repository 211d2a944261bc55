"""Generated clients have every operation, and every operation works."""

from pathlib import Path

import pytest

from tests.clients.conftest import HERE, Target, run

pytestmark = [pytest.mark.xdist_group("clients"), pytest.mark.timeout(200)]


async def test_python_client(tools: Path, target: Target, tmp_path: Path) -> None:
    python = tools / "python" / "bin" / "python"
    if not python.exists():
        pytest.skip("openapi-python-client could not be installed")
    told = run(
        tmp_path,
        python.with_name("openapi-python-client"),
        "generate",
        f"--path={target.document_file}",
        "--output-path=slipway_client",
        "--meta=none",
        f"--config={HERE / 'openapi-python-client.yaml'}",
        "--fail-on-warning",
    )
    assert "warning" not in told.lower(), told
    key = await target.key()
    url = str(target.service.api.base_url).rstrip("/")
    run(tmp_path, python, HERE / "use_python.py", url, key, "python", PYTHONPATH=str(tmp_path))
    assert target.missed(key) == set()


@pytest.mark.parametrize("program", ["fetch", "hey"])
async def test_typescript_client(typescript: Path, target: Target, program: str) -> None:
    key = await target.key()
    url = str(target.service.api.base_url).rstrip("/")
    run(typescript, "node", f"out/{program}.js", url, key, program)
    assert target.missed(key) == set()
