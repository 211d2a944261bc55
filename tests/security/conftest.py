"""The application and its clients, as in the tests of the API."""

from tests.api.conftest import app, client, client_with, database, settings, shelf

__all__ = ["app", "client", "client_with", "database", "settings", "shelf"]
