"""Checks the query of a hand-written route against the parameters that it declares."""

from urllib.parse import parse_qsl

from fastapi import Request

from service.http.handwritten.signature import Rules
from service.http.problems import FieldError, InvalidParameter, NotFound

MAX_PARAMETERS = 100


def check_query(request: Request, rules: Rules) -> None:
    """Raise `InvalidParameter` for unknown or repeated parameters and for values with NUL or that are not UTF-8; and
    `NotFound` for a NUL in the path."""
    if "\x00" in request.scope["path"]:
        raise NotFound
    if rules.query is None or not request.scope["query_string"]:
        return
    given = _pairs(request.scope["query_string"])
    names = [name for name, _ in given]
    wrong = {name: "This parameter does not exist." for name in names if name not in rules.query}
    for name, value in given:
        if name in rules.query and not rules.query[name] and names.count(name) > 1:
            wrong[name] = "The parameter is repeated."
        elif "\x00" in value:
            wrong.setdefault(name, "The value must not have a NUL character.")
    if wrong:
        errors = [FieldError(message, parameter=name[:100]) for name, message in sorted(wrong.items())]
        raise InvalidParameter(errors=errors)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise InvalidParameter("The query is not UTF-8, or has too many parameters.") from None
