"""The one import for hand-written routes: dependencies, opt-outs, bodies, and what their documentation needs.

The principal comes from `service.security.access`: `Annotated[Principal, require_scope("orders:write")]`.
"""

from service.http.content.body import read_body
from service.http.content.schemas import Input, Output
from service.http.handwritten.dependencies import CachesDep, SessionDep, SettingsDep
from service.http.handwritten.opt_outs import answers_json, any_body, any_query
from service.http.openapi import ALWAYS, WITH_BODY, body_of, responses_of

__all__ = [
    "ALWAYS",
    "WITH_BODY",
    "CachesDep",
    "Input",
    "Output",
    "SessionDep",
    "SettingsDep",
    "answers_json",
    "any_body",
    "any_query",
    "body_of",
    "read_body",
    "responses_of",
]
