"""The REST resources of the catalogue."""

from service.domains.catalog.models import Category, Delivery, DeliveryLine, DeliveryStatus, Product
from service.domains.catalog.rules import CategoryRules, OutOfStock, Sale, receive, sell, units_of
from service.resources.declaration import (
    Action,
    Cached,
    Computed,
    OwnedThrough,
    Owner,
    RestResource,
    Scopes,
    Transition,
)

CATALOG = Scopes(read="catalog:read", write="catalog:write")
DELIVERIES = Scopes(read="deliveries:read", write="deliveries:write")
SUPPLIER = Owner("supplier", all_scope="deliveries:receive")
CHANGES = frozenset({"replace", "patch", "delete", "restore", "bulk"})

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
    visible={"cost": "catalog:costs"},
    expand={"category": ("id", "slug", "name")},
    actions=(Action("sell", sell, body=Sale, problems=(OutOfStock,)),),
)

deliveries = RestResource(
    model=Delivery,
    path="deliveries",
    singular="delivery",
    scopes=DELIVERIES,
    owner=SUPPLIER,
    filterable=("status",),
    readonly=("status",),
    computed={"units": Computed(units_of, "Number of units of all products.")},
    children={"lines": "delivery-lines"},
    actions=(
        Transition(
            "receive",
            field="status",
            source=(DeliveryStatus.ANNOUNCED, DeliveryStatus.OVERDUE),
            target=DeliveryStatus.RECEIVED,
            run=receive,
            scope=SUPPLIER.all_scope,
        ),
    ),
    without=CHANGES,
)

delivery_lines = RestResource(
    model=DeliveryLine,
    path="delivery-lines",
    singular="delivery line",
    scopes=DELIVERIES,
    owner=OwnedThrough("delivery_id", deliveries),
    filterable=("delivery_id",),
    without=CHANGES | {"create"},
)

RESOURCES = (categories, products, deliveries, delivery_lines)
