"""The application and its clients, as in the tests of the API."""

from tests.api.conftest import app, category, client, client_with, database, settings, shelf

__all__ = ["app", "category", "client", "client_with", "database", "settings", "shelf"]
