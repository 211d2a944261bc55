"""Every answer that is not a success: one class for each code.

Raise one of these anywhere under the edge. Codes are stable; `catalogue()` lists them.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from service.http.problems.problem import Problem


class MalformedRequest(Problem):
    """The request cannot be understood."""

    status, code, title = 400, "malformed_request", "The request cannot be understood."


class KeyNotSupported(MalformedRequest):
    """The operation does not keep answers for an Idempotency-Key. Send no key; `If-Match` guards repeats."""

    code, title = "idempotency_key_not_supported", "This operation takes no Idempotency-Key."


class UnknownHost(MalformedRequest):
    """`Host` names none of the hosts that the service answers to (`SLIPWAY_SECURITY__TRUSTED_HOSTS`)."""

    code, title = "unknown_host", "The service has no such host name."


class InvalidJson(MalformedRequest):
    """The body is not JSON as RFC 8259 and RFC 7493 (I-JSON) have it."""

    code, title = "invalid_json", "The body is not valid JSON."


class InvalidParameter(MalformedRequest):
    """A query parameter is unknown, given twice, or has a value that its type does not allow."""

    code, title = "invalid_parameter", "A parameter is wrong."


class InvalidCursor(MalformedRequest):
    """The cursor was not made here, or for another filter or sort."""

    code, title = "invalid_cursor", "The cursor does not fit this list."


class Unauthenticated(Problem):
    """No credentials, or none that are valid (RFC 9110, 15.5.2)."""

    status, code, title = 401, "unauthenticated", "Valid credentials are needed."
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="slipway"'}


class Forbidden(Problem):
    """The credentials are valid, and lack the scope that the operation asks for."""

    status, code, title = 403, "forbidden", "The credentials do not allow this."


class NotFound(Problem):
    """There is nothing here, or no longer."""

    status, code, title = 404, "not_found", "There is nothing here."


class MethodNotAllowed(Problem):
    """The path exists and has no such method; `Allow` lists those it has (RFC 9110, 15.5.6)."""

    status, code, title = 405, "method_not_allowed", "The path has no such method."


class RequestTimeout(Problem):
    """The request did not arrive in time (RFC 9110, 15.5.9)."""

    status, code, title = 408, "request_timeout", "The request took too long to arrive."


class Conflict(Problem):
    """The request contradicts what is stored."""

    status, code, title = 409, "conflict", "The request contradicts what is stored."


class Duplicate(Conflict):
    """Another item has a value that must be unique."""

    code, title = "duplicate", "Another item has this value already."


class StillRunning(Conflict):
    """Another request under the same Idempotency-Key has not ended yet."""

    code, title = "still_running", "A request with this key is still running."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class NotDeleted(Conflict):
    """What is not deleted cannot be restored."""

    code, title = "not_deleted", "The item is not deleted."


class NotAcceptable(Problem):
    """The client accepts none of the media types that the operation answers with (RFC 9110, 15.5.7)."""

    status, code, title = 406, "not_acceptable", "The answer has no media type that the client accepts."


class PreconditionFailed(Problem):
    """`If-Match` or `If-None-Match` fails, usually because the item has changed since the client read it
    (RFC 9110, 15.5.13)."""

    status, code, title = 412, "precondition_failed", "A precondition of the request does not hold."


class BodyTooLarge(Problem):
    """The body is larger than the service accepts (RFC 9110, 15.5.14)."""

    status, code, title = 413, "body_too_large", "The body is too large."


class TargetTooLong(Problem):
    """The request target is longer than the service accepts (RFC 9110, 15.5.15)."""

    status, code, title = 414, "target_too_long", "The request target is too long."


class UnsupportedMediaType(Problem):
    """The body is of a kind that the operation does not read (RFC 9110, 15.5.16)."""

    status, code, title = 415, "unsupported_media_type", "The body has the wrong media type."


class ExpectationFailed(Problem):
    """`Expect` asks for something other than `100-continue` (RFC 9110, 15.5.18)."""

    status, code, title = 417, "expectation_failed", "The expectation cannot be met."


class ValidationFailed(Problem):
    """The body is JSON, and its values break the rules; `errors` points at each."""

    status, code, title = 422, "validation_failed", "Some values break the rules."


class KeyReused(ValidationFailed):
    """The Idempotency-Key was used for a request with another path or body."""

    code, title = "idempotency_key_reused", "The key was used for another request."


class PreconditionRequired(Problem):
    """A change needs `If-Match`, so that no update is lost (RFC 6585, section 3)."""

    status, code, title = 428, "precondition_required", "The request needs a precondition."


class TooManyRequests(Problem):
    """The caller has used up its rate; `Retry-After` says when there is more (RFC 6585, section 4)."""

    status, code, title = 429, "too_many_requests", "The rate limit is used up."


class HeadersTooLarge(Problem):
    """There are more header fields, or larger ones, than the service accepts (RFC 6585, section 5)."""

    status, code, title = 431, "headers_too_large", "The header is too large."


class InternalError(Problem):
    """A defect of the service. The log has the cause under the request id."""

    status, code, title = 500, "internal_error", "The service failed."


class Unavailable(Problem):
    """Something that the service needs is away for a moment; try again (RFC 9110, 15.6.4)."""

    status, code, title = 503, "unavailable", "The service cannot answer right now."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class Overloaded(Unavailable):
    """The process works on as many requests as it can; nothing was done for this one."""

    code, title = "overloaded", "Too many requests are running."


class Busy(Unavailable):
    """Another change of the same item is under way, and took longer than a statement may wait for."""

    code, title = "busy", "Another change is under way."
    waited_for_twin = False
    """Whether it waited for a row with the same unique values, which a repeated request does."""


class Overtime(Problem):
    """The database took longer than a statement may take."""

    status, code, title = 504, "overtime", "The answer took too long."


def catalogue() -> Iterator[type[Problem]]:
    """Every problem class that has a code, by status and code."""
    found = {cls.code: cls for cls in _subclasses(Problem)}
    yield from sorted(found.values(), key=lambda cls: (cls.status, cls.code))


def _subclasses(cls: type[Problem]) -> Iterator[type[Problem]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
