"""Every error response: one class for each code.

Raise one of these anywhere under the edge. Codes are stable; `catalogue()` lists them.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from service.http.problems.problem import Problem


class MalformedRequest(Problem):
    """The request breaks the HTTP specification, or a header has a malformed value."""

    status, code, title = 400, "malformed_request", "The request is malformed."


class KeyNotSupported(MalformedRequest):
    """The operation does not store responses for replay. Omit the key; `If-Match` makes retries safe."""

    code, title = "idempotency_key_not_supported", "This operation does not support Idempotency-Key."


class UnknownHost(MalformedRequest):
    """`Host` is not one of the host names in `SLIPWAY_SECURITY__TRUSTED_HOSTS`."""

    code, title = "unknown_host", "The Host header is not recognized."


class InvalidJson(MalformedRequest):
    """The body is not JSON as defined by RFC 8259 and RFC 7493 (I-JSON)."""

    code, title = "invalid_json", "The body is not valid JSON."


class InvalidParameter(MalformedRequest):
    """A query parameter is unknown, repeated, or has an invalid value."""

    code, title = "invalid_parameter", "A query parameter is invalid."


class InvalidCursor(MalformedRequest):
    """The cursor was not issued by this service, or belongs to another list, filter or sort."""

    code, title = "invalid_cursor", "The cursor is not valid for this list."


class Unauthenticated(Problem):
    """The credentials are missing or invalid (RFC 9110, 15.5.2)."""

    status, code, title = 401, "unauthenticated", "Valid credentials are required."
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="slipway"'}


class Forbidden(Problem):
    """The credentials are valid but lack the scope that the operation requires."""

    status, code, title = 403, "forbidden", "The credentials do not allow this operation."


class NotFound(Problem):
    """There is no such route or item, or the item has been deleted."""

    status, code, title = 404, "not_found", "Not found."


class MethodNotAllowed(Problem):
    """The path does not support this method; `Allow` lists the methods that it supports (RFC 9110, 15.5.6)."""

    status, code, title = 405, "method_not_allowed", "The path does not support this method."


class RequestTimeout(Problem):
    """The request did not arrive in time (RFC 9110, 15.5.9)."""

    status, code, title = 408, "request_timeout", "The request took too long to arrive."


class Conflict(Problem):
    """The request conflicts with stored data, such as items that refer to this one."""

    status, code, title = 409, "conflict", "The request conflicts with stored data."


class Duplicate(Conflict):
    """Another item has a value that must be unique."""

    code, title = "duplicate", "Another item already has this value."


class StillRunning(Conflict):
    """Another request with the same Idempotency-Key is still running."""

    code, title = "still_running", "A request with this Idempotency-Key is still running."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class WrongState(Conflict):
    """The item's state does not allow the action; the detail names the states that do."""

    code, title = "wrong_state", "The item's state does not allow this."


class NotDeleted(Conflict):
    """Only deleted items can be restored."""

    code, title = "not_deleted", "The item is not deleted."


class NotAcceptable(Problem):
    """`Accept` allows none of the media types that the operation can return (RFC 9110, 15.5.7)."""

    status, code, title = 406, "not_acceptable", "The client accepts none of the available media types."


class PreconditionFailed(Problem):
    """`If-Match` or `If-None-Match` fails, usually because the item has changed since the client read it
    (RFC 9110, 15.5.13)."""

    status, code, title = 412, "precondition_failed", "A precondition of the request failed."


class BodyTooLarge(Problem):
    """The body is larger than the service accepts (RFC 9110, 15.5.14)."""

    status, code, title = 413, "body_too_large", "The body is too large."


class TargetTooLong(Problem):
    """The request target is longer than the service accepts (RFC 9110, 15.5.15)."""

    status, code, title = 414, "target_too_long", "The request target is too long."


class UnsupportedMediaType(Problem):
    """The operation does not accept bodies of this media type (RFC 9110, 15.5.16)."""

    status, code, title = 415, "unsupported_media_type", "The media type of the body is not supported."


class ExpectationFailed(Problem):
    """`Expect` asks for something other than `100-continue` (RFC 9110, 15.5.18)."""

    status, code, title = 417, "expectation_failed", "The expectation cannot be met."


class ValidationFailed(Problem):
    """The body is valid JSON with invalid values; `errors` lists them."""

    status, code, title = 422, "validation_failed", "The body has invalid values."


class KeyReused(ValidationFailed):
    """The Idempotency-Key was used for a request with another path or body."""

    code, title = "idempotency_key_reused", "The Idempotency-Key was used for another request."


class PreconditionRequired(Problem):
    """The operation requires `If-Match`, so that no update is lost (RFC 6585, section 3)."""

    status, code, title = 428, "precondition_required", "The request requires a precondition."


class TooManyRequests(Problem):
    """The caller has exceeded its rate limit; `Retry-After` says when to retry (RFC 6585, section 4)."""

    status, code, title = 429, "too_many_requests", "The rate limit is exceeded."


class HeadersTooLarge(Problem):
    """The header fields are too many or too large (RFC 6585, section 5)."""

    status, code, title = 431, "headers_too_large", "The header fields are too large."


class InternalError(Problem):
    """A bug in the service. Find the cause in the log by the request id."""

    status, code, title = 500, "internal_error", "An internal error occurred."


class Unavailable(Problem):
    """The service, or a dependency such as the database, is temporarily unavailable; retry later (RFC 9110, 15.6.4)."""

    status, code, title = 503, "unavailable", "The service is temporarily unavailable."
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class Overloaded(Unavailable):
    """The process is at its limit of concurrent requests; this request had no effect."""

    code, title = "overloaded", "Too many requests are running."


class Busy(Unavailable):
    """Another change of the same item holds its lock for longer than a statement may wait."""

    code, title = "busy", "Another change of the item is in progress."
    waited_for_twin = False
    """Whether it waited for a row with the same unique values, which a repeated request does."""


class Overtime(Problem):
    """A statement exceeded its time limit in the database."""

    status, code, title = 504, "overtime", "The request took too long."


def catalogue() -> Iterator[type[Problem]]:
    """Every problem class that has a code, by status and code."""
    found = {cls.code: cls for cls in _subclasses(Problem)}
    yield from sorted(found.values(), key=lambda cls: (cls.status, cls.code))


def _subclasses(cls: type[Problem]) -> Iterator[type[Problem]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
