"""The chassis' tables: importing this package fills the metadata. Domains define their own."""

from service.models.api_key import ApiKey
from service.models.history import RowHistory
from service.models.idempotency import IdempotencyRecord

__all__ = ["ApiKey", "IdempotencyRecord", "RowHistory"]
