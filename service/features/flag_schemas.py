"""The bodies of the routes of feature flags."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, JsonValue

from service.features.flag_names import AnyFlag
from service.features.flag_state import Reason
from service.features.flag_store import FlagStore
from service.features.targeting import MOST_RULES, Rule
from service.http.content.schemas import Input, Output
from service.models.feature_flag import FeatureFlag
from service.models.row_history import RowHistory

_NAME = Field(examples=["new_checkout"])
_VALUE = Field(description="null: the setting or the default.", examples=[True])


class Feature(Output):
    """The value of a feature flag for the caller."""

    name: str = _NAME
    value: JsonValue = Field(examples=[True])
    variant: str = Field(description="Name of the value.", examples=["true"])
    reason: Reason = Field(
        description="From the code, the same for everybody, by principal or claim, or by percentage."
    )


class FeatureList(Output):
    """All feature flags for the caller, by name."""

    items: list[Feature]


class FeatureFlagWrite(Input):
    """The value of a flag for everybody, and rules for some; the first rule that includes a principal wins."""

    value: JsonValue = Field(default=None, description=_VALUE.description, examples=[True])
    rules: list[Rule] = Field(default=[], max_length=MOST_RULES)


class FeatureFlagRead(Output):
    """A feature flag: as the code declares it, and what was set at run time."""

    name: str = _NAME
    type: Literal["boolean", "string", "integer", "number", "json"]
    description: str
    owner: str = Field(examples=["checkout-team"])
    expires: date | None = Field(description="null for a flag that stays.")
    default: JsonValue
    setting: JsonValue = Field(description="Value in the settings; null without one.")
    value: JsonValue = _VALUE
    rules: list[dict[str, Any]]
    updated_at: datetime | None = Field(description="null if the flag was never set.")
    updated_by: str | None


class FeatureFlagList(Output):
    """All feature flags, by name."""

    items: list[FeatureFlagRead]


class FeatureFlagChange(Output):
    """One change of a flag: its value and rules afterwards."""

    action: Literal["set", "unset"]
    actor: str = Field(examples=["key:gse3ndxsezxn"])
    request_id: str | None
    at: datetime
    value: JsonValue = _VALUE
    rules: list[dict[str, Any]]


class FeatureFlagHistory(Output):
    """The last changes of a flag, newest first."""

    items: list[FeatureFlagChange]


def shown_flag(store: FlagStore, flag: AnyFlag, row: FeatureFlag | None) -> FeatureFlagRead:
    """Return a flag as administrators see it."""
    setting, is_setting = store.source_value(flag)
    is_set = row is not None and row.deleted_at is None
    return FeatureFlagRead(
        name=flag.name,
        type=flag.kind.name,
        description=flag.description,
        owner=flag.owner,
        expires=flag.expires,
        default=flag.kind.as_json(flag.default),
        setting=flag.kind.as_json(setting) if is_setting else None,
        value=row.value if row is not None and is_set else None,
        rules=row.rules if row is not None and is_set else [],
        updated_at=None if row is None else row.updated_at,
        updated_by=None if row is None else row.updated_by,
    )


def shown_change(change: RowHistory) -> FeatureFlagChange:
    """Return one version of a flag's row as a change."""
    return FeatureFlagChange(
        action="unset" if change.action == "delete" else "set",
        actor=change.actor,
        request_id=change.request_id,
        at=change.at,
        value=change.row["value"],
        rules=change.row["rules"],
    )
