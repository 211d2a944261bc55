"""Access to PostgreSQL: a fast pool, for single statements, transactions and ORM sessions."""

from service.database.database import Database
from service.database.errors import ConnectionLostError, DatabaseUnavailableError

__all__ = ["ConnectionLostError", "Database", "DatabaseUnavailableError"]
