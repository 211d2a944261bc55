"""Formats numbers as Grafana does."""

STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def written(value: float, unit: str) -> str:
    """Return a value with its unit, to three digits."""
    match unit:
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "s":
            return _duration(value)
        case "reqps" | "ops":
            return f"{_short(value)}/s"
        case "bytes":
            return f"{value / 2**20:.3g} MiB"
        case _:
            return _short(value)


def _short(value: float) -> str:
    for step, letter in STEPS:
        if abs(value) >= step:
            return f"{value / step:.3g} {letter}"
    return f"{value:.3g}"


def _duration(value: float) -> str:
    if value == float("inf"):
        return "more"
    for step, name in ((86400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        if abs(value) >= step:
            return f"{value / step:.3g} {name}"
    return f"{value * 1000:.3g} ms"
