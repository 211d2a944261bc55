"""The shop as REST resources."""

from service.resources.declaration import Cached, RestResource, Scopes
from tests.shop.models import Article, Shelf

SCOPES = Scopes(read="shop:read", write="shop:write")

shelves = RestResource(
    model=Shelf,
    path="shelves",
    singular="shelf",
    scopes=SCOPES,
    filterable=("slug", "name", "created_at"),
    sortable=("created_at", "name"),
    searchable=("name", "description"),
    cache=Cached(),
)

articles = RestResource(
    model=Article,
    path="articles",
    singular="article",
    scopes=SCOPES,
    filterable=("sku", "name", "price", "stock", "status", "tags", "shelf_id", "created_at", "updated_at"),
    sortable=("created_at", "name", "price"),
    searchable=("name", "description"),
    immutable=("sku",),
)

RESOURCES = (shelves, articles)
