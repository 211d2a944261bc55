"""Merge patches (RFC 7396): their media types, and errors on fields that a patch cannot change."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from service.http.problems import FieldError, pointer
from service.http.problems.messages import UNKNOWN_FIELD

FIXED = "cannot be changed"
MERGE_PATCH = ("application/merge-patch+json", "application/json")


def told_fixed(
    errors: Sequence[FieldError], fixed: Iterable[str], at: Sequence[Any] = ()
) -> list[FieldError]:
    """Return the errors of a patch `at` a place in the body. Fields set only at creation are reported as immutable."""
    places = {pointer((*at, name)) for name in fixed}
    return [
        replace(error, message=FIXED) if error.message == UNKNOWN_FIELD and error.pointer in places else error
        for error in errors
    ]
