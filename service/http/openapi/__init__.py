"""The OpenAPI document and its page: FastAPI's, completed for clients, generators and linters."""

from service.http.openapi.common_problems import ALWAYS, WITH_BODY
from service.http.openapi.document import Problem, WrongValue, body_of, install
from service.http.openapi.operation_details import BODY_SCHEMA, NO_NUL, responses_of

__all__ = [
    "ALWAYS",
    "BODY_SCHEMA",
    "NO_NUL",
    "WITH_BODY",
    "Problem",
    "WrongValue",
    "body_of",
    "install",
    "responses_of",
]
