"""Checks a request against the rules of its hand-written route."""

from fastapi import Request, params

from service.http.handwritten.form_body import check_form
from service.http.handwritten.json_body import check_json
from service.http.handwritten.query import check_query
from service.http.handwritten.refuse_idempotency_key import refuse_key
from service.http.handwritten.signature import rules_of


async def check_request(request: Request) -> None:
    """Check the query, the Idempotency-Key and the body.

    Raises `InvalidParameter`, `NotFound`, `KeyNotSupported`, `UnsupportedMediaType` or `ValidationFailed`.
    """
    rules = rules_of(request.scope)
    if rules is None:
        return
    check_query(request, rules)
    if not rules.takes_key:
        refuse_key(request)
    if rules.any_body:
        return
    if isinstance(rules.body, params.Form):
        await check_form(request, rules.body)
    elif rules.body is not None:
        await check_json(request, rules.body)
