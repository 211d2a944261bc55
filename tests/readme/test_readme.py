"""README.md: its tour runs against a real service, its targets and files exist."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import new_key
from tests.process.served import SLIPWAY, Served, command_environment, run_command
from tests.readme.markdown import PROMISE, ROOT, Command, commands, make_targets, section
from tests.sample import SAMPLE

README = (ROOT / "README.md").read_text("utf-8")
TOUR = commands(section(README, "A tour"))
# Commands of the catalogue, and those that use what these have found.
OF_SAMPLE = re.compile(r"\$API/|\$ITEM|\$\(create|^create|^(BODY|MERGE|NOTE)=")
TOUR_SECONDS = 60


class Sample(Served):
    """The service with the team's domains."""

    program = (SLIPWAY,)


@pytest.fixture
def service(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Served]:
    """The service on a database with the sample data, as with `make run`."""
    seeded = run_command((SLIPWAY,), ["seed"], tmp_path, command_environment(database__url=database_url))
    assert seeded.returncode == 0, seeded.stderr
    service = Sample(tmp_path / "service", database__url=database_url, redis__url=redis_url)
    yield service.ready()
    service.close()


@pytest.fixture
async def checkout(tmp_path: Path, database_url: str) -> Path:
    """A folder with the key of `make run`."""
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "api_key").write_text(await new_key(database_url, "admin") + "\n")
    return tmp_path


def script(tour: list[Command], service: Served) -> str:
    """Return the tour as a script for the ports of `service`; each command's output ends with its exit code."""
    lines = [f"{command.text}\nprintf '\\n--- %s ---\\n' $?" for command in tour]
    ports = {
        "127.0.0.1:8000": f"127.0.0.1:{service.port}",
        "127.0.0.1:9000": f"127.0.0.1:{service.admin_port}",
    }
    text = "\n".join(lines)
    for documented, port in ports.items():
        text = text.replace(documented, port)
    return text


def test_tour_works_as_described(service: Served, checkout: Path) -> None:
    tour = [command for command in TOUR if SAMPLE or not OF_SAMPLE.search(command.text)]
    assert len(tour) >= 4
    done = subprocess.run(
        ["bash", "-c", script(tour, service)],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )
    parts = re.split(r"\n--- (\d+) ---\n", done.stdout)
    outputs, codes = parts[0::2], parts[1::2]
    assert len(codes) == len(tour), done.stdout + done.stderr
    for command, output, code in zip(tour, outputs, codes, strict=False):
        assert (code, command.promise in output) == ("0", True), f"{command}\n{output}\n{done.stderr}"


def test_tour_states_an_expectation_for_every_response() -> None:
    shown = [command for command in TOUR if command.text.startswith("curl")]
    assert len(shown) >= 8
    assert all(command.promise for command in shown)


def test_every_target_named_exists() -> None:
    listed = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20
    )
    existing = {line.split()[0] for line in listed.stdout.splitlines()}
    named = make_targets(README) | make_targets((ROOT / "docs" / "README.md").read_text("utf-8"))
    assert {"run", "test", "cluster-up"} <= named
    assert named <= existing


@pytest.mark.skipif(not SAMPLE, reason="README.md shows the declaration of the sample, which is removed")
def test_declaration_in_the_readme_matches_the_sample() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert shown in (ROOT / "service" / "domains" / "catalog" / "resources.py").read_text("utf-8")


def test_every_folder_of_the_map_exists() -> None:
    rows = section(README, "Where things are")
    named = re.findall(r"`([a-z_]+/[a-z_/.]*)`", rows)
    assert len(named) > 5
    assert [n for n in named if not ((ROOT / n).exists() or (ROOT / "service" / n).exists())] == []


def test_commands_are_parsed_with_continuations_and_expectations() -> None:
    text = f"text\n```sh\na \\\n  b   {PROMISE} c\n\nd\n```\n```text\nno\n```\n"
    assert commands(text) == [Command("a    b", "c"), Command("d", "")]


def test_make_targets_are_found_in_text_and_code() -> None:
    assert make_targets("`make cluster-up cluster-test` or make run, and then") == {
        "cluster-up",
        "cluster-test",
        "run",
    }
