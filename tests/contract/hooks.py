"""Hooks for Schemathesis: existing shelves, and facts that no schema can express."""

import os
import re
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData, UndefinedStatusCode, UseAfterFree

from service.http.content.preconditions import TAGS_PATTERN

Json = dict[str, Any]

RESTORED: set[str] = set()
"""Ids of items that were restored after they were deleted."""

# A valid request may be refused for the state of the data or a rule between values: its code and message.
REASONS = {
    "idempotency_key_reused": "Use a new key",
    "invalid_cursor": "Send a cursor only with the filters and sort of the list that it came from",
    "invalid_json": r"64 bits|send it as text|same name twice|deeper than \d+ levels",
    "invalid_parameter": "is listed twice|not with as_of",
    "no_room": "There is room for",
    "precondition_failed": "",
    "precondition_required": "",  # PUT takes one of two headers
    # A bulk request that is rolled back reports the errors of all operations, under the status of the first.
    "wrong_state": "discontinued|must be packed",
    "validation_failed": "does not exist|cannot be changed|is (listed twice|already used by another item)|"
    r"^There is no such \w+\.$|"
    # Most validators compute `multipleOf` in binary and refuse 19.99, so no schema says how many places a number has.
    "^The item has changed|weak entity tag|name of a compression|^must have at most \\d+ decimal places$",
}


@schemathesis.hook
def map_body(_: HookContext, body: Any) -> Any:
    """Give most articles an existing shelf, or nothing would be stored."""
    items = [body]
    if isinstance(body, dict) and isinstance(body.get("operations"), list):
        items = [part.get(name) for part in body["operations"] if isinstance(part, dict) for name in part]
    for item in items:
        given = item.get("shelf_id") if isinstance(item, dict) else None
        if isinstance(given, str) and re.fullmatch(r"[0-9a-f-]{36}", given) and given[0] != "0":
            item["shelf_id"] = os.environ["SLIPWAY_TEST_SHELF"]
    return body


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Keep the run from revoking its own key."""
    if case.path_parameters.get("prefix") == os.environ["SLIPWAY_TEST_PREFIX"]:
        case.path_parameters["prefix"] = "unknown"


@schemathesis.hook
def after_call(_: HookContext, case: Case[Any], response: Response) -> None:
    """Remember what was restored since it was deleted."""
    id_ = str(case.path_parameters.get("id"))
    if case.operation.path.endswith("/restore") and response.status_code == 200:
        RESTORED.add(id_)
    elif (
        case.operation.method.upper() == "DELETE" and response.status_code == 204
    ):  # a refused one deletes nothing
        RESTORED.discard(id_)


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Whether a failure is real. Each exception is as narrow as possible."""
    if isinstance(failure, RejectedPositiveData):
        problem = response.json()
        return not (_has_a_reason(problem) or _has_odd_tags(case) or _is_about_a_flag(case, problem))
    if isinstance(failure, AcceptedNegativeData):
        return not _is_partial_bulk(case, response)
    if isinstance(failure, UseAfterFree):
        # A deleted item keeps its history, and may have been restored since.
        past = case.operation.path.endswith("/history") or "as_of" in (case.query or {})
        return not (past or case.path_parameters.get("id") in RESTORED)
    if isinstance(failure, UndefinedStatusCode):
        # Not this operation: `/articles/bulk` is a separate path that takes precedence over `/articles/{id}`.
        return not (response.status_code == 405 and case.path_parameters.get("id") in ("bulk", "export"))
    return True


def _has_a_reason(problem: Json) -> bool:
    words = [error["message"] for error in problem.get("errors", [])] or [problem.get("detail", "")]
    reason = REASONS.get(problem["code"])
    return reason is not None and all(re.search(reason, text) for text in words)


def _is_about_a_flag(case: Case[Any], problem: Json) -> bool:
    """The type of a flag's value depends on the name in the path; a rule needs at least one of its conditions."""
    if not case.operation.path.endswith("/feature-flags/{name}"):
        return False
    errors = problem.get("errors", [])
    return bool(errors) and all(
        re.fullmatch(r"/(value|rules/\d+/value)(/.*)?", error.get("pointer", ""))
        or re.search("^needs principals, claims or percent|takes no rules$", error["message"])
        for error in errors
    )


def _has_odd_tags(case: Case[Any]) -> bool:
    """In its coverage phase, Schemathesis takes `0` as valid for a header whose pattern requires quotes."""
    headers: Json = dict(case.headers or {})
    given = (headers.get(name) for name in ("If-Match", "If-None-Match"))
    return any(value is not None and not re.search(TAGS_PATTERN, value) for value in given)


def _is_partial_bulk(case: Case[Any], response: Response) -> bool:
    """A partial bulk request is accepted; each wrong operation has its own problem in the response."""
    body = case.body
    if not case.operation.path.endswith("/bulk") or not isinstance(body, dict):
        return False
    results = response.json()["results"]
    return body.get("mode") == "partial" and any(result["status"] in (400, 422) for result in results)
