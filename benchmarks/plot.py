"""The plot of the report: CPU time of a request, by scenario and program, as SVG."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, LABELS, VALUES = 720, 110, 70  # pixels
BAR, GAP, TITLE = 14, 4, 24
COLOURS = {"floor": "#8a8f98", "slipway": "#0b7a75"}
OTHER = "#c9c4b8"


def plot(titles: Mapping[str, str], times: Mapping[tuple[str, str], float], programs: Sequence[str]) -> str:
    """Return the SVG. `titles` are those of the scenarios by name; `times` are microseconds by scenario and program.

    Each scenario has its own scale: its longest bar fills the width.
    """
    parts: list[str] = []
    y = 0
    for name, title in titles.items():
        measured = [program for program in programs if (name, program) in times]
        longest = max((times[name, program] for program in measured), default=1.0)
        y += TITLE
        parts.append(_text(0, y - 8, title, weight="bold"))
        for program in measured:
            parts += _bar(y, program, times[name, program], longest)
            y += BAR + GAP
        y += GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bar(y: int, program: str, time: float, longest: float) -> list[str]:
    width = (WIDTH - LABELS - VALUES) * time / longest
    colour = COLOURS.get(program, OTHER)
    return [
        _text(0, y + BAR - 3, program),
        f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
        _text(LABELS + width + GAP, y + BAR - 3, f"{time:.0f} µs"),
    ]


def _text(x: float, y: float, text: str, *, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}">{escape(text)}</text>'
