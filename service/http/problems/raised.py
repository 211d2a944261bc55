"""Problems for statuses that only hand-written routes return, by raising `HTTPException`."""

from functools import cache
from http import HTTPStatus
from typing import cast

from service.http import problems
from service.http.problems import Problem


class PaymentRequired(Problem):
    """A hand-written route returned 402."""

    status, code, title = 402, "payment_required", "Payment is required."


class ProxyAuthenticationRequired(Problem):
    """A hand-written route returned 407 (RFC 9110, 15.5.8)."""

    status, code, title = 407, "proxy_authentication_required", "The proxy requires credentials."


class Gone(Problem):
    """A hand-written route returned 410: the resource was removed permanently (RFC 9110, 15.5.11)."""

    status, code, title = 410, "gone", "The resource was removed permanently."


class LengthRequired(Problem):
    """A hand-written route returned 411: it requires a `Content-Length` (RFC 9110, 15.5.12)."""

    status, code, title = 411, "length_required", "The request requires a Content-Length."


class RangeNotSatisfiable(Problem):
    """A hand-written route returned 416: the content has no such range (RFC 9110, 15.5.17)."""

    status, code, title = 416, "range_not_satisfiable", "The range cannot be served."


class Teapot(Problem):
    """A hand-written route returned 418 (RFC 2324, 2.3.2)."""

    status, code, title = 418, "teapot", "The server is a teapot."


class MisdirectedRequest(Problem):
    """A hand-written route returned 421: the request belongs to another server (RFC 9110, 15.5.20)."""

    status, code, title = 421, "misdirected_request", "The request was sent to the wrong server."


class Locked(Problem):
    """A hand-written route returned 423: the resource is locked (RFC 4918, 11.3)."""

    status, code, title = 423, "locked", "The resource is locked."


class FailedDependency(Problem):
    """A hand-written route returned 424: an action that this one depends on failed (RFC 4918, 11.4)."""

    status, code, title = 424, "failed_dependency", "A required action failed."


class TooEarly(Problem):
    """A hand-written route returned 425: the request might be a replay (RFC 8470, 5.2)."""

    status, code, title = 425, "too_early", "The request was sent too early."


class UpgradeRequired(Problem):
    """A hand-written route returned 426: it requires another protocol (RFC 9110, 15.5.22)."""

    status, code, title = 426, "upgrade_required", "The request requires another protocol."


class UnavailableForLegalReasons(Problem):
    """A hand-written route returned 451 (RFC 7725)."""

    status, code, title = (
        451,
        "unavailable_for_legal_reasons",
        "The resource is unavailable for legal reasons.",
    )


class NotImplementedHere(Problem):
    """A hand-written route returned 501: the function is not implemented (RFC 9110, 15.6.2)."""

    status, code, title = 501, "not_implemented", "The function is not implemented."


class BadGateway(Problem):
    """A hand-written route returned 502: an upstream server sent an invalid response (RFC 9110, 15.6.3)."""

    status, code, title = 502, "bad_gateway", "An upstream server sent an invalid response."


class GatewayTimeout(Problem):
    """A hand-written route returned 504: an upstream server did not respond in time (RFC 9110, 15.6.5)."""

    status, code, title = 504, "gateway_timeout", "An upstream server did not respond in time."


class InsufficientStorage(Problem):
    """A hand-written route returned 507 (RFC 4918, 11.5)."""

    status, code, title = 507, "insufficient_storage", "There is not enough storage."


_OWN = (
    problems.MalformedRequest, problems.Unauthenticated, problems.Forbidden, problems.NotFound,
    problems.MethodNotAllowed, problems.NotAcceptable, problems.RequestTimeout, problems.Conflict,
    problems.PreconditionFailed, problems.BodyTooLarge, problems.TargetTooLong, problems.UnsupportedMediaType,
    problems.ExpectationFailed, problems.ValidationFailed, problems.PreconditionRequired, problems.TooManyRequests,
    problems.HeadersTooLarge, problems.InternalError, problems.Unavailable,
)  # fmt: skip
_ONLY_RAISED = (
    PaymentRequired, ProxyAuthenticationRequired, Gone, LengthRequired, RangeNotSatisfiable, Teapot,
    MisdirectedRequest, Locked, FailedDependency, TooEarly, UpgradeRequired, UnavailableForLegalReasons,
    NotImplementedHere, BadGateway, GatewayTimeout, InsufficientStorage,
)  # fmt: skip
_BY_STATUS: dict[int, type[Problem]] = {cls.status: cls for cls in (*_OWN, *_ONLY_RAISED)}


@cache
def problem_of_status(status: int) -> type[Problem]:
    """Return the problem class of a status from 400 to 599; a status without a class gets the code
    `status_<number>`."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    try:
        title = f"{HTTPStatus(status).phrase}."
    except ValueError:
        title = "The request failed."
    members = {"status": status, "code": f"status_{status}", "title": title}
    return cast("type[Problem]", type(f"Status{status}", (Problem,), members))
