"""Query parameters, strictly: UTF-8, each at most once, none that the operation does not know."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from service.http.problems import FieldError, InvalidParameter

MAX_PARAMETERS = 100


def query_of(request: Request) -> dict[str, str]:
    """The parameters by name. Raises `InvalidParameter` for broken escapes, too many, or one given twice."""
    raw: bytes = request.scope["query_string"]
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        raise InvalidParameter("The query is not UTF-8, or has too many parameters.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidParameter(errors=[FieldError("The parameter is given twice.", parameter=name[:100])])
        found[name] = value
    return found


def refuse_all(given: Mapping[str, str]) -> None:
    """For operations without parameters. Raises `InvalidParameter` when there are any."""
    if given:
        raise InvalidParameter(
            errors=[FieldError("There is no such parameter.", parameter=name[:100]) for name in given]
        )
