"""Admits requests: rate limit, then authentication, then scopes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from fastapi import Request
from starlette.types import Scope

from service.actor import SeenRows
from service.http.middleware.state import KEY, RequestState, state_of
from service.http.problems import Forbidden, Unauthenticated
from service.security.credentials import address_of, credential_of
from service.security.principals import ANONYMOUS, Principal, anonymous
from service.security.rate_limits.request_limits import Limits
from service.security.refusals import Reason, RefusalLog, RefusedError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1

_ANONYMOUS_MAY: Mapping[str, tuple[str, ...]] = {"none": (), "read": ("read",), "write": ("read", "write")}

Look = Callable[[str], Principal | None]
RowsOf = Callable[[Principal], SeenRows]
"""Returns the rows that row-level security lets a principal see."""


class Verifier(Protocol):
    """Turns a credential into a principal."""

    def known(self, presented: str) -> Principal | None:
        """Return the principal of a recently verified credential, at no cost."""

    def seen(self, presented: str) -> Principal | None:
        """Return the principal of a credential that was valid not long ago: enough to count by, not to admit."""

    async def verify(self, presented: str) -> Principal | None:
        """Return the principal of a credential; None for another kind of credential. Raises `RefusedError`."""


class Gate:
    """Admits requests to `/api`. Raises `TooManyRequests`, `Unauthenticated` or `Forbidden`.

    A credential that is or was valid counts against its principal's limit, so other callers at the same address cannot
    use it up. Any other credential counts against the address before the database is asked, and again if it is invalid.
    """

    def __init__(
        self,
        verifiers: Sequence[Verifier],
        *,
        limits: Limits,
        anonymous: Literal["none", "read", "write"],
        rows_of: RowsOf | None = None,
    ) -> None:
        self._verifiers = verifiers
        self._known: Sequence[Look] = [verifier.known for verifier in verifiers]
        self._seen: Sequence[Look] = [verifier.seen for verifier in verifiers]
        self._limits = limits
        # Of a caller who is known at once, both in one pass.
        self._policies = {True: limits.all, False: (*limits.all, *limits.write)}
        self._refusals = RefusalLog()
        self._rows_of = rows_of
        self._anonymous_may = _ANONYMOUS_MAY[anonymous]

    async def admit(self, request: Request, scopes: Sequence[str]) -> Principal:
        """Return the principal of the request, which has all of `scopes`.

        A request is authenticated and counted once, however many dependencies of its route ask. Without scopes any
        credential will do, and no caller is anonymous.
        """
        state: RequestState = request.scope[KEY]
        if state.admitted is None:
            state.admitted = await self._admit(request, state, scopes)
            state.principal = state.admitted
            if self._rows_of is not None:
                state.rows = self._rows_of(state.admitted)
        elif state.admitted.id == ANONYMOUS:
            return self._without_credential(scopes)
        principal: Principal = state.admitted
        if missing := principal.lacks(scopes):
            raise Forbidden(describe_missing(missing))
        return principal

    async def identify(self, scope: Scope) -> None:
        """Identify the caller of a request refused before its route; it counts like any other.

        Raises the errors of `admit`. A request without a credential stays anonymous, at no cost.
        """
        state = state_of(scope)
        if credential_of(state.fields) is not None:
            await self._admit(Request(scope), state, ())

    def known(self, scope: Scope) -> Principal | None:
        """Return the cached principal of a recently verified credential, at no cost."""
        return _first(self._known, credential_of(state_of(scope).fields))

    def is_open(self, scopes: Sequence[str]) -> bool:
        """Whether anonymous callers have all of these scopes; False for an empty list."""
        return bool(scopes) and all(scope.rpartition(":")[2] in self._anonymous_may for scope in scopes)

    async def _admit(self, request: Request, state: RequestState, scopes: Sequence[str]) -> Principal:
        credential, is_safe = credential_of(state.fields), request.scope["method"] in SAFE_METHODS
        principal = _first(self._known, credential)
        if principal is not None:
            state.principal = principal  # for the access line, even if the rate limit is exceeded
            await self._limits.count(state, principal.id, self._policies[is_safe])
            return principal
        principal = state.principal = await self._authenticate(request, state, credential, scopes)
        if not is_safe:
            await self._limits.count(state, principal.id, self._limits.write)
        return principal

    async def _authenticate(
        self, request: Request, state: RequestState, credential: str | None, scopes: Sequence[str]
    ) -> Principal:
        address = address_of(request)
        seen = state.principal = _first(self._seen, credential)
        await self._limits.count(state, seen.id if seen is not None else address, self._limits.all)
        if credential is None:
            return self._without_credential(scopes)
        if seen is None:
            self._limits.check_failures(state, address)
        try:
            return await self._verify(credential)
        except RefusedError as refused:
            state.principal = None
            self._refusals.note(address, refused)
        await self._limits.count_failure(address)
        raise Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="slipway", error="invalid_token"'})

    async def _verify(self, credential: str) -> Principal:
        for verifier in self._verifiers:
            if (principal := await verifier.verify(credential)) is not None:
                return principal
        raise RefusedError(Reason.MALFORMED)

    def _without_credential(self, scopes: Sequence[str]) -> Principal:
        if self.is_open(scopes):
            return anonymous(scopes)
        raise Unauthenticated


def _first(looks: Sequence[Look], credential: str | None) -> Principal | None:
    """Return the first principal that one of these functions finds."""
    if credential is None:
        return None
    for look in looks:
        if (principal := look(credential)) is not None:
            return principal
    return None


def describe_missing(scopes: Sequence[str]) -> str:
    """Return the sentence that names the missing scopes, at least one."""
    if len(scopes) == 1:
        return f"The scope {scopes[0]} is needed."
    return f"The scopes {', '.join(scopes[:-1])} and {scopes[-1]} are needed."
