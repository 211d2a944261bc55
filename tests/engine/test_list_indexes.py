"""Indexes that lists need as their tables grow: found from the declaration, and said at start-up and by the check."""

import pytest
from structlog.testing import capture_logs

from service.resources.declaration.list_indexes import missing_indexes, warn_of_missing_indexes
from tests.engine.tables import gadgets
from tests.process.conftest import Command, command
from tests.shop import SHOP
from tests.shop.models import Article
from tests.shop.resources import articles, parcels, shelves

__all__ = ["command"]

STATEMENT = (
    "CREATE INDEX CONCURRENTLY ix_tests_article_status_name ON tests_article (status, name, id) "
    "WHERE deleted_at IS NULL"
)


@pytest.fixture
def without_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Articles whose lists of one status lack the index for one sort."""
    table = Article.__table__  # type: ignore[attr-defined]
    kept = {index for index in table.indexes if index.name != "ix_tests_article_status_name"}
    monkeypatch.setattr(table, "indexes", kept)


def test_no_index_is_missing_from_the_shop() -> None:
    assert [missing_indexes(resource) for resource in (articles, shelves, gadgets())] == [[], [], []]


def test_lists_of_an_owner_are_read_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    table = parcels.table
    kept = {index for index in table.indexes if index.name != "ix_tests_parcel_tenant_weight"}
    monkeypatch.setattr(table, "indexes", kept)
    assert [(missing.field, missing.sort) for missing in missing_indexes(parcels)] == [("tenant", "weight")]


@pytest.mark.usefixtures("without_index")
def test_missing_index_is_named_with_its_statement() -> None:
    (missing,) = missing_indexes(articles)
    assert (missing.field, missing.sort, missing.sql) == ("status", "name", STATEMENT)
    assert str(missing) == (
        "articles: lists filtered by status and sorted by name get slower as the table grows; add "
        f'sort_index("tests_article", "status", "name") to Article, and a migration: {STATEMENT}'
    )
    with capture_logs() as lines:
        warn_of_missing_indexes([articles])
    assert [line["create"] for line in lines] == [STATEMENT]


@pytest.mark.usefixtures("without_index")
def test_check_names_missing_indexes_apart_from_the_settings(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cli.check.DOMAINS", (SHOP,))
    done = command("check", database__password="x")
    assert {line.partition("_")[0] for line in done.stdout.splitlines()} == {"SLIPWAY"}
    (line,) = done.stderr.splitlines()
    assert line.startswith("slipway: articles: lists filtered by status and sorted by name ")


def test_reference_needs_the_default_sort_only() -> None:
    found = missing_indexes(gadgets(default_sort="-rank"))
    assert [(missing.field, missing.sort) for missing in found] == [("group_id", "rank")]
