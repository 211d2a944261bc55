"""What the SQL of migrations creates, read without a database."""

import pytest

from service.migrations.ddl import Column, Table, read

ID = Column("UUID", required=True)
ORDER = """
CREATE TABLE "order" (id UUID NOT NULL, note varchar(20) DEFAULT 'a, b;' NOT NULL,
  CONSTRAINT pk_order PRIMARY KEY (id), CONSTRAINT ck_order_note CHECK (note <> 'x -- y'));
CREATE UNIQUE INDEX CONCURRENTLY uq_order_note ON "order" (note, id) WHERE deleted_at IS NULL;
"""
NOTE = Column("VARCHAR(20)", required=True, default=True)
PK, CK = {"pk_order": "PRIMARY KEY (id)"}, {"ck_order_note": "CHECK (note <> 'x -- y')"}
UQ = {"uq_order_note": "UNIQUE (note, id) WHERE deleted_at IS NULL"}
ALTERED = {
    "": Table({"id": ID, "note": NOTE}, PK | CK, UQ),
    'ALTER TABLE "order" ADD COLUMN a int4, ADD IF NOT EXISTS b numeric(3, 1) NOT NULL, '
    "ADD CONSTRAINT k CHECK (a > 1);": Table(
        {"id": ID, "note": NOTE, "a": Column("INTEGER"), "b": Column("NUMERIC(3,1)", required=True)},
        PK | CK | {"k": "CHECK (a > 1)"},
        UQ,
    ),
    'ALTER TABLE ONLY public."order" ALTER COLUMN note SET DATA TYPE text USING note::text, ALTER note DROP NOT NULL, '
    "ALTER note DROP DEFAULT;": Table({"id": ID, "note": Column("TEXT")}, PK | CK, UQ),
    'ALTER TABLE "order" DROP COLUMN IF EXISTS note;': Table({"id": ID}, PK),
    'ALTER TABLE "order" RENAME COLUMN note TO remark;'
    'ALTER TABLE "order" RENAME CONSTRAINT ck_order_note TO k;': Table(
        {"id": ID, "remark": NOTE},
        PK | {"k": "CHECK (remark <> 'x -- y')"},
        {"uq_order_note": "UNIQUE (remark, id) WHERE deleted_at IS NULL"},
    ),
    'ALTER TABLE "order" DROP CONSTRAINT ck_order_note; DROP INDEX CONCURRENTLY IF EXISTS uq_order_note;': Table(
        {"id": ID, "note": NOTE}, PK
    ),
    "ALTER INDEX uq_order_note RENAME TO other;": Table(
        {"id": ID, "note": NOTE}, PK | CK, {"other": UQ["uq_order_note"]}
    ),
    'CREATE POLICY p ON "order" AS RESTRICTIVE USING (true);'
    'CREATE POLICY q ON "order"; DROP POLICY q ON "order";': Table(
        {"id": ID, "note": NOTE}, PK | CK, UQ, {"p"}
    ),
    'CREATE TABLE IF NOT EXISTS "order" (x int); -- DROP TABLE "order";\n'
    'DO $$ BEGIN DROP TABLE "order"; END $$;': Table(
        {"id": ID, "note": NOTE}, PK | CK, UQ
    ),
}  # fmt: skip


@pytest.mark.parametrize("sql", ALTERED)
def test_tables_after_statements(sql: str) -> None:
    assert read([ORDER, sql]) == {"order": ALTERED[sql]}


def test_tables_that_are_renamed_or_dropped() -> None:
    assert read([ORDER, 'ALTER TABLE "order" RENAME TO purchase;']) == {"purchase": ALTERED[""]}
    assert read([ORDER, "CREATE TABLE a (); CREATE TABLE b ();", 'DROP TABLE "order", a CASCADE;']) == {
        "b": Table()
    }
