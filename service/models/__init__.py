"""The tables of the service itself. Importing this package registers them; domains define their own."""

from service.models.api_key import ApiKey
from service.models.history import RowHistory
from service.models.idempotency import IdempotencyRecord

__all__ = ["ApiKey", "IdempotencyRecord", "RowHistory"]
