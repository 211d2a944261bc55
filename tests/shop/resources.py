"""The shop as REST resources."""

from service.http.problems import WrongState
from service.resources.declaration import Action, Cached, RestResource, Scopes
from tests.shop.models import Article, Shelf
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

RESOURCES = (shelves, articles)
