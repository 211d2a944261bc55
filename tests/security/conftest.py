"""The application and its clients, as in the tests of the API."""

from tests.api.conftest import app, client_with, database, settings

__all__ = ["app", "client_with", "database", "settings"]
