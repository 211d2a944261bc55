"""Panels: one function for each kind. The description of a panel says what it is for."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    logs,
    loki,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as parts
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models import prometheus as promql

PROMETHEUS = parts.DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = parts.DataSourceRef(type_val="loki", uid="loki")
GREEN, ORANGE, RED = "green", "orange", "red"

Panel = Any  # a builder of a panel; the library's kinds have no common class but `Builder`


class Query(NamedTuple):
    """An expression and the name of its series, where `{{label}}` stands for a label's value."""

    expr: str
    legend: str = ""


def _targets(
    panel: Panel, source: parts.DataSourceRef, queries: Iterable[Query], *, form: str = "time_series"
) -> Panel:
    """The panel with its queries A, B, C… Tables show the present, everything else the time range."""
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        if source is LOKI:
            target: Any = loki.Dataquery().query_type("range")
        else:
            target = prometheus.Dataquery().format(promql.PromQueryFormat(form))
            target = target.instant() if form == "table" else target.range()
        target = target.expr(query.expr).legend_format(query.legend or "__auto").ref_id(letter)
        panel.with_target(target.datasource(source))
    return panel.datasource(source)


def _common(panel: Panel, title: str, why: str, span: int, height: int) -> Panel:
    return panel.title(title).description(why).span(span).height(height)


def _limits(warn: float | None, bad: float | None) -> Any:
    """Green below the first value, orange from there, red from the second."""
    steps = [parts.Threshold(color=GREEN, value=None)]
    steps += [
        parts.Threshold(color=color, value=value)
        for color, value in ((ORANGE, warn), (RED, bad))
        if value is not None
    ]
    return dashboard.ThresholdsConfig().mode(parts.ThresholdsMode.ABSOLUTE).steps(steps)


def graph(
    title: str,
    why: str,
    *queries: Query,
    unit: str = "short",
    span: int = 8,
    stacked: bool = False,
    most: float | None = None,
    bad: float | None = None,
    source: parts.DataSourceRef = PROMETHEUS,
) -> Panel:
    """Lines over time. `most` is the upper end of the axis, `bad` a threshold line."""
    panel = _common(timeseries.Panel(), title, why, span, 8).unit(unit).min(0)
    panel = panel.line_width(1).fill_opacity(40 if stacked else 8).show_points(kinds.VisibilityMode.NEVER)
    legend = common.VizLegendOptions().show_legend(show_legend=True).calcs(["lastNotNull", "max"])
    legend = legend.display_mode(kinds.LegendDisplayMode.TABLE).placement(kinds.LegendPlacement.BOTTOM)
    panel = panel.legend(legend)
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    panel = panel.tooltip(tooltip)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    if most is not None:
        panel = panel.max(most)
    if bad is not None:
        style = common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_limits(None, bad)).thresholds_style(style)
    return _targets(panel, source, queries)


def number(
    title: str,
    why: str,
    query: Query,
    *,
    unit: str = "short",
    span: int = 4,
    warn: float | None = None,
    bad: float | None = None,
    words: dict[str, tuple[str, str]] | None = None,
    decimals: int | None = None,
) -> Panel:
    """The current value, coloured by its thresholds. `words` are texts and colours for some values."""
    panel = _common(stat.Panel(), title, why, span, 4).unit(unit).no_value("no data")
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.color_mode(kinds.BigValueColorMode.VALUE).graph_mode(kinds.BigValueGraphMode.AREA)
    panel = panel.thresholds(_limits(warn, bad))
    if decimals is not None:
        panel = panel.decimals(decimals)
    if words:
        results = {v: parts.ValueMappingResult(text=t, color=c) for v, (t, c) in words.items()}
        panel = panel.mappings([parts.ValueMap(options=results)]).graph_mode(kinds.BigValueGraphMode.NONE)
    return _targets(panel, PROMETHEUS, (query,))


def states(title: str, why: str, query: Query, *, words: dict[str, tuple[str, str]], span: int = 12) -> Panel:
    """One band for each series, coloured by its values, which `words` names."""
    results = {v: parts.ValueMappingResult(text=t, color=c) for v, (t, c) in words.items()}
    panel = _common(statetimeline.Panel(), title, why, span, 8).mappings([parts.ValueMap(options=results)])
    panel = panel.show_value(kinds.VisibilityMode.NEVER).row_height(0.8).merge_values(merge_values=True)
    return _targets(panel, PROMETHEUS, (query,))


def heat_map(title: str, why: str, query: Query, *, unit: str = "s", span: int = 8) -> Panel:
    """How many observations fell into each bucket of a histogram, over time."""
    colours = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges").steps(32)
    panel = _common(heatmap.Panel(), title, why, span, 8).color(colours.fill("dark-orange").exponent(0.5))
    panel = panel.y_axis(heatmap.YAxisConfig().unit(unit)).filter_values(heatmap.FilterValueRange().le(1e-9))
    return _targets(panel, PROMETHEUS, (query,), form="heatmap")


def grid(
    title: str,
    why: str,
    columns: dict[str, tuple[Query, str]],
    *,
    span: int = 24,
    sort: str = "",
) -> Panel:
    """A table: a row for each set of labels, a column (query and unit) for each query, of the present."""
    panel = _common(table.Panel(), title, why, span, 8).filterable(filterable=True)
    names = {f"Value #{letter}": name for letter, name in zip("ABCDEFGH", columns, strict=False)}
    if len(columns) == 1:
        names = {"Value": next(iter(columns))}
    panel = panel.with_transformation(parts.DataTransformerConfig(id_val="merge", options={}))
    options = {"excludeByName": {"Time": True}, "renameByName": names}
    panel = panel.with_transformation(parts.DataTransformerConfig(id_val="organize", options=options))
    for name, (_, unit) in columns.items():
        panel = panel.override_by_name(name, [parts.DynamicConfigValue(id_val="unit", value=unit)])
    if sort:
        panel = panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(desc=True)])
    return _targets(panel, PROMETHEUS, (query for query, _ in columns.values()), form="table")


def lines(title: str, why: str, query: Query, *, span: int = 24) -> Panel:
    """Log lines, newest first."""
    panel = _common(logs.Panel(), title, why, span, 8).show_time(show_time=True)
    panel = panel.wrap_log_message(wrap_log_message=True).enable_log_details(enable_log_details=True)
    panel = panel.sort_order(kinds.LogsSortOrder.DESCENDING).dedup_strategy(kinds.LogsDedupStrategy.NONE)
    return _targets(panel, LOKI, (query,))
