"""The dependencies that hand-written and generated routes use to require a principal and its scopes."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from service.http.handwritten.request_checks import check_request
from service.http.handwritten.signature import rules_of
from service.security.gate import Gate
from service.security.principals import Principal

# These two only document the credentials in OpenAPI; `Gate` reads the headers.
bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="An API key, or a token from a configured issuer."
)
api_key = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="apiKey", description="An API key.")


async def current_principal(
    request: Request,
    scopes: SecurityScopes,
    _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    _key: Annotated[str | None, Depends(api_key)],
) -> Principal:
    """The dependency of hand-written routes: `Annotated[Principal, Security(current_principal, scopes=["…"])]`.

    Requires every scope on its path up the tree of dependencies, as FastAPI's `SecurityScopes` does. If a route has it
    on several branches, the route needs the union of their scopes.
    """
    gate: Gate = request.app.state.gate
    principal = await gate.admit(request, scopes.scopes)
    await check_request(request)
    return principal


async def check_ungated(request: Request) -> None:
    """Dependency of every hand-written route: checks a route without a principal here, others after authentication."""
    rules = rules_of(request.scope)
    if rules is not None and current_principal not in rules.dependencies:
        await check_request(request)


def require_scope(*scopes: str) -> object:
    """A dependency that admits only principals with all of `scopes`."""
    return Security(current_principal, scopes=scopes)
