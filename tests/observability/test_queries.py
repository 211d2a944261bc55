"""Every query of the dashboards returns data from the real service."""

import json
import math
import re
from typing import Any

import pytest

from tests.cluster.commands import Command, How, tried
from tests.observability.boards import BOARDS, Ask, asks, filled
from tests.observability.evidence import PODS, Evidence
from tests.observability.rules import NAMESPACE, RELEASE

pytestmark = [pytest.mark.observability, pytest.mark.timeout(400)]
ASKS = list(asks())
FAILED = "database: Last drill, A"  # 0 in the run; a service that knows of no drill reports NaN
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)$")


def _numbers(series: list[dict[str, Any]]) -> list[float]:
    found = [float(value) for one in series for _, value in one["values"]]
    return [value for value in found if not math.isnan(value)]


@pytest.mark.parametrize("ask", [a for a in ASKS if a.source == "prometheus"], ids=lambda a: a.id)
def test_prometheus_returns_numbers(ask: Ask, seen: Evidence) -> None:
    numbers = _numbers(seen.prometheus.over_time(filled(ask.expr), seen.began, seen.ended))
    assert len(numbers) > 3
    assert any(numbers) or ask.id == FAILED, (
        "nothing but zeros: a query that selects nothing would say the same"
    )


@pytest.mark.parametrize("ask", [a for a in ASKS if a.source == "loki"], ids=lambda a: a.id)
def test_loki_returns_lines_or_numbers(ask: Ask, seen: Evidence) -> None:
    found = seen.loki.over_time(filled(ask.expr), seen.began - 60, seen.ended + 60)
    assert sum(len(stream["values"]) for stream in found) > 0


@pytest.mark.parametrize("source", ["prometheus", "loki"])
def test_every_legend_uses_existing_labels(source: str, seen: Evidence) -> None:
    server = seen.prometheus if source == "prometheus" else seen.loki
    for ask in (a for a in ASKS if a.source == source):
        wanted = set(re.findall(r"\{\{(\w+)\}\}", ask.legend))
        found = server.over_time(filled(ask.expr), seen.began, seen.ended) if wanted else []
        # Access lines of unknown paths have no route.
        assert wanted <= {label for series in found for label in series["metric"]}, ask.id


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_version_annotations_are_found(board: str, seen: Evidence) -> None:
    (annotation,) = BOARDS[board]["annotations"]["list"]
    (found,) = seen.prometheus.over_time(filled(annotation["expr"]), seen.began, seen.ended)
    assert set(found["metric"]) == {"version"}


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_variables_list_the_running_releases(board: str, seen: Evidence) -> None:
    offered = {}
    for variable in BOARDS[board]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = LABEL_VALUES.match(variable["query"])
        assert found, variable["query"]
        times = {"start": seen.began, "end": seen.ended, "match[]": filled(found[1])}
        values = seen.prometheus.get(f"/api/v1/label/{found[2]}/values", **times)
        pattern = re.compile(variable["regex"].strip("/") or "(.*)")
        offered[variable["name"]] = [m[1] for value in values if (m := pattern.match(value))]
    assert offered == {"namespace": [NAMESPACE], "release": [RELEASE], "pod": sorted(PODS)}


def test_log_query_finds_a_request_by_its_id(seen: Evidence) -> None:
    (expr,) = {ask.expr for ask in ASKS if ask.panel == "One request"}
    (failed,) = {ask.expr for ask in ASKS if (ask.board, ask.panel) == ("logs", "Failed requests")}
    window = (seen.began - 60, seen.ended + 60)
    line = json.loads(seen.loki.over_time(filled(failed), *window)[0]["values"][0][1])
    for wanted in (line["request_id"], line["trace_id"]):
        streams = seen.loki.over_time(filled(expr, request=wanted), *window)
        found = [json.loads(text) for stream in streams for _, text in stream["values"]]
        assert found
        assert all(
            wanted in {one["request_id"], one["trace_id"]} for one in found if one["event"] == "request"
        )
        assert line in found


@pytest.mark.parametrize("query", tried(How.LOGQL), ids=lambda query: query.id)
def test_queries_in_the_docs_return_data(query: Command, seen: Evidence) -> None:
    expr = query.text.replace('namespace="slipway"', f'namespace="{NAMESPACE}"').replace("REQUEST-ID", "")
    assert seen.loki.over_time(expr, seen.began - 60, seen.ended + 60)
