"""The grammar of values sent as text, in query parameters and bodies. All functions raise `ValueError`."""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from service.http.content.integers import INT32

SMALLEST_REAL = 1e-45  # how PostgreSQL prints the smallest REAL that is not 0
LARGEST_REAL = 3.4028235e38
LONGEST_DURATION = timedelta(days=3_652_500)
"""Ten thousand years, which an interval stores with microsecond precision."""

# Refuses values that PostgreSQL can store but Python cannot represent, and times outside the years 1 to 9999.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z")
_FLOAT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIMESTAMP = re.compile(
    rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[Tt]({_CLOCK})(\.[0-9]{{1,30}})?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})\Z"
)
_TIME = re.compile(rf"({_CLOCK})(\.[0-9]{{1,30}})?\Z")
UUID_PATTERN = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID = re.compile(rf"{UUID_PATTERN}\Z")
TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,30})?$"
DURATION_PATTERN = (
    r"^-?P(?=[0-9T])([0-9]{1,7}D)?(T(?=[0-9])([0-9]{1,8}H)?([0-9]{1,10}M)?([0-9]{1,12}(\.[0-9]{1,6})?S)?)?$"
)
_DURATION = re.compile(
    r"(?P<sign>-)?P(?=[0-9T])(?:(?P<days>[0-9]{1,7})D)?(?:T(?=[0-9])(?:(?P<hours>[0-9]{1,8})H)?"
    r"(?:(?P<minutes>[0-9]{1,10})M)?(?:(?P<seconds>[0-9]{1,12})(?:\.(?P<micros>[0-9]{1,6}))?S)?)?\Z"
)


def integer(text: str, allowed: range = INT32) -> int:
    """Parse plain decimal digits, without the underscores, signs and spaces that Python accepts."""
    if not _INTEGER.match(text) or (value := int(text)) not in allowed:
        raise ValueError(f"must be an integer from {allowed[0]} to {allowed[-1]}")
    return value


def timestamp(text: str) -> datetime:
    """Parse RFC 3339 with a zone, as UTC. Fractions are cut off after six digits."""
    found = _TIMESTAMP.match(text)
    if not found:
        raise ValueError("must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z")
    day, clock, fraction, zone = found.groups()
    try:
        given = datetime.fromisoformat(f"{day}T{clock}{_micros(fraction)}{zone.upper()}")
        return given.astimezone(UTC)
    except ValueError:
        raise ValueError("must be a time that exists, such as 2026-01-31T09:30:00Z") from None
    except OverflowError:
        raise ValueError("must be between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z") from None


def clock_time(text: str) -> time:
    """Parse a time of day without a zone. Fractions are cut off after six digits."""
    found = _TIME.match(text)
    try:
        return time.fromisoformat(f"{found[1]}{_micros(found[2])}" if found else "")
    except ValueError:
        raise ValueError("must be a time of day without a zone, such as 09:30:00") from None


def _micros(fraction: str | None) -> str:
    return f".{fraction[1:7]:0<6}" if fraction else ""


def calendar_date(text: str) -> date:
    try:
        return date.fromisoformat(text if _DATE.match(text) else "")
    except ValueError:
        raise ValueError("must be a date that exists, such as 2026-01-31") from None


def duration(text: str) -> timedelta:
    """Parse an ISO 8601 duration in days, hours, minutes and seconds; years and months have no fixed length."""
    found = _DURATION.match(text)
    if not found:
        raise ValueError("must be a duration in days, hours, minutes and seconds, such as P1DT2H30M")
    parts = {name: int(found[name] or 0) for name in ("days", "hours", "minutes", "seconds")}
    value = timedelta(**parts, microseconds=int(f"{found['micros'] or '':0<6}"))
    if value > LONGEST_DURATION:
        raise ValueError(f"must be at most {LONGEST_DURATION.days} days")
    return -value if found["sign"] else value


def decimal(text: str, whole: int, places: int) -> Decimal:
    """Parse a plain number with at most `whole` digits before the point and `places` after it."""
    if not re.match(rf"-?[0-9]{{1,{whole}}}(\.[0-9]{{1,{places}}})?\Z", text):
        raise ValueError(f"must be a number with up to {whole} digits before the point and {places} after it")
    return Decimal(text)


def number(text: str) -> float:
    if not _FLOAT.match(text) or abs(value := float(text)) == float("inf"):
        raise ValueError("must be a number")
    return value


def real(text: str) -> float:
    """Parse a number within the range of REAL; the database rounds it to six to nine digits."""
    return in_real(number(text))


def in_real(value: float) -> float:
    """Return the value if its size fits REAL."""
    if value and not SMALLEST_REAL <= abs(value) <= LARGEST_REAL:
        raise ValueError(f"must be 0, or have a size from {SMALLEST_REAL} to {LARGEST_REAL}")
    return value


def uuid(text: str) -> UUID:
    """Parse the canonical form, with hyphens (RFC 9562, section 4)."""
    if not _UUID.match(text):
        raise ValueError("must be a UUID")
    return UUID(text)


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not have a NUL character")
    return text
