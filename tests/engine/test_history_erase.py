"""`slipway history erase`, as somebody types it."""

from uuid import uuid4

from tests.backup.conftest import sql
from tests.conftest import DatabaseFactory
from tests.process.conftest import Command, command

__all__ = ["command"]

MADE = """
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
VALUES (gen_random_uuid(), $1, 'Ada Lovelace', 'born 1815', 'test', 'test') RETURNING id
"""
STORED = "SELECT row->>'name', row->>'description' FROM row_history WHERE row_id = $1 ORDER BY version"


def test_values_of_one_item_are_erased_from_its_history(
    command: Command, fresh_database: DatabaseFactory
) -> None:
    url = fresh_database()
    item, other = (sql(url, MADE, slug)[0][0] for slug in ("ada", "other"))
    sql(url, "UPDATE tests_shelf SET name = 'x', version = version + 1 WHERE id = $1", item)
    fields = ("--field", "name", "--field", "description")
    done = command("history", "erase", "shelves", str(item), *fields, database__url=url)
    assert (done.exit_code, done.stdout) == (0, "erased name, description from 2 versions\n"), done.output
    stored = [tuple(row) for row in sql(url, STORED, item)]
    assert [name for name, _ in stored] == ["erased"] * 2
    assert "1815" not in str(stored)
    assert tuple(sql(url, STORED, other)[0]) == ("Ada Lovelace", "born 1815")
    for given, code, told in (
        (("nothing", str(item)), 2, "there is no resource nothing; resources: "),
        (("shelves", str(item), "--field", "colour"), 2, "has no field colour"),
        (("shelves", str(uuid4())), 1, "shelves has no history of "),
        (("shelves", str(item)[::-1]), 2, "should be a valid UUID"),
    ):
        refused = command("history", "erase", *given, "--field", "name", database__url=url)
        assert (refused.exit_code, told in refused.stderr) == (code, True), refused.output
    blank = fresh_database(migrated=False)
    early = command("history", "erase", "shelves", str(item), *fields, database__url=blank)
    assert (early.exit_code, "Traceback" in early.output) == (7, False), early.output
