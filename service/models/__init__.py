"""All tables, so that importing this package fills the metadata."""

from service.models.api_key import ApiKey
from service.models.catalog import Category, Product, ProductStatus
from service.models.history import RowHistory
from service.models.idempotency import IdempotencyRecord

__all__ = ["ApiKey", "Category", "IdempotencyRecord", "Product", "ProductStatus", "RowHistory"]
