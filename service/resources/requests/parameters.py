"""Query parameters, strictly: UTF-8, each at most once, none that the operation does not know."""

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from service.http.negotiation import require_acceptable
from service.http.problems import FieldError, InvalidParameter
from service.resources.requests.values import integer

MAX_PARAMETERS = 100

T = TypeVar("T")


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


def refuse_others(given: Mapping[str, str], *known: str) -> Mapping[str, str]:
    """The parameters. Raises `InvalidParameter` for each that is none of the `known`."""
    if unknown := given.keys() - set(known):
        raise InvalidParameter(
            errors=[
                FieldError("There is no such parameter.", parameter=name[:100]) for name in sorted(unknown)
            ]
        )
    return given


def typed(given: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T:
    """The value of a parameter. Raises `InvalidParameter` when `parse` raises `ValueError`."""
    try:
        return parse(given[name])
    except ValueError as error:
        raise InvalidParameter(errors=[FieldError(f"The value {error}.", parameter=name)]) from None


def page_limit(given: Mapping[str, str], *, default: int, most: int) -> int:
    """The `limit` of a page. Raises `InvalidParameter`."""
    if "limit" not in given:
        return min(default, most)
    limit = typed(given, "limit", integer)
    if not 1 <= limit <= most:
        raise InvalidParameter(errors=[FieldError(f"The value must be from 1 to {most}.", parameter="limit")])
    return limit


async def plain_request(request: Request) -> None:
    """The dependency of hand-written routes without parameters: it holds them to what generated routes promise.

    Raises `InvalidParameter` for any query parameter, and `NotAcceptable`.
    """
    refuse_others(query_of(request))
    require_acceptable(request, "application/json")
