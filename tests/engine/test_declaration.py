"""Declarations that contradict their model are refused at start-up, in a sentence that says what to do."""

from typing import Any

import pytest
from sqlalchemy import ARRAY, Text
from sqlmodel import Field

from service.main import create_app
from service.models.base import Resource
from service.models.indexes import array_index, prefix_index, sort_index, unique_alive
from service.resources.catalog import categories, products
from service.resources.declaration import DeclarationError, RestResource
from tests.engine.api import settings_for
from tests.engine.tables import SCOPES, Gadget, gadgets, groups, new_metadata

OTHERS = new_metadata()


class Loan(Resource, table=True):
    metadata = OTHERS
    __table_args__ = (sort_index("loan", "created_at"),)

    principal: int = Field(default=0)


class Shelf(Resource, table=True):
    metadata = OTHERS
    __table_args__ = (
        sort_index("shelf", "created_at"),
        unique_alive("shelf", "code"),
        prefix_index("shelf", "label"),
        array_index("shelf", "words"),
    )

    code: str
    label: str
    words: list[str] = Field(sa_type=ARRAY(Text))


def shelves(**changes: Any) -> RestResource:
    return RestResource(model=Shelf, path="shelves", scopes=SCOPES, **changes)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: gadgets(filterable=("colour",)), "gadgets: filterable names colour, which Gadget lacks"),
        (lambda: gadgets(filterable=("secret",)), "secret is hidden"),
        (lambda: gadgets(hidden=("id",)), "the id cannot be hidden"),
        (lambda: gadgets(hidden=("rank",)), "rank is hidden or a parameter of every list"),
        (lambda: gadgets(sortable=("created_at", "price")), 'sort_index("gadget", "price") and a migration'),
        (lambda: gadgets(sortable=("rank",)), "created_at must be sortable"),
        (lambda: gadgets(default_sort="rank,rank"), "up to 3 fields, each once"),
        (lambda: gadgets(default_sort="rank,weight,built,created_at"), "up to 3 fields, each once"),
        (lambda: gadgets(without=frozenset({"remove"})), "there is no operation remove"),
        (lambda: gadgets(without=frozenset({"create", "patch", "delete"})), "nothing to do in bulk"),
        (lambda: groups(searchable=("order",)), 'search_index("group", "order")'),
        (lambda: groups(hidden=("select",)), "select is hidden or may be NULL"),
        (lambda: RestResource(model=Gadget, path="My Gadgets", scopes=SCOPES), "small letters"),
        (lambda: RestResource(model=Loan, path="loans", scopes=SCOPES), "the engine needs the name principal"),
        (lambda: shelves(sortable=("created_at", "label")), 'sort_index("shelf", "label")'),
        (lambda: shelves(sortable=("created_at", "words")), "words has no order"),
    ],
)  # fmt: skip
def test_contradiction_is_refused(declare: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        declare()
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: gadgets(filterable=("notes",)), "to filter by notes"),
        (lambda: gadgets(filterable=("colours",)), 'array_index("gadget", "colours")'),
    ],
)
def test_filter_that_cannot_work_is_refused_by_the_application(declare: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        create_app(settings_for("postgresql://nobody@127.0.0.1:1/nothing"), [declare()])
    assert told in str(raised.value)


def test_two_resources_under_one_path_are_refused() -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/nothing")
    twin = RestResource(model=Gadget, path="products", scopes=SCOPES)
    with pytest.raises(DeclarationError, match="products is declared twice"):
        create_app(settings, [categories, products, twin])


def test_unique_column_can_be_sorted_by() -> None:
    assert shelves(sortable=("created_at", "code"), filterable=("words", "label")).sortable
