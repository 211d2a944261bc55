"""Who calls, for the edge: before a route reads its body, and for the access line of requests refused earlier."""

import structlog
from fastapi import Request
from starlette.types import Scope

from service.http.handwritten.signature import rules_of
from service.http.middleware.state import route_of, state_of
from service.http.problems import InternalError, Problem
from service.http.problems.handlers import problem_of_error
from service.security.access import current_principal
from service.security.gate import Gate
from service.security.principals import Principal
from service.security.scopes import scopes_of

log = structlog.get_logger(__name__)


class Callers:
    """Identifies and admits callers through the gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def admit_early(self, scope: Scope) -> None:
        """Admit the caller of a hand-written route before its body is read; other routes do that themselves.

        FastAPI reads and parses the body before it solves dependencies, `current_principal` included. Raises a problem,
        and nothing else: FastAPI takes any other exception for a malformed body.
        """
        rules = rules_of(scope)
        if (
            rules is None
            or current_principal not in rules.dependencies
            or state_of(scope).admitted is not None
        ):
            return
        try:
            await self._gate.admit(Request(scope), sorted(scopes_of(route_of(scope).dependant)))
        except Problem:
            raise
        except Exception as error:
            problem = problem_of_error(error)
            if isinstance(problem, InternalError):
                log.exception("cannot identify the caller")
            raise problem from error

    async def identify(self, scope: Scope) -> None:
        """See `Gate.identify`."""
        await self._gate.identify(scope)

    def known(self, scope: Scope) -> Principal | None:
        """See `Gate.known`."""
        return self._gate.known(scope)
