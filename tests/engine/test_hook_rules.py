"""What hooks and actions leave or raise, without a database: each rule of a field, and `HTTPException`."""

from collections.abc import Awaitable
from decimal import Decimal
from typing import Annotated, Any, cast
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi import HTTPException
from pydantic import AfterValidator, StringConstraints
from sqlalchemy import ARRAY, Text
from sqlmodel import Field

from service.http.problems import Conflict, ValidationFailed
from service.models.indexes import sort_index
from service.resources.declaration import Action, Change, Hooks, RestResource
from service.resources.hooks.hook_runner import HookRunner
from service.resources.schemas.items import Schemas
from service.resources.statements.locked_row import _converter
from tests.engine.tables import ShopTable
from tests.shop.models import ParcelStatus
from tests.shop.resources import SCOPES


def _even(text: str) -> str:
    if len(text) % 2:
        raise ValueError("must be even")
    return text


class Ruled(ShopTable, table=True):
    """Has a field for each kind of rule."""

    __table_args__ = (sort_index("ruled", "created_at"),)

    price: Decimal = Field(default=Decimal(1), max_digits=4, decimal_places=2)
    weight: float = Field(default=1.0, gt=0)
    count: int = Field(default=5, multiple_of=5, lt=50)
    code: Annotated[str, StringConstraints(pattern="^[a-z]*$")] = Field(
        default="", min_length=0, max_length=5
    )
    tags: list[Annotated[str, StringConstraints(max_length=3)]] = Field(
        default_factory=list, max_length=2, sa_type=ARRAY(Text)
    )
    pairs: Annotated[str, AfterValidator(_even)] = Field(default="", max_length=6)


class Leaving(Hooks):
    """Leaves one value, or raises."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    async def before_update(self, change: Change) -> None:
        change.values.update(self.values)
        if not self.values:
            raise HTTPException(409, "before")

    async def before_commit(self, change: Change) -> None:
        raise HTTPException(409, f"at the end of an {change.operation}")


def _runner(hooks: Hooks) -> HookRunner:
    resource = RestResource(model=Ruled, path="ruled", scopes=SCOPES, hooks=hooks)
    return HookRunner(resource, Schemas(resource, bulk_operations=10))


def _change(**values: Any) -> Change:
    return Change("update", UUID(int=1), values, cast("Any", None), cast("Any", None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": Decimal("1.234")},
        {"price": Decimal(12345)},
        {"price": Decimal(123)},
        {"price": Decimal("Infinity")},
        {"weight": float("inf")},
        {"weight": 0},
        {"count": 7},
        {"count": 50},
        {"code": "A"},
        {"code": "abcdef"},
        {"tags": ["a", "b", "c"]},
        {"tags": ["abcd"]},
        {"pairs": "abc"},
    ],
    ids=str,
)
async def test_value_that_breaks_a_rule_is_the_clients_to_correct(wrong: dict[str, Any]) -> None:
    """A value of a wrong type is a bug of the hook."""
    with pytest.raises(ValidationFailed) as refused:
        await _runner(Leaving(**wrong)).before(_change())
    assert [str(error.pointer).split("/")[1] for error in refused.value.errors] == [*wrong]


@pytest.mark.parametrize("native", [False, True])
def test_array_of_an_enumeration_has_its_members(*, native: bool) -> None:
    """As an ORM session gives it."""
    kind = sa.Enum(
        ParcelStatus, native_enum=native, values_callable=lambda kinds: [one.value for one in kinds]
    )
    convert = _converter(sa.ARRAY(kind))
    assert convert is not None
    assert convert(["packed", None]) == [ParcelStatus.PACKED, None]


async def _refuse(*_: Any) -> None:
    raise HTTPException(409, "acting")


async def test_http_exception_is_a_problem_wherever_it_is_raised() -> None:
    runner = _runner(Leaving())
    calls: list[tuple[str, Awaitable[Any]]] = [
        ("before", runner.before(_change())),
        ("at the end of an update", runner.before_commit([_change()])),
        ("acting", runner.act(Action("refuse", _refuse), _change(), cast("Any", None), None)),
    ]
    for told, call in calls:
        with pytest.raises(Conflict) as raised:
            await call
        assert raised.value.detail == told
