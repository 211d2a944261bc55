"""The shop as REST resources."""

from service.http.problems import WrongState
from service.resources.declaration import Action, Cached, Owner, RestResource, Scopes, Transition
from tests.shop.models import Article, Parcel, ParcelStatus, Shelf
from tests.shop.rules import NoRoom, Restock, restock

SCOPES = Scopes(read="shop:read", write="shop:write")

shelves = RestResource(
    model=Shelf,
    path="shelves",
    singular="shelf",
    scopes=SCOPES,
    filterable=("slug", "name", "rent", "created_at"),
    sortable=("created_at", "name", "rent"),
    searchable=("name", "description"),
    visible={"rent": "shop:internal"},
    cache=Cached(),
)

articles = RestResource(
    model=Article,
    path="articles",
    singular="article",
    scopes=SCOPES,
    filterable=(
        "sku",
        "name",
        "price",
        "stock",
        "status",
        "tags",
        "shelf_id",
        "shelf.slug",
        "shelf.name",
        "shelf.rent",
        "created_at",
        "updated_at",
    ),
    sortable=("created_at", "name", "price"),
    searchable=("name", "description"),
    immutable=("sku",),
    expand={"shelf": ("id", "slug", "name", "rent")},
    actions=(Action("restock", restock, body=Restock, problems=(NoRoom, WrongState)),),
)

parcels = RestResource(
    model=Parcel,
    path="parcels",
    singular="parcel",
    scopes=SCOPES,
    owner=Owner("tenant", claim="tenant", all_scope="parcels:all"),
    expand={"bundle": ("id", "number")},
    children={"parts": "parcels"},
    filterable=("number", "weight", "tenant", "bundle_id", "bundle.number", "created_at"),
    sortable=("created_at", "weight"),
    searchable=("note",),
    readonly=("status",),
    actions=(Transition("send", field="status", source=ParcelStatus.PACKED, target=ParcelStatus.SENT),),
    cache=Cached(),
)

RESOURCES = (shelves, articles, parcels)
