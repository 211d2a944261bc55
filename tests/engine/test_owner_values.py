"""Which owner a principal is, and what the database learns of it."""

from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa

from service.http.problems import Forbidden, Unauthenticated
from service.resources.columns import scalars
from service.resources.columns.kind import Kind
from service.resources.declaration import Owner
from service.resources.rows_of_callers import rows_told
from service.resources.statements.ownership import Owners
from service.security.principals import Principal, anonymous
from tests.shop.resources import parcels

CLAIMED: list[tuple[Kind, object, object]] = [
    (scalars.TEXT, "acme", "acme"),
    (scalars.TEXT, 42, "42"),
    (scalars.TEXT, "x" * 60, "x" * 60),
    (scalars.INTEGER, "42", 42),
    (scalars.INTEGER, 42, 42),
    (scalars.UUID_, str(UUID(int=2**127)), UUID(int=2**127)),
    *((scalars.TEXT, none, None) for none in (None, "", " ", True, ["acme"], {"a": 1}, "x" * 61, "a\x00b")),
    *((scalars.INTEGER, none, None) for none in ("acme", "4 2", 2**31, 4.5)),
    (scalars.UUID_, "acme", None),
]


@pytest.mark.parametrize(("kind", "claim", "value"), CLAIMED)
def test_claim_is_an_owner_if_the_column_can_hold_it(kind: Kind, claim: object, value: object) -> None:
    principal = Principal("key:x", frozenset(), {"org": {"id": claim}})
    assert Owner("tenant", claim="org.id").value_of(principal, kind, 60) == value


def test_caller_without_the_claim_owns_no_row() -> None:
    condition = parcels.owned_by(Principal("key:x", frozenset()))
    assert condition.compare(sa.false())


def test_caller_who_owns_nothing_is_forbidden_or_must_log_in() -> None:
    access = Owners((parcels,)).access(parcels)
    with pytest.raises(Unauthenticated):
        access.of(anonymous(["shop:read"]))
    with pytest.raises(Forbidden):
        access.of(Principal("key:x", frozenset({"shop:read"})))


def test_database_knows_what_stored_responses_are_bound_to() -> None:
    principal = Principal("key:x", frozenset({"parcels:all"}), {"tenant": "acme"})
    told = orjson.loads(rows_told(Owners((parcels,)))(principal)[0])
    assert told["caller"] == ["key:x", ["acme"], ["parcels:all"]]


def test_principal_is_an_owner_unless_anonymous() -> None:
    owner = Owner("customer")
    assert owner.value_of(Principal("key:x", frozenset()), scalars.TEXT, None) == "key:x"
    assert owner.value_of(anonymous(["shop:read"]), scalars.TEXT, None) is None
