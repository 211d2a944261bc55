"""Metadata apart from the service's: its checks and migrations do not know the tests' tables."""

from sqlalchemy import MetaData

from service.models.table import Table


def new_metadata() -> MetaData:
    """Return metadata that names constraints as the service's does."""
    return MetaData(naming_convention=Table.metadata.naming_convention)
