"""`/api/v1/keys`: API keys, for administrators. Hand-written, since no generated route shows a secret once."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from service import clock
from service.http.handwritten import (
    ALWAYS,
    WITH_BODY,
    Input,
    Output,
    SessionDep,
    answers_json,
    body_of,
    read_body,
    responses_of,
)
from service.http.problems import FieldError, NotFound, ValidationFailed
from service.models.api_key import ApiKey
from service.security.access import require_scope
from service.security.api_keys.commands import (
    CLAIM,
    CLAIM_LENGTH,
    NAME,
    NoSuchKeyError,
    create_key,
    list_keys,
    revoke_key,
)
from service.security.principals import ADMIN, Principal
from service.security.scope_names import SCOPE, describe_unknown, similar_scopes

TAG = {"name": "keys", "description": "API keys, for administrators."}
router = APIRouter(prefix="/keys", tags=[TAG["name"]], dependencies=[Depends(answers_json)])

Admin = Annotated[Principal, require_scope(ADMIN)]
Scope = Annotated[str, Field(pattern=SCOPE.pattern)]
Claim = Annotated[str, Field(pattern=CLAIM.pattern)]
ClaimValue = Annotated[str, Field(min_length=1, max_length=CLAIM_LENGTH, pattern=NAME.pattern)]


def _only_these_names(schema: dict[str, Any]) -> None:
    """Say that other names are refused: `patternProperties` allows them, and client generators ignore it."""
    ((pattern, value),) = schema.pop("patternProperties").items()
    schema |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}


class KeyCreate(Input):
    """A new API key."""

    name: str = Field(
        min_length=1,
        max_length=100,
        pattern=NAME.pattern,
        description="What the key is for; no line breaks or control characters.",
        examples=["importer"],
    )
    scopes: list[Scope] = Field(min_length=1, max_length=50, examples=[["admin"]])
    claims: dict[Claim, ClaimValue] = Field(
        default_factory=dict,
        max_length=20,
        description="What else is known of its holder, such as the tenant it acts for.",
        examples=[{"tenant": "acme"}],
        json_schema_extra=_only_these_names,
    )
    days: int | None = Field(
        default=None, ge=1, le=3650, description="Days until the key expires; null for never."
    )


class KeyRead(Output):
    """An API key without its secret."""

    prefix: str = Field(
        description="The public part of the key; its principal is `key:<prefix>`.",
        examples=["gse3ndxsezxn"],
    )
    name: str = Field(examples=["importer"])
    scopes: list[str] = Field(examples=[["admin"]])
    claims: dict[str, str] = Field(examples=[{"tenant": "acme"}])
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Accurate to the minute.")
    revoked_at: datetime | None


class KeyCreated(KeyRead):
    """A new API key with its secret, which is shown this once."""

    key: str = Field(examples=["slw_gse3ndxsezxn_se4rTTyYzlN0MUTM9zlVKAHoCl35oYVdllF0zrrhioA"])


class KeyPage(Output):
    """All API keys, oldest first."""

    items: list[KeyRead]


@router.get("", summary="List API keys", responses=responses_of(*ALWAYS))
async def list_api_keys(session: SessionDep, _: Admin) -> KeyPage:
    """All keys, also the ended ones."""
    return KeyPage(items=[_shown(key) for key in await list_keys(session)])


@router.post(
    "",
    status_code=201,
    summary="Create an API key",
    responses=responses_of(*ALWAYS, *WITH_BODY),
    openapi_extra=body_of(KeyCreate),
)
async def create_api_key(request: Request, session: SessionDep, _: Admin) -> KeyCreated:
    """The key itself is in this response and nowhere else."""
    wanted = await read_body(request, KeyCreate)
    known: frozenset[str] = request.app.state.scopes
    # Unknown scopes may belong to a service that shares the database; one close to a known scope is a typing error.
    errors = [
        FieldError(describe_unknown(scope, known) or "", pointer=f"/scopes/{number}")
        for number, scope in enumerate(wanted.scopes)
        if similar_scopes(scope, known)
    ]
    if errors:
        raise ValidationFailed(errors=errors)
    expires_at = None if wanted.days is None else clock.now() + timedelta(days=wanted.days)
    key, text = await create_key(
        session, name=wanted.name, scopes=wanted.scopes, claims=wanted.claims, expires_at=expires_at
    )
    return KeyCreated(**_shown(key).model_dump(), key=text)


@router.delete(
    "/{prefix}", status_code=204, summary="Revoke an API key", responses=responses_of(*ALWAYS, NotFound)
)
async def revoke_api_key(prefix: str, session: SessionDep, _: Admin) -> None:
    """Ends the key everywhere within a second; revoking twice keeps the first time."""
    try:
        await revoke_key(session, prefix)
    except NoSuchKeyError:
        raise NotFound("There is no such key.") from None


def _shown(key: ApiKey) -> KeyRead:
    return KeyRead.model_validate({name: getattr(key, name) for name in KeyRead.model_fields})
