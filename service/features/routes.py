"""`/api/v1/features`: the flags of the caller. `/api/v1/feature-flags`: their administration."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response

from service.features.flag_commands import (
    NoRulesError,
    WrongRuleError,
    flag_history,
    set_flag,
    stored_flag,
    stored_flags,
    unset_flag,
)
from service.features.flag_names import AnyFlag, describe_unknown_flag
from service.features.flag_schemas import (
    Feature,
    FeatureFlagHistory,
    FeatureFlagList,
    FeatureFlagRead,
    FeatureFlagWrite,
    FeatureList,
    shown_change,
    shown_flag,
)
from service.features.flag_store import FlagStore
from service.features.kinds import WrongValueError
from service.http.content.preconditions import TAGS_PATTERN, TagMaker, guard_of
from service.http.handwritten import (
    ALWAYS,
    WITH_BODY,
    SessionDep,
    answers_json,
    body_of,
    read_body,
    responses_of,
)
from service.http.problems import (
    FieldError,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    ValidationFailed,
)
from service.models.feature_flag import FeatureFlag
from service.security.access import require_scope
from service.security.principals import Principal

READ, ADMINISTER = "features:read", "features:admin"
TAGS = (
    {"name": "features", "description": "Feature flags as they are for the caller."},
    {"name": "feature-flags", "description": "Feature flags, for administrators."},
)
CHANGED = (PreconditionFailed, PreconditionRequired)

router = APIRouter(dependencies=[Depends(answers_json)])
Admin = Annotated[Principal, require_scope(ADMINISTER)]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", pattern=TAGS_PATTERN, description="ETag of the flag; required.", examples=["*"]),
]


async def _store(request: Request) -> FlagStore:
    store: FlagStore = request.app.state.flags
    return store


StoreDep = Annotated[FlagStore, Depends(_store)]


@router.get(
    "/features", tags=["features"], summary="List the caller's features", responses=responses_of(*ALWAYS)
)
async def list_features(store: StoreDep, principal: Annotated[Principal, require_scope(READ)]) -> FeatureList:
    """A change of a flag shows within a second."""
    items = []
    for name, flag in store.declared.items():
        if flag.is_setting:
            continue
        found = flag.evaluate(principal)
        value = flag.kind.as_json(found.value)
        items.append(Feature(name=name, value=value, variant=found.variant, reason=found.reason))
    return FeatureList(items=items)


@router.get(
    "/feature-flags", tags=["feature-flags"], summary="List feature flags", responses=responses_of(*ALWAYS)
)
async def list_feature_flags(store: StoreDep, session: SessionDep, _: Admin) -> FeatureFlagList:
    """Every flag that the code declares, also those that were never set."""
    rows = await stored_flags(session)
    return FeatureFlagList(
        items=[shown_flag(store, flag, rows.get(name)) for name, flag in store.declared.items()]
    )


@router.get(
    "/feature-flags/{name}",
    tags=["feature-flags"],
    summary="Read a feature flag",
    responses=responses_of(*ALWAYS, NotFound),
)
async def read_feature_flag(
    name: str, store: StoreDep, session: SessionDep, response: Response, _: Admin
) -> FeatureFlagRead:
    """Its ETag guards the next change."""
    flag = _declared(store, name)
    row = await stored_flag(session, name)
    response.headers["ETag"] = _tag(flag, row)
    return shown_flag(store, flag, row)


@router.put(
    "/feature-flags/{name}",
    tags=["feature-flags"],
    summary="Set a feature flag",
    responses=responses_of(*ALWAYS, *WITH_BODY, NotFound, *CHANGED),
    openapi_extra=body_of(FeatureFlagWrite),
)
async def set_feature_flag(
    name: str,
    store: StoreDep,
    session: SessionDep,
    request: Request,
    response: Response,
    _: Admin,
    _if_match: IfMatch = None,
) -> FeatureFlagRead:
    """Takes effect in every replica within a second. Requests that run keep the value that they began with."""
    flag = _declared(store, name)
    wanted = await read_body(request, FeatureFlagWrite)
    row = await _guarded(session, flag, request)
    try:
        row = await set_flag(session, flag, row, value=wanted.value, rules=wanted.rules)
    except WrongRuleError as error:
        raise ValidationFailed(
            errors=[FieldError(str(error), pointer=f"/rules/{error.index}/value")]
        ) from None
    except NoRulesError as error:
        raise ValidationFailed(errors=[FieldError(str(error), pointer="/rules")]) from None
    except WrongValueError as error:
        raise ValidationFailed(errors=[FieldError(str(error), pointer="/value")]) from None
    response.headers["ETag"] = _tag(flag, row)
    return shown_flag(store, flag, row)


@router.delete(
    "/feature-flags/{name}",
    tags=["feature-flags"],
    status_code=204,
    summary="Unset a feature flag",
    responses=responses_of(*ALWAYS, NotFound, *CHANGED),
)
async def unset_feature_flag(
    name: str, store: StoreDep, session: SessionDep, request: Request, _: Admin, _if_match: IfMatch = None
) -> None:
    """The flag has its setting or default again."""
    row = await _guarded(session, _declared(store, name), request)
    if row is not None:
        await unset_flag(session, row)


@router.get(
    "/feature-flags/{name}/history",
    tags=["feature-flags"],
    summary="List the changes of a feature flag",
    responses=responses_of(*ALWAYS, NotFound),
)
async def list_feature_flag_changes(
    name: str, store: StoreDep, session: SessionDep, _: Admin
) -> FeatureFlagHistory:
    """The last hundred, newest first."""
    row = await stored_flag(session, _declared(store, name).name)
    return FeatureFlagHistory(items=[shown_change(change) for change in await flag_history(session, row)])


def _declared(store: FlagStore, name: str) -> AnyFlag:
    if (flag := store.declared.get(name)) is None:
        raise NotFound(describe_unknown_flag(name[:100], store.declared))
    return flag


async def _guarded(session: SessionDep, flag: AnyFlag, request: Request) -> FeatureFlag | None:
    """Return the row of a flag to change, locked. Raises `PreconditionFailed` or `PreconditionRequired`."""
    guard = guard_of(request, _tags(flag), required=True)
    row = await stored_flag(session, flag.name, lock=True)
    if not guard.allows(_state_number(row)):
        raise PreconditionFailed(guard.advice)
    return row


def _state_number(row: FeatureFlag | None) -> int:
    """Return 1 for a flag that was never set, and one more for each change."""
    return 1 if row is None else row.version + 1


def _tags(flag: AnyFlag) -> TagMaker:
    """Return the maker of entity tags; a release that declares the flag otherwise has other tags."""
    declared = orjson.dumps([flag.kind.as_json(flag.default), flag.description, flag.owner, flag.expires])
    return TagMaker([*FeatureFlagRead.model_fields, flag.name, declared.decode()])


def _tag(flag: AnyFlag, row: FeatureFlag | None) -> str:
    return _tags(flag).tag(_state_number(row))
