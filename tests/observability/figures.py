"""Figures in the text of a runbook: durations, percentages and numbers, in digits or words."""

import re
from typing import NamedTuple

_SECONDS = {"second": 1, "s": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_WORDS = {
    "a": 1,
    "an": 1,
    "half an": 0.5,
    "half a": 0.5,
    "two": 2,
    "three": 3,
    "five": 5,
    "six": 6,
    "ten": 10,
}
_NUMBER = rf"(?:\d+(?:\.\d+)?|{'|'.join(sorted(_WORDS, reverse=True))})"
# Not "a second", which may be an ordinal. A number without a unit counts only in digits: most words are no figures
# ("two pods", "ten of them").
_FIGURE = re.compile(
    rf"(?<![\w.])(?!a second)({_NUMBER}) (second|minute|hour|day|week|s|%)s?\b|(?<![\w.])({_NUMBER})(?: (%))?(?![\w.])"
)
_SETTING = re.compile(
    r"(?:`(config\.\w+\.\w+|prometheusRule\.\w+)`,? \(?|`SLIPWAY_(\w+)__(\w+)` \w+ \()"
    rf"({_NUMBER}(?: (?:second|minute|hour|day|week|s)s?)?)\)?"
)
_CODE = re.compile(r"^ *```.*?^ *```|`[^`]*`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)


class Figure(NamedTuple):
    """A figure as the page has it, and its value: seconds, a share, or a number."""

    text: str
    value: float


def _value(number: str, unit: str | None) -> float:
    amount = _WORDS.get(number) or float(number)
    return round(amount / 100 if unit == "%" else amount * _SECONDS.get(unit or "", 1), 6)


def parse(text: str) -> list[Figure]:
    """Return the figures of a text, without those in code and links."""
    plain = re.sub(r"^\d+\. ", "", re.sub(r"\s+", " ", _CODE.sub(" ", text)), flags=re.MULTILINE)
    plain = re.sub(r"(\d) %", r"\1 %", plain)
    found = []
    for match in _FIGURE.finditer(plain):
        number, unit = (match[1], match[2]) if match[1] else (match[3], match[4])
        if unit or number[0].isdigit():
            found.append(Figure(match[0], _value(number, unit)))
    return found


def of_settings(text: str) -> list[tuple[str, Figure]]:
    """Return the settings and values that a page names with their defaults: `config.database.pool_max` (8)."""
    found = []
    for match in _SETTING.finditer(" ".join(text.split())):
        name = match[1] or f"config.{match[2]}.{match[3]}".lower()
        found += [(name, figure) for figure in parse(match[4])]
    return found
