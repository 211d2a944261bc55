"""Draws the data of a dashboard, with panels in Grafana's layout."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tests.observability.boards import BOARDS, filled
from tests.observability.evidence import Evidence
from tests.observability.units import COLORS, shown, written

WIDTH, ROW, LINE = 11.0, 0.27, 0.13  # inches: of a picture, of a row of Grafana's grid, of a line of text
PALETTE = 64  # colors of a picture: few, so that it is small
LEGEND = 8  # series that a legend names
# What a reader of the pictures need not see: what all pods have in common, and where the run had its token issuer.
PLAIN = (
    (re.compile("slipway-7c9f8d6b5-"), ""),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://id.example.com"),
)
STYLE: Any = {
    "font.size": 6.5,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.5,
    "lines.linewidth": 0.9,
    "legend.frameon": False,
    "legend.fontsize": 5.5,
    "text.antialiased": True,
}
Panel = dict[str, Any]
Series = dict[str, Any]


def draw(board: str, seen: Evidence, path: Path) -> None:
    """Write the dashboard as a PNG file."""
    found = BOARDS[board]["panels"]
    height = ROW * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in found)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), dpi=96, facecolor="white")
        for panel in found:
            box = _box(panel)
            if panel["type"] == "row":
                figure.text(0.01, 1 - (box.top + 0.2) / height, panel["title"], fontsize=9, color="#444444")
                continue
            at = (box.left / WIDTH, 1 - box.bottom / height)
            axes = figure.add_axes((*at, (box.right - box.left) / WIDTH, (box.bottom - box.top) / height))
            axes.set_title(panel["title"])
            KINDS[panel["type"]](axes, panel, seen)
        figure.savefig(path, metadata={"Software": None})
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(
            PALETTE, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    small.save(path, optimize=True)


class _Box(NamedTuple):
    """Return the plot area of a panel, in inches from the upper left corner."""

    left: float
    right: float
    top: float
    bottom: float


def _box(panel: Panel) -> _Box:
    """Leaves room for axes, if any, and for the title."""
    at, has_axis = panel["gridPos"], panel["type"] in {"timeseries", "heatmap", "state-timeline"}
    left, top = at["x"] * WIDTH / 24, at["y"] * ROW
    return _Box(
        left + (0.5 if has_axis else 0.12),
        left + at["w"] * WIDTH / 24 - 0.1,
        top + (0.28 if panel["type"] != "row" else 0),
        top + at["h"] * ROW - (0.26 if has_axis else 0.04),
    )


def _series(panel: Panel, seen: Evidence) -> list[tuple[str, list[float], list[float]]]:
    """Return (name, seconds since the start, values) of all queries."""
    found = []
    for target in panel["targets"]:
        source = seen.prometheus if target["datasource"]["uid"] == "prometheus" else seen.loki
        for one in source.over_time(filled(target["expr"]), seen.began, seen.ended):
            points = [(float(at) - seen.began, float(value)) for at, value in one["values"]]
            points = [(at, value) for at, value in points if math.isfinite(value)]
            if points:
                times, values = ([point[axis] for point in points] for axis in (0, 1))
                found.append((_name(target, one["metric"]), times, values))
    return sorted(found)


def _name(target: Panel, labels: dict[str, str]) -> str:
    name: str = target["legendFormat"]
    if name == "__auto":
        return ""
    for label, value in labels.items():
        name = name.replace(f"{{{{{label}}}}}", value)
    return _plain(re.sub(r"\{\{\w+}}", "", name))


def _plain(text: str) -> str:
    for pattern, instead in PLAIN:
        text = pattern.sub(instead, text)
    return text


def _unit(panel: Panel) -> str:
    return str(panel["fieldConfig"]["defaults"].get("unit", "short"))


def _graph(axes: Axes, panel: Panel, seen: Evidence) -> None:
    found = _series(panel, seen)
    defaults = panel["fieldConfig"]["defaults"]
    for name, times, values in found:
        axes.plot(times, values, label=name)
    axes.set_xlim(0, seen.ended - seen.began)
    most = max((max(values) for _, _, values in found), default=1.0) or 1.0
    axes.set_ylim(0, 1.02 * defaults["max"] if "max" in defaults else 1.1 * most)
    _thresholds(axes, defaults)
    axes.yaxis.set_major_formatter(lambda value, _: written(value, _unit(panel)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
    axes.grid(axis="y", linewidth=0.3, color="#dddddd")
    if any(name for name, _, _ in found):
        _legend(axes, [name for name, _, _ in sorted(found, key=lambda one: -max(one[2]))[:LEGEND]])


def _thresholds(axes: Axes, defaults: Panel) -> None:
    """Draw the thresholds that the panel shows as lines, as far as the axis reaches."""
    if defaults.get("custom", {}).get("thresholdsStyle", {}).get("mode", "off") == "off":
        return
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None and step["value"] <= axes.get_ylim()[1]:
            axes.axhline(step["value"], linestyle="--", linewidth=0.7, color=COLORS[step["color"]])


def _legend(axes: Axes, names: list[str]) -> None:
    """Name these series below the panel, where Grafana puts the legend, so that it covers no data."""
    handles = [line for line in axes.get_lines() if line.get_label() in names]
    at = axes.get_position()
    inches = at.height * axes.get_figure(root=True).get_figheight()  # type: ignore[union-attr]
    longest = max(len(name) for name in names)
    columns = max(1, min(4, int(at.width * WIDTH / (0.3 + 0.045 * longest)), len(handles)))
    room = (0.05 + 0.1 * math.ceil(len(handles) / columns)) / inches
    axes.set_position((at.x0, at.y0 + room * at.height, at.width, at.height * (1 - room)))
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.2 / (inches * (1 - room))),
        ncols=columns,
        handlelength=1,
        labelspacing=0.2,
        columnspacing=1,
        borderaxespad=0,
    )


def _number(axes: Axes, panel: Panel, seen: Evidence) -> None:
    """Return the last value while the pods were serving."""
    axes.set_axis_off()
    found = _series(panel, seen)
    last = seen.stopped - seen.began - 2
    values = [
        value for _, times, values in found for at, value in zip(times, values, strict=True) if at <= last
    ]
    text, color = ("No data", "#444444")
    if values:
        text, color = shown(values[-1], panel["fieldConfig"]["defaults"])
    axes.text(0.0, 0.45, text, fontsize=13, color=color, transform=axes.transAxes, va="center")


def _heat(axes: Axes, panel: Panel, seen: Evidence) -> None:
    found = sorted(_series(panel, seen), key=lambda one: float(one[0].replace("+Inf", "inf")))
    times = sorted({at for _, seconds, _ in found for at in seconds})
    below = dict.fromkeys(times, 0.0)
    cells = []
    for _, seconds, values in found:
        now = dict(zip(seconds, values, strict=True))
        cells.append([math.sqrt(max(now.get(at, 0.0) - below[at], 0.0)) for at in times])
        below = {at: now.get(at, 0.0) for at in times}
    axes.pcolormesh(times, range(len(found)), cells, cmap="Oranges", shading="nearest")
    names = [written(float(name.replace("+Inf", "inf")), "s") for name, _, _ in found]
    axes.set_yticks(range(0, len(names), 2), names[::2])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")


def _states(axes: Axes, panel: Panel, seen: Evidence) -> None:
    colors = {"green": "#7fbf7f", "orange": "#f0a850", "red": "#d9534f"}
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    found = _series(panel, seen)
    for row, (_, times, values) in enumerate(found):
        for value, state in mapping["options"].items():
            spans = [(at, 1.05) for at, now in zip(times, values, strict=True) if f"{now:g}" == value]
            axes.broken_barh(spans, (row - 0.35, 0.7), facecolors=colors[state["color"]])
    axes.set_yticks(range(len(found)), [name.removeprefix("Slipway") for name, _, _ in found], fontsize=5)
    axes.tick_params(axis="y", direction="in", pad=-4, length=0)
    for label in axes.get_yticklabels():
        label.set_horizontalalignment("left")
    axes.set_xlim(0, seen.ended - seen.began)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")


def _table(axes: Axes, panel: Panel, seen: Evidence) -> None:
    """Return the rows just before the pods stopped."""
    rename = panel["transformations"][1]["options"]["renameByName"]
    units = {o["matcher"]["options"]: o["properties"][0]["value"] for o in panel["fieldConfig"]["overrides"]}
    rows: dict[tuple[str, ...], list[str]] = {}
    for number, (target, name) in enumerate(zip(panel["targets"], rename.values(), strict=True)):
        for one in seen.prometheus.over_time(filled(target["expr"]), seen.stopped - 12, seen.stopped - 2):
            value = float(one["values"][-1][1])
            cells = rows.setdefault(tuple(one["metric"].values()), [""] * len(rename))
            cells[number] = "" if math.isnan(value) else written(value, units[name])
    lines = [[_plain(" ".join(key)), *cells] for key, cells in sorted(rows.items())]
    axes.set_axis_off()
    inches = axes.get_position().height * axes.get_figure(root=True).get_figheight()  # type: ignore[union-attr]
    for row, cells in enumerate([["", *rename.values()], *lines][: int(inches / LINE)]):
        for column, cell in enumerate(cells):
            at = 0.55 + 0.45 * (column - 1) / len(rename) if column else 0.0
            weight = "normal" if row else "bold"
            axes.text(
                at,
                1 - (row + 0.5) * LINE / inches,
                cell,
                va="center",
                weight=weight,
                transform=axes.transAxes,
            )


def _lines(axes: Axes, panel: Panel, seen: Evidence) -> None:
    """Draw the newest lines that fit."""
    (target,) = panel["targets"]
    streams = seen.loki.over_time(filled(target["expr"]), seen.began - 60, seen.ended + 60)
    found = sorted(((at, line) for stream in streams for at, line in stream["values"]), reverse=True)
    most, letters = int(panel["gridPos"]["h"] * ROW / LINE) - 5, int(panel["gridPos"]["w"] * 9.2)
    text = "\n".join(line[:letters] for _, line in found[:most])
    axes.set_axis_off()
    axes.text(
        0, 1, text, family="monospace", fontsize=5.2, va="top", transform=axes.transAxes, linespacing=1.5
    )


KINDS: dict[str, Callable[[Axes, Panel, Evidence], None]] = {
    "timeseries": _graph,
    "stat": _number,
    "heatmap": _heat,
    "state-timeline": _states,
    "table": _table,
    "logs": _lines,
}
