"""The application of the tests of features, in this process."""

from tests.api.conftest import app, client_with, database, settings

__all__ = ["app", "client_with", "database", "settings"]
