"""The REST resources of the catalogue."""

from service.domains.catalog.models import Category, Product
from service.domains.catalog.rules import CategoryRules, OutOfStock, Sale, sell
from service.resources.declaration import Action, Cached, RestResource, Scopes

CATALOG = Scopes(read="catalog:read", write="catalog:write")

categories = RestResource(
    model=Category,
    path="categories",
    singular="category",
    scopes=CATALOG,
    filterable=("slug", "name", "created_at"),
    sortable=("created_at", "name"),
    searchable=("name", "description"),
    hooks=CategoryRules(),
    cache=Cached(),
)

products = RestResource(
    model=Product,
    path="products",
    singular="product",
    scopes=CATALOG,
    filterable=(
        "sku",
        "name",
        "price",
        "stock",
        "status",
        "tags",
        "category_id",
        "category.slug",
        "created_at",
        "updated_at",
    ),
    sortable=("created_at", "name", "price"),
    searchable=("name", "description"),
    immutable=("sku",),
    expand={"category": ("id", "slug", "name")},
    actions=(Action("sell", sell, body=Sale, problems=(OutOfStock,)),),
)

RESOURCES = (categories, products)
