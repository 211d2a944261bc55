"""The dashboard files: checks that need no server."""

import re
from pathlib import Path

import pytest
import yaml

from chart.dashboards.__main__ import main
from tests.chart.rendering import CHART, run
from tests.observability.boards import BOARDS, Ask, asks, filled, panels
from tests.observability.programs import program
from tests.observability.rules import alerts
from tests.observability.upstream import samples

ASKS = list(asks())
METRIC = re.compile(r"\b((?:http|slipway|process|kube|container)_\w+|up|ALERTS)\b")
PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}


def _without_texts(expr: str) -> str:
    return re.sub(r'"[^"]*"', '""', expr)


def _metrics(expr: str) -> set[str]:
    return set(METRIC.findall(re.sub(r"\{[^}]*}", "", _without_texts(expr))))


def _known() -> set[str]:
    """The metrics of the catalogue, of exporters, and of Prometheus itself."""
    page = (CHART.parent / "docs" / "reference" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) ", page, re.MULTILINE)
    own = {name for name, kind in rows if kind != "histogram"}
    parts = {
        f"{name}_{part}" for name, kind in rows if kind == "histogram" for part in ("bucket", "sum", "count")
    }
    upstream = {name for name, _, _ in samples(["a", "b"], 60)} | {
        name for name, _, _ in samples(["a", "b"], 0)
    }
    return own | parts | upstream | PROCESS | {"up", "ALERTS"}


def test_dashboard_files_are_up_to_date() -> None:
    assert main(check=True) == 0, "run `make dashboards`"


def test_stale_dashboard_file_is_detected(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = CHART / "dashboards" / "logs.json"
    monkeypatch.setattr("chart.dashboards.__main__.written", lambda: {path: "{}"})
    assert main(check=True) == 1
    said = capfd.readouterr().err
    assert all(f"chart/dashboards/{name}.json is stale" in said for name in BOARDS)


def test_every_query_parses(tmp_path: Path) -> None:
    wanted = [ask.expr for ask in ASKS if ask.source == "prometheus"]
    wanted += [a["expr"] for board in BOARDS.values() for a in board["annotations"]["list"]]
    rules = [{"record": f"query{number}", "expr": filled(expr)} for number, expr in enumerate(wanted)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), "utf-8")
    done = run(program("promtool"), "check", "rules", "--lint=none", str(path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ask", [a for a in ASKS if a.source == "prometheus"], ids=lambda a: a.id)
def test_queries_use_existing_metrics_of_one_release(ask: Ask) -> None:
    names = _metrics(ask.expr)
    assert names
    assert names <= _known()
    about = r'\{namespace="\$namespace", (service|deployment|release|pod)=~?"\$release'
    assert len(re.findall(about, ask.expr)) == len(re.findall(r"\{", _without_texts(ask.expr)))


def test_alerts_use_existing_metrics() -> None:
    for rule in alerts().values():
        assert _metrics(re.sub(r"slipway:\w+:\w+", "", rule["expr"])) <= _known(), rule["alert"]


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_panels_have_descriptions_and_fill_their_rows(board: str) -> None:
    found = panels(board)
    assert len({panel["title"] for panel in found}) == len(found)
    assert [panel["title"] for panel in found if not panel["description"].endswith(".")] == []
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in BOARDS[board]["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie on each other"
    assert len(cells) == 24 * (1 + max(y for _, y in cells)), "there are gaps"


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_dashboards_link_to_each_other_and_are_portable(board: str) -> None:
    found = BOARDS[board]
    assert found["uid"] == f"slipway-{board}"
    assert "id" not in found
    (link,) = found["links"]
    assert link["tags"] == found["tags"] == ["slipway"]
    assert link["keepTime"]
    assert link["includeVars"]
    sources = {panel["datasource"]["uid"] for panel in panels(board)}
    assert sources == ({"loki"} if board == "logs" else {"prometheus"})
