"""JSON values for every column, with extremes, and their comparison."""

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.engine.api import Json
from tests.types.table import Colour, Shade

_SPAN = TypeAdapter(timedelta)
_LONGEST = timedelta(days=3_652_500)


def real(value: float) -> float:
    """Return the nearest REAL."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def _integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _decimal_texts(whole: int, places: int) -> st.SearchStrategy[str]:
    digits = st.text("0123456789", min_size=1, max_size=whole).map(lambda text: text.lstrip("0") or "0")
    rest = st.text("0123456789", max_size=places).map(lambda text: f".{text}" if text else "")
    return st.builds("{}{}{}".format, st.sampled_from(["", "-"]), digits, rest)


def _instants() -> st.SearchStrategy[str]:
    edges = [
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59.999999",
        "1970-01-01T00:00:00",
        "2026-02-28T09:30:00.5",
    ]
    found = st.datetimes().map(datetime.isoformat) | st.sampled_from(edges)
    return found.map(lambda text: f"{text}Z")


def _real_numbers() -> st.SearchStrategy[float]:
    large = 3.4028234663852886e38
    edges = st.sampled_from([0.1, 0.2, 0.3, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38, 16777217.0])
    return edges | st.floats(-large, large).filter(lambda value: value == 0 or abs(value) >= 1e-45)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60) | st.just(
    "\U0001f4a1" * 100
)
DAYS = (st.dates() | st.sampled_from([date.min, date.max])).map(date.isoformat)
CLOCKS = st.times().map(lambda value: value.isoformat())
SPANS = st.timedeltas(-_LONGEST, _LONGEST).map(lambda value: _SPAN.dump_python(value, mode="json")).filter(
    lambda text: "Y" not in text
)  # fmt: skip
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [5e-324, 1.7976931348623157e308, -0.0, 6.429560891534334e16, 1e23]
)
NUMBERS = _decimal_texts(40, 40) | st.just(f"-{'9' * 1000}.{'9' * 1000}") | st.just("1.50")
DOCUMENTS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
    st.integers(-(2**53), 2**53) | st.booleans() | TEXTS | st.floats(-1e6, 1e6, width=32),
    max_size=4,
)

STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "small": _integers(16),
    "whole": _integers(32),
    "big": _integers(64),
    "ratio": _real_numbers(),
    "double": DOUBLES,
    "exact": _decimal_texts(8, 4),
    "any_number": NUMBERS,
    "label": TEXTS,
    "title": TEXTS,
    "essay": TEXTS | st.just("ä" * 20_000),
    "day": DAYS,
    "clock": CLOCKS,
    "at": _instants(),
    "span": SPANS,
    "flag": st.booleans(),
    "colour": st.sampled_from([*Colour]).map(str),
    "shade": st.sampled_from([*Shade]).map(str),
    "ref": st.uuids().map(str),
    "doc": DOCUMENTS,
    "words": st.lists(TEXTS, max_size=3),
    "wholes": st.lists(_integers(32), max_size=3),
    "bigs": st.lists(_integers(64), max_size=3),
    "numbers": st.lists(NUMBERS, max_size=3),
    "doubles": st.lists(DOUBLES, max_size=3),
    "days": st.lists(DAYS, max_size=3),
    "ats": st.lists(_instants(), max_size=3),
    "spans": st.lists(SPANS, max_size=3),
    "flags": st.lists(st.booleans(), max_size=3),
    "refs": st.lists(st.uuids().map(str), max_size=3),
    "colours": st.lists(st.sampled_from([*Colour]).map(str), max_size=3),
    "given": _integers(32),
}
_NEVER_NULL = {
    "title",
    "words",
    "wholes",
    "bigs",
    "numbers",
    "doubles",
    "days",
    "ats",
    "spans",
    "flags",
    "refs",
}
_NEVER_NULL |= {"colours", "given"}


def items() -> st.SearchStrategy[Json]:
    """Bodies of new items: every field, or some."""
    found = {name: s if name in _NEVER_NULL else s | st.none() for name, s in STRATEGIES.items()}
    return st.fixed_dictionaries(found) | st.fixed_dictionaries({}, optional=found)


def _instant(value: str) -> datetime:
    return datetime.fromisoformat(value).astimezone(UTC)


_MEANINGS: dict[str, Callable[[Any], Any]] = {
    "ratio": real,
    "exact": Decimal,
    "any_number": lambda value: str(Decimal(value)) if Decimal(value) else Decimal(value),
    "numbers": Decimal,
    "clock": time.fromisoformat,
    "at": _instant,
    "ats": _instant,
    "span": _SPAN.validate_python,
    "spans": _SPAN.validate_python,
}


def meaning(field: str, value: Any) -> Any:
    """Return the value in a comparable form; a NUMERIC without scale keeps its trailing zeros."""
    mean = _MEANINGS.get(field)
    if mean is None or value is None:
        return value
    return [mean(part) for part in value] if isinstance(value, list) else mean(value)


def differences(item: Json, sent: Json) -> Json:
    """Return the fields that an item shows differently from what was sent."""
    return {
        name: (value, item[name])
        for name, value in sent.items()
        if meaning(name, value) != meaning(name, item[name])
    }
