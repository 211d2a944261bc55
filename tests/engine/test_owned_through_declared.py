"""Declarations of owners through a parent: a sound key, an index for lists, policies in a migration."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import Computed, ForeignKey, MetaData, UniqueConstraint
from sqlmodel import Field

from service.migrations.new_tables import creation
from service.migrations.policies import Owning
from service.models.base import Resource
from service.models.indexes import sort_index
from service.resources.declaration import Cached, DeclarationError, OwnedThrough, Owner, RestResource
from service.resources.declaration.list_indexes import missing_indexes
from service.resources.lists.filters import filters_of
from service.resources.lists.sorting import SortKey
from service.resources.lists.sql import ListStatements, Shape
from service.resources.statements.ownership import Owners
from tests.engine.labels import Label, labels, marks, owned_parcels
from tests.shop.metadata import new_metadata
from tests.shop.models import Parcel
from tests.shop.resources import SCOPES


class Crate(Resource, table=True):
    """Something inside another one, and the database knows its number."""

    metadata: ClassVar[MetaData] = new_metadata()
    __tablename__ = "tests_crate"
    __table_args__ = (sort_index("tests_crate", "created_at"),)

    crate_id: UUID = Field(foreign_key="tests_crate.id")
    tenant: str = Field(max_length=60)
    number: int = Field(sa_column_args=[Computed("1", persisted=True)])
    parcel_number: str = Field(sa_column_args=[ForeignKey(Parcel.__table__.c.number)])  # type: ignore[attr-defined]


class Tin(Resource, table=True):
    """Something whose code no other one has, of any owner."""

    metadata: ClassVar[MetaData] = new_metadata()
    __tablename__ = "tests_tin"
    __table_args__ = (sort_index("tests_tin", "created_at"), UniqueConstraint("code"))

    tenant: str = Field(max_length=60)
    code: str = Field(max_length=60)


TENANT = Owner("tenant", claim="tenant")


def crates(**more: Any) -> RestResource:
    return RestResource(model=Crate, path="crates", scopes=SCOPES, **more)


class Seal(Resource, table=True):
    """Something whose parcel the database chooses."""

    metadata: ClassVar[MetaData] = new_metadata()
    __tablename__ = "tests_seal"

    parcel_id: UUID = Field(
        sa_column_args=[ForeignKey(Parcel.__table__.c.id), Computed("id", persisted=True)],  # type: ignore[attr-defined]
        description="Parcel that it is on.",
    )


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: crates(owner=Owner("number", claim="x")), "owner names number, which the database generates"),
    (
        lambda: RestResource(model=Tin, path="tins", scopes=SCOPES, owner=TENANT),
        "uq_tests_tin_code would tell",
    ),
    (
        lambda: crates(owner=OwnedThrough("crate_id", crates(owner=TENANT))),
        "to another item of crates; give Crate",
    ),
    (lambda: Owners((owned_parcels, crates(owner=TENANT))), "have owners by number; refer to their id"),
    (lambda: replace(labels, owner=OwnedThrough("nothing", owned_parcels)), "has no such foreign key"),
    (lambda: replace(labels, owner=OwnedThrough("number", owned_parcels)), "has no such foreign key"),
    (lambda: replace(labels, owner=OwnedThrough("parcel_id", marks)), "has no such foreign key"),
    (
        lambda: replace(owned_parcels, owner=OwnedThrough("bundle_id", owned_parcels), children={}),
        "goes through bundle_id, which is nullable",
    ),
    (
        lambda: RestResource(
            model=Seal, path="seals", scopes=SCOPES, owner=OwnedThrough("parcel_id", owned_parcels)
        ),
        "its owner goes through parcel_id, which the database generates",
    ),
    (lambda: replace(labels, cache=Cached()), "may change without a change of the item; leave out cache"),
    (
        lambda: replace(
            labels, owner=OwnedThrough("parcel_id", replace(owned_parcels, owner=None, readonly=("status",)))
        ),
        "is that of parcels, which has none",
    ),
    (lambda: Owners((labels, marks)), "no resource on that table has this owner"),
    (lambda: Owners((owned_parcels, replace(labels, owner=None))), "so labels needs an owner too"),
]


@pytest.mark.parametrize(("declare", "said"), REFUSED)
def test_declaration_that_would_show_items_to_others_is_refused(declare: Any, said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        declare()
    assert said in str(raised.value)


def test_lists_need_an_index_that_begins_with_the_reference() -> None:
    assert missing_indexes(labels) == []
    bare = Label.__table__.indexes  # type: ignore[attr-defined]
    kept = [index for index in bare if [c.name for c in index.columns][:2] != ["parcel_id", "created_at"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Label.__table__, "indexes", set(kept))  # type: ignore[attr-defined]
        assert [(one.field, one.sort) for one in missing_indexes(labels)] == [("parcel_id", "created_at")]


def test_list_below_a_parent_looks_up_no_other_parents() -> None:
    """Other lists compare the reference with all parents of the caller."""
    engine = ListStatements(marks, Owners((owned_parcels, labels, marks)).access(marks), filters_of(marks))
    keys = (SortKey("created_at", descending=False), SortKey("id", descending=False))
    for filters, array in (((), True), (("label_id__in",), True), (("label_id",), False)):
        sql = engine.page(Shape(filters, keys, search=False, cursor=False, own=True)).sql
        assert ("array(" in sql.lower(), "exists" in sql.lower()) == (array, not array), sql


def test_migration_secures_rows_through_the_parent() -> None:
    table: Any = Label.__table__  # type: ignore[attr-defined]
    body = creation([table], [Owning(table.c.parcel_id, labels.owner_parent)])
    assert "secure_rows('tests_label', 'parcel_id', through='tests_parcel')" in "".join(body.upgrade).replace(
        '"', "'"
    )
    assert "unsecure_rows('tests_label', 'parcel_id')" in "".join(body.downgrade).replace('"', "'")
