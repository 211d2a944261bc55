"""Errors on fields that exist but that a request cannot set."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from service.http.problems import FieldError, pointer
from service.http.problems.messages import UNKNOWN_FIELD
from service.resources.declaration import RestResource

IMMUTABLE = "cannot be changed"
READONLY = "is set by the service"


def report_unwritable(
    errors: Sequence[FieldError], resource: RestResource, at: Sequence[Any] = (), *, new: bool
) -> list[FieldError]:
    """Return the errors of a `new` item or of a patch, which is `at` this path of the body, with a reason for each
    field that exists.

    The schemas lack these fields, so validation reports them as unknown. That is all to say of fields that clients can
    neither see nor set.
    """
    reasons = {} if new else dict.fromkeys(resource.immutable, IMMUTABLE)
    reasons |= dict.fromkeys(resource.readonly, READONLY)
    for name in set(resource.hidden).intersection(resource.readonly):
        reasons.pop(name, None)
    by_pointer = {pointer((*at, name)): reason for name, reason in reasons.items()}
    return [
        replace(error, message=by_pointer[error.pointer])
        if error.message == UNKNOWN_FIELD and error.pointer in by_pointer
        else error
        for error in errors
    ]
