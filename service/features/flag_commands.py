"""Set, unset and look up flags, for the routes under `/api/v1/feature-flags` and the command `slipway features`."""

from collections.abc import Sequence

from pydantic import JsonValue
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.features.flag_names import AnyFlag
from service.features.kinds import WrongValueError
from service.features.targeting import Rule
from service.models.feature_flag import FeatureFlag
from service.models.row_history import RowHistory

MOST_CHANGES = 100
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('slipway feature flags'))")


class NoRulesError(ValueError):
    """A rule for a setting of the whole service."""


class WrongRuleError(ValueError):
    """The value of a rule does not have the flag's type. `index` counts from 0."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


async def stored_flags(session: AsyncSession) -> dict[str, FeatureFlag]:
    """Return the rows of all flags that are set, by name."""
    found = await session.exec(select(FeatureFlag).where(col(FeatureFlag.deleted_at).is_(None)))
    return {row.name: row for row in found}


async def stored_flag(session: AsyncSession, name: str, *, lock: bool = False) -> FeatureFlag | None:
    """Return the row of a flag, also if the flag was unset; None if it was never set.

    With `lock`, other changes of flags wait for the end of the transaction.
    """
    if lock:
        await session.exec(_ONE_AT_A_TIME)  # type: ignore[call-overload]  # takes any statement
    return (await session.exec(select(FeatureFlag).where(FeatureFlag.name == name))).one_or_none()


async def set_flag(
    session: AsyncSession, flag: AnyFlag, row: FeatureFlag | None, *, value: JsonValue, rules: Sequence[Rule]
) -> FeatureFlag:
    """Set the value and the rules of a flag, whose row was read with `lock`. A value of None keeps setting or default.

    Raises `WrongValueError`, `WrongRuleError` or `NoRulesError`.
    """
    if rules and flag.is_setting:
        raise NoRulesError(f"{flag.name} is a setting of the whole service and takes no rules")
    if value is not None:
        flag.kind.check(value)
    for index, rule in enumerate(rules):
        try:
            flag.kind.check(rule.value)
        except WrongValueError as error:
            raise WrongRuleError(index, str(error)) from None
    if row is None:
        now = clock.now()
        row = FeatureFlag(name=flag.name, created_at=now, updated_at=now)
    row.value, row.deleted_at = value, None
    row.rules = [rule.model_dump(mode="json", exclude_defaults=True) for rule in rules]
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def unset_flag(session: AsyncSession, row: FeatureFlag) -> None:
    """Remove the value and the rules of a flag; it has its setting or default again."""
    row.value, row.rules, row.deleted_at = None, [], row.deleted_at or clock.now()
    session.add(row)
    await session.flush()


async def flag_history(session: AsyncSession, row: FeatureFlag | None) -> Sequence[RowHistory]:
    """Return the last changes of a flag, newest first."""
    if row is None:
        return []
    changes = select(RowHistory).where(RowHistory.table_name == "feature_flag", RowHistory.row_id == row.id)
    return (await session.exec(changes.order_by(col(RowHistory.version).desc()).limit(MOST_CHANGES))).all()
