"""Problems that many operations share."""

from service.http import problems
from service.http.problems import Problem

ALWAYS: tuple[type[Problem], ...] = (
    problems.MalformedRequest,
    problems.Unauthenticated,
    problems.Forbidden,
    problems.NotAcceptable,
    problems.TooManyRequests,
    problems.InternalError,
    problems.Unavailable,
    problems.Overtime,
)
WITH_BODY = (
    problems.BodyTooLarge,
    problems.UnsupportedMediaType,
    problems.ValidationFailed,
    problems.Conflict,
)
