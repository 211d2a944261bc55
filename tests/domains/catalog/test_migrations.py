"""The migrations of the sample are read completely."""

from service.domains import catalog
from service.migrations.model_changes import Plan, plan
from service.resources.domain import tables_of


def test_migration_command_finds_nothing_to_write() -> None:
    assert plan(tables_of(catalog.DOMAIN)) == Plan()
