"""The lint of migrations: what it refuses and accepts, and exceptions in a revision."""

import pytest

from service.migrations.branches import BRANCHES, Branch
from tests.migrations.lint import findings, judge, lint
from tests.migrations.writing import Write

BAD = {
    "CREATE INDEX i ON product (stock)": "require-concurrent-index-creation",
    "DROP INDEX ix_product_name": "require-concurrent-index-deletion",
    "REINDEX TABLE product": "require-concurrent-reindex",
    "ALTER TABLE product ADD COLUMN x integer NOT NULL": "adding-required-field",
    "ALTER TABLE product ALTER COLUMN x SET NOT NULL": "adding-not-nullable-field",
    "ALTER TABLE product ADD COLUMN x uuid DEFAULT gen_random_uuid()": "adding-field-with-default",
    "ALTER TABLE product ADD COLUMN x integer GENERATED ALWAYS AS (stock + 1) STORED": "adding-field-with-default",
    "ALTER TABLE product ADD COLUMN x serial": "prefer-identity",
    "ALTER TABLE product ADD CONSTRAINT c CHECK (stock > 0)": "constraint-missing-not-valid",
    "ALTER TABLE product ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES category (id)": "adding-foreign-key-constraint",
    "ALTER TABLE product ADD COLUMN x uuid REFERENCES category (id)": "adding-foreign-key-constraint",
    "ALTER TABLE product ADD CONSTRAINT u UNIQUE (name)": "disallowed-unique-constraint",
    "ALTER TABLE product ADD PRIMARY KEY (name)": "adding-serial-primary-key-field",
    "ALTER TABLE product ADD EXCLUDE USING gist (name WITH =)": "constraint-missing-not-valid",
    "ALTER TABLE product ALTER COLUMN stock TYPE bigint": "changing-column-type",
    "ALTER TABLE product RENAME COLUMN stock TO count": "renaming-column",
    "ALTER TABLE product RENAME TO article": "renaming-table",
    "ALTER TABLE product DROP COLUMN stock": "ban-drop-column",
    "ALTER TABLE product ALTER COLUMN stock DROP NOT NULL": "ban-drop-not-null",
    "DROP TABLE product": "ban-drop-table",
    "LOCK TABLE product": "lock-table",
    "CLUSTER product USING pk_product": "cluster",
    "VACUUM (FULL) product": "vacuum-full",
    "VACUUM FULL product": "vacuum-full",
    "TRUNCATE product": "truncate",
    "ALTER TABLE product SET UNLOGGED": "rewrite",
    "UPDATE product SET stock = 0": "change-rows",
    "UPDATE ONLY product SET stock = 0 WHERE stock IS NULL": "change-rows",
    "DELETE FROM product WHERE stock = 0": "change-rows",
    "WITH old AS (DELETE FROM product RETURNING id) SELECT count(*) FROM old": "change-rows",
    "WITH old AS (SELECT 1) UPDATE product SET stock = 0": "change-rows",
    "MERGE INTO product USING category ON true WHEN MATCHED THEN DELETE": "change-rows",
    "DO $$ BEGIN UPDATE product SET stock = 0; END $$": "change-rows",
    "/* about it */ update\n  product set stock = 0": "change-rows",
    "-- squawk-ignore ban-drop-table\nDROP TABLE product": "squawk-ignore",
}
GOOD = (
    "ALTER TABLE product ADD COLUMN x integer",
    "ALTER TABLE product ADD COLUMN x boolean DEFAULT false NOT NULL",
    "ALTER TABLE product ADD COLUMN x timestamptz DEFAULT now() NOT NULL",
    "ALTER TABLE product ALTER COLUMN x SET DEFAULT 1",
    "CREATE TABLE note (id uuid PRIMARY KEY, text varchar(10) UNIQUE);\nCREATE INDEX i ON note (text)",
    "CREATE TABLE note (id uuid PRIMARY KEY);\nUPDATE note SET id = NULL",
    "COMMIT;\nDROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON product (stock);\nBEGIN",
    "ALTER TABLE product ADD CONSTRAINT c CHECK (stock > 0) NOT VALID",
    "ALTER TABLE product VALIDATE CONSTRAINT c",
    "ALTER TABLE product ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES category (id) NOT VALID",
    "ALTER TABLE product ADD CONSTRAINT u UNIQUE USING INDEX i",
    "CREATE TRIGGER t BEFORE UPDATE ON product FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  DELETE FROM product;\nEND $$",
    "INSERT INTO note VALUES ('UPDATE product SET') ON CONFLICT (id) DO UPDATE SET text = ''",
    "COMMENT ON TABLE product IS 'x; DELETE FROM product'",
    "VACUUM product",
)  # fmt: skip


@pytest.mark.parametrize("sql", BAD)
def test_dangerous_statement_is_refused(sql: str) -> None:
    assert BAD[sql] in {found.rule for found in findings(f"BEGIN;\n\n{sql};\n\nCOMMIT;\n")}


@pytest.mark.parametrize("sql", GOOD)
def test_safe_form_passes(sql: str) -> None:
    assert findings(f"BEGIN;\n\n{sql};\n\nCOMMIT;\n") == []


def test_constraint_is_validated_in_a_separate_revision() -> None:
    added = "ALTER TABLE product ADD CONSTRAINT c CHECK (stock > 0) NOT VALID;\n"
    together = f"BEGIN;\n{added}ALTER TABLE product VALIDATE CONSTRAINT c;\nCOMMIT;\n"
    assert [found.rule for found in findings(together)] == ["constraint-missing-not-valid"]


def test_migrations_of_this_version_pass() -> None:
    assert lint() == []


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda branch: branch.name)
def test_finding_names_revision_statement_and_alternative(write: Write, branch: Branch) -> None:
    write("hasty", "SELECT 1", code='op.drop_column("product", "stock")', branch=branch)
    write("patient", code='create_index_concurrently("ix_product_x", "product", ["name"])', branch=branch)
    (line,) = lint()
    assert line.startswith("hasty.py: ban-drop-column: ALTER TABLE product DROP COLUMN stock; - ")


def test_exemption_needs_a_reason_and_a_finding() -> None:
    sql = "DROP TABLE product;"
    assert len(judge("", sql)) == 1
    assert judge("# allow ban-drop-table: nobody has used it since 1.4\n", sql) == []
    assert judge("# allow ban-drop-table:\n", sql) == ["ban-drop-table: the escape gives no reason"]
    assert judge("# allow ban-drop-table: it is ok\n", sql) == ["ban-drop-table: the escape gives no reason"]
    assert judge("    # allow truncate: nobody has used it since 1.4\n", "SELECT 1;") == [
        "truncate: nothing here needs this escape"
    ]
