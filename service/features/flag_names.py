"""The flags of all domains by name, and hints for mistyped names."""

from collections.abc import Collection, Iterable
from typing import Any

from service.features.flag import Flag, FlagError

_SIMILARITY = 0.6  # of difflib, from 0 to 1

AnyFlag = Flag[Any]


def by_name(flags: Iterable[AnyFlag]) -> dict[str, AnyFlag]:
    """Return the flags by name, in order. Raises `FlagError` if two have the same name."""
    found: dict[str, AnyFlag] = {}
    for flag in flags:
        if found.setdefault(flag.name, flag) is not flag:
            raise FlagError(f"{flag.name}: two flags have this name; rename one of them")
    return dict(sorted(found.items()))


def describe_unknown_flag(name: str, known: Collection[str]) -> str:
    """Return the message for an unknown flag, with up to three similar names."""
    import difflib  # noqa: PLC0415  # only mistyped names need it

    similar = difflib.get_close_matches(name, known, n=3, cutoff=_SIMILARITY)
    hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
    return f"There is no feature flag {name}.{hint}"
