"""The form of scope names, and hints for mistyped ones."""

import re
from collections.abc import Collection

SCOPE = re.compile(r"^[a-z][a-z0-9_-]{0,30}(:[a-z][a-z0-9_-]{0,30})?$")
_SIMILARITY = 0.85  # of difflib, from 0 to 1


def similar_scopes(scope: str, known: Collection[str]) -> list[str]:
    """Return up to three known scopes similar to an unknown one, the closest first; none for a known scope."""
    if scope in known:
        return []
    import difflib  # noqa: PLC0415  # only mistyped names need it

    return difflib.get_close_matches(scope, known, n=3, cutoff=_SIMILARITY)


def describe_unknown(scope: str, known: Collection[str]) -> str | None:
    """Return the message for an unknown scope, with similar known ones; None for a known scope."""
    if scope in known:
        return None
    similar = similar_scopes(scope, known)
    hint = f" Did you mean {' or '.join(similar)}?" if similar else ""
    return f"No route asks for the scope {scope}.{hint} Known scopes: {', '.join(sorted(known))}."
