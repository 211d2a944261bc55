"""Merge patches (RFC 7396): their media types, and errors on fields that a patch cannot change."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from service.http.problems import FieldError, pointer
from service.http.problems.messages import UNKNOWN_FIELD

IMMUTABLE = "cannot be changed"
MERGE_PATCH = ("application/merge-patch+json", "application/json")


def report_immutable(
    errors: Sequence[FieldError], immutable: Iterable[str], at: Sequence[Any] = ()
) -> list[FieldError]:
    """Return the errors of a patch, which is `at` this path of the body, with immutable fields reported as such.

    The schema of patches lacks these fields, so validation reports them as unknown.
    """
    pointers = {pointer((*at, name)) for name in immutable}
    return [
        replace(error, message=IMMUTABLE)
        if error.message == UNKNOWN_FIELD and error.pointer in pointers
        else error
        for error in errors
    ]
