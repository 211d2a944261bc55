"""Formats numbers as Grafana does, and says in which color it shows them."""

from typing import Any

STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
COLORS = {"green": "#1f6f43", "orange": "#d9822b", "red": "#c9302c"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit, with so many decimals; to three digits if they are not given."""
    match unit:
        case "percentunit":
            return f"{_digits(value * 100, decimals)} %"
        case "s":
            return _duration(value, decimals)
        case "reqps" | "ops":
            return f"{_short(value, decimals)}/s"
        case "bytes":
            return _bytes(value, decimals)
        case _:
            return _short(value, decimals)


def shown(value: float, defaults: dict[str, Any]) -> tuple[str, str]:
    """Return the text and the color of a value of a panel with these `fieldConfig.defaults`.

    A mapping decides before the thresholds, of which the last one that the value reaches counts.
    """
    for mapping in defaults.get("mappings") or []:
        if found := mapping["options"].get(f"{value:g}"):
            return found["text"], COLORS[found["color"]]
    reached = [
        step for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]
    ]
    text = written(value, defaults.get("unit", "short"), defaults.get("decimals"))
    return text, COLORS[reached[-1]["color"]]


def _digits(value: float, decimals: int | None) -> str:
    return f"{value:.3g}" if decimals is None else f"{value:.{decimals}f}"


def _short(value: float, decimals: int | None) -> str:
    for step, letter in STEPS:
        if abs(value) >= step:
            return f"{_digits(value / step, decimals)} {letter}"
    return _digits(value, decimals)


def _bytes(value: float, decimals: int | None) -> str:
    for power, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if abs(value) >= 2**power:
            return f"{_digits(value / 2**power, decimals)} {name}"
    return f"{_digits(value, decimals)} B"


def _duration(value: float, decimals: int | None) -> str:
    if value == float("inf"):
        return "more"
    for step, name in ((86400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        if abs(value) >= step:
            return f"{_digits(value / step, decimals)} {name}"
    return f"{_digits(value * 1000, decimals)} ms"
