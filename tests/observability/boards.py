"""The queries of the dashboards, read from the files for Grafana, with variables filled in."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.chart.rendering import CHART
from tests.observability.rules import NAMESPACE, RELEASE

Panel = dict[str, Any]
BOARDS: dict[str, Panel] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((CHART / "dashboards").glob("*.json"))
}
POD = r"slipway-7c9f8d6b5-[a-z0-9]{5}"


class Ask(NamedTuple):
    """A query of a panel."""

    board: str
    panel: str
    letter: str
    source: str
    expr: str
    legend: str

    @property
    def id(self) -> str:
        return f"{self.board}: {self.panel}, {self.letter}"


def panels(board: str) -> list[Panel]:
    return [panel for panel in BOARDS[board]["panels"] if panel["type"] != "row"]


def asks() -> Iterator[Ask]:
    """Return every query of every panel."""
    for board in BOARDS:
        for panel in panels(board):
            for target in panel["targets"]:
                yield Ask(
                    board,
                    panel["title"],
                    target["refId"],
                    target["datasource"]["uid"],
                    target["expr"],
                    target["legendFormat"],
                )


def filled(text: str, **more: str) -> str:
    """Fill in Grafana's variables and ours. Raises KeyError for an unknown variable."""
    values = {
        "namespace": NAMESPACE,
        "release": RELEASE,
        "pod": POD,
        "objective": "99.9",
        "slower": "50",
        "request": "",
        "__rate_interval": "5s",
        "__range": "2m",
        "__auto": "5s",
        **more,
    }
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)
