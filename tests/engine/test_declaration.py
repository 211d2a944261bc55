"""Declarations that contradict their model are refused at start-up, with a message that says what to do."""

import re
from typing import Annotated, Any, get_args
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, StringConstraints
from sqlalchemy import ARRAY, Text
from sqlmodel import Field

from service.main import create_app
from service.models.base import Resource
from service.models.indexes import array_index, prefix_index, sort_index, unique_index
from service.resources.declaration import Action, Cached, Change, DeclarationError, RestResource
from service.resources.names import operation_id, with_article, words
from service.resources.schemas.items import Schemas
from service.security.access import require_scope
from service.security.principals import Principal
from tests.engine.api import domain_of, settings_for
from tests.engine.tables import Gadget, gadgets, groups
from tests.shop.metadata import new_metadata
from tests.shop.resources import RESOURCES, SCOPES

OTHERS = new_metadata()


class Shelf(Resource, table=True):
    metadata = OTHERS
    __table_args__ = (
        sort_index("shelf", "created_at"),
        unique_index("shelf", "code"),
        prefix_index("shelf", "label"),
        array_index("shelf", "words"),
    )

    code: str = Field(max_length=40)
    label: str = Field(max_length=40)
    words: list[Annotated[str, StringConstraints(max_length=40)]] = Field(sa_type=ARRAY(Text))
    label__in: str = Field(max_length=40)
    count: int = 0
    note: str | None = Field(default=None, max_length=40)


class Move(Resource, table=True):
    """Refers to two shelves."""

    metadata = OTHERS
    __table_args__ = (sort_index("move", "created_at"),)

    from_id: UUID = Field(foreign_key="shelf.id")
    to_id: UUID = Field(foreign_key="shelf.id")


MOVES = RestResource(model=Move, path="moves", scopes=SCOPES, filterable=("from_id", "to_id"))


def shelves(**changes: Any) -> RestResource:
    return RestResource(model=Shelf, path="shelves", scopes=SCOPES, **changes)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: gadgets(filterable=("colour",)), "gadgets: filterable names colour, but Gadget has no such field"),
        (lambda: gadgets(filterable=("secret",)), "secret is hidden"),
        (lambda: gadgets(hidden=("id",)), "the id cannot be hidden"),
        (lambda: gadgets(hidden=("rank",)), "rank is hidden, so it cannot be filterable"),
        (lambda: gadgets(sortable=("created_at", "price")), 'sort_index("gadget", "price") and a migration'),
        (lambda: gadgets(sortable=("rank",)), "created_at, which must be sortable"),
        (lambda: gadgets(default_sort="rank,rank"), "up to 3 fields, each once"),
        (lambda: gadgets(default_sort="rank,weight,built,created_at"), "up to 3 fields, each once"),
        (lambda: gadgets(without=frozenset({"remove"})), "without names remove, but there is no such operation"),
        (lambda: gadgets(without=frozenset({"create", "patch", "delete"})), "nothing to do in bulk"),
        (lambda: gadgets(cache=Cached(), without=frozenset({"read"})), "cache needs the operation read"),
        (lambda: groups(searchable=("order",)), 'search_index("group", "order")'),
        (lambda: groups(hidden=("select",)), "select is hidden, so it cannot be searchable"),
        (lambda: RestResource(model=Gadget, path="My Gadgets", scopes=SCOPES), "lowercase letters"),
        (lambda: shelves(sortable=("created_at", "label")), 'sort_index("shelf", "label")'),
        (lambda: shelves(sortable=("created_at", "words")), "words has a type without an order"),
        (lambda: shelves(filterable=("count",)), "count is a parameter of every list, so it cannot be filterable"),
        (lambda: shelves(searchable=("note",)), "note is nullable, so it cannot be searchable"),
    ],
)  # fmt: skip
def test_contradictory_declaration_is_refused(declare: Any, told: str) -> None:
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
def test_unusable_filter_is_refused_at_startup(declare: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        create_app(settings_for("postgresql://nobody@127.0.0.1:1/nothing"), domain_of(declare()))
    assert told in str(raised.value)


def test_duplicate_paths_are_refused() -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/nothing")
    twin = RestResource(model=Gadget, path="articles", scopes=SCOPES)
    with pytest.raises(DeclarationError, match="articles is declared twice"):
        create_app(settings, domain_of(*RESOURCES, twin))


def app_of(*resources: RestResource) -> FastAPI:
    return create_app(settings_for("postgresql://nobody@127.0.0.1:1/nothing"), domain_of(*resources))


class LoanBulk(BaseModel):
    of: str


class LoanRead(BaseModel):
    of: str


async def lend(change: Change, _: Gadget) -> None:
    change.values["code"] = "lent"


async def borrow(change: Change, _: Gadget, body: LoanBulk) -> None:
    change.values["code"] = body.of


def one_more(method: str, path: str, operation_id: str | None = None) -> APIRouter:
    """Return a router with one hand-written route and its own response model."""
    router = APIRouter()

    async def lend(_: Annotated[Principal, require_scope(SCOPES.read)]) -> LoanRead:
        return LoanRead(of="")

    router.add_api_route(path, lend, methods=[method], operation_id=operation_id)
    return router


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (lambda: [RestResource(model=Gadget, path="keys", scopes=SCOPES)], "keys: the service has routes of its own"),
        (lambda: [RestResource(model=Gadget, path="health", scopes=SCOPES)], "health: the service has routes"),
        (lambda: [gadgets(), shelves(name="Gadget")], "shelves: gadgets has a schema Gadget"),
        (lambda: [gadgets(), gadgets(path="public-gadgets")], "public-gadgets: gadgets has a schema Gadget"),
        (lambda: [gadgets(), shelves(singular="Gadget")], "shelves: gadgets calls one of its items gadget too"),
        (lambda: [shelves(name="Key")], "shelves: create_api_key has a schema KeyCreate too"),
        (lambda: [shelves(name="History")], "a schema HistoryPage too"),
        (lambda: [shelves(name="Loan", extra=one_more("GET", "/loans"))], "lend has a schema LoanRead too"),
        (lambda: [gadgets(actions=(Action("lend", borrow, body=LoanBulk),)), shelves(name="Loan")], "LoanBulk too"),
        (lambda: [shelves(extra=one_more("GET", "/{key}"))], "GET /api/v1/shelves/{id} has two routes"),
        (lambda: [shelves(extra=one_more("GET", "/{x}/history"))], "/history has two routes"),
        (lambda: [shelves(extra=one_more("GET", "/x", "lend-it"))], "lend: operation_id 'lend-it' may contain"),
        (lambda: [shelves(extra=one_more("GET", "/x", "list_shelves"))], "has the operation_id list_shelves"),
        (lambda: [shelves(extra=one_more("POST", "/bulk"))], "POST /api/v1/shelves/bulk has two routes"),
        (lambda: [shelves(), MOVES], "shelves/{id}/moves is declared twice; of fields that refer to one"),
        (lambda: [shelves(name="Shelf life")], "give a name="),
        (lambda: [shelves(filterable=("label", "label__in"))], "label__in would filter by label__in and by label"),
        (lambda: [shelves(singular="étagère")], "singular may contain only letters"),
    ],
)  # fmt: skip
def test_conflicting_resources_are_refused(declare: Any, told: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        app_of(*declare())
    assert told in str(raised.value)


def test_names_of_schemas_are_known_before_they_are_made() -> None:
    resource = gadgets(actions=(Action("lend_out", lend),), without={"delete"})
    schemas = Schemas(resource, bulk_operations=10)
    known = {name for name in schemas.named if isinstance(name, str)}
    assert "bulk" not in vars(schemas)
    bulk = schemas.bulk
    (result,) = get_args(bulk.results.model_fields["results"].annotation)
    made = [bulk.request, bulk.results, result, *bulk.operations]
    assert {model.__name__ for model in made} == known
    assert "GadgetLendOutOperation" in known
    assert "GadgetDeleteOperation" not in known


def test_resources_sharing_a_model_have_distinct_names() -> None:
    app = app_of(
        gadgets(), gadgets(path="public-gadgets", name="PublicGadget", extra=one_more("GET", "/lent"))
    )
    document = app.openapi()
    names = document["components"]["schemas"].keys()
    assert {"GadgetRead", "PublicGadgetRead", "PublicGadgetBulk"} <= names
    assert [name for name in names if not re.fullmatch("[A-Za-z]+", name)] == []
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert {"list_public_gadgets", "create_public_gadget", "lend"} <= set(ids)
    assert len(set(ids)) == len(ids)
    assert [id_ for id_ in ids if not re.fullmatch("[a-z]+(_[a-z]+)*", id_)] == []
    assert "Create a public gadget" in {operation["summary"] for operation in operations}


def test_hand_written_routes_with_the_same_name_are_distinguished() -> None:
    app = app_of(gadgets(extra=one_more("GET", "/lent")), shelves(extra=one_more("GET", "/{id}/lent")))
    ids = [one["operationId"] for path in app.openapi()["paths"].values() for one in path.values()]
    assert {"lend_get_api_v1_gadgets_lent", "lend_get_api_v1_shelves_id_lent"} <= set(ids)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Order", "an order"), ("OrderItem", "an order item"), ("User", "a user"), ("Unit", "a unit"),
        ("Hour", "an hour"), ("House", "a house"), ("HTTPRoute", "a http route"),
        ("UninsuredDriver", "an uninsured driver"),
        ("order_line", "an order line"), ("Umbrella", "an umbrella"), ("Euro", "a euro"), ("V2Policy", "a v2 policy"),
    ],
)  # fmt: skip
def test_names_are_derived_from_class_names(name: str, told: str) -> None:
    assert with_article(words(name)) == told


def test_operation_ids_are_in_snake_case() -> None:
    ids = [operation_id(one, path="order-items.v2", singular="Order item (2)") for one in ("list", "history")]
    assert ids == ["list_order_items_v2", "read_history_of_order_item_2"]


def test_unique_column_is_sortable() -> None:
    assert shelves(sortable=("created_at", "code"), filterable=("words", "label")).sortable
