"""The tables of categories and products.

Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from service.migrations.operations import guard_reference, track_history, unguard_reference

revision = "catalog_0001"
down_revision = None
branch_labels = None
depends_on = None
formerly = "0001"

ALIVE = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    _category()
    _product()


def _resource_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("created_by", sa.String(512), nullable=False),
        sa.Column("updated_by", sa.String(512), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    ]


def _category() -> None:
    op.create_table(
        "category",
        *_resource_columns(),
        sa.Column("slug", sa.String(60), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.String(2000), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_category_slug", "category", ["slug"], unique=True, postgresql_where=ALIVE)
    for column in ("name", "created_at"):
        op.create_index(f"ix_category_{column}", "category", [column, "id"], postgresql_where=ALIVE)
    _search_index("category")
    track_history("category")


def _product() -> None:
    op.create_table(
        "product",
        *_resource_columns(),
        sa.Column("sku", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.String(10_000), nullable=False),
        sa.Column("price", sa.Numeric(12, 2), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("attributes", postgresql.JSONB(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name="fk_product_category_id"),
        sa.CheckConstraint("price >= 0", name="price"),
        sa.CheckConstraint("stock >= 0", name="stock"),
        sa.CheckConstraint("status IN ('draft', 'active', 'discontinued')", name="product_status"),
    )
    op.create_index("uq_product_sku", "product", ["sku"], unique=True, postgresql_where=ALIVE)
    for column in ("created_at", "name", "price"):
        op.create_index(f"ix_product_{column}", "product", [column, "id"], postgresql_where=ALIVE)
    op.create_index(
        "ix_product_category_id_created_at",
        "product",
        ["category_id", "created_at", "id"],
        postgresql_where=ALIVE,
    )
    op.create_index(
        "ix_product_sku_prefix",
        "product",
        ["sku"],
        postgresql_ops={"sku": "text_pattern_ops"},
        postgresql_where=ALIVE,
    )
    _search_index("product")
    track_history("product")
    guard_reference("product", "category_id", "category")


def _search_index(table: str) -> None:
    op.create_index(
        f"ix_{table}_search",
        table,
        [sa.text("(to_tsvector('simple'::regconfig, name || ' ' || description))")],
        postgresql_using="gin",
        postgresql_where=ALIVE,
    )


def downgrade() -> None:
    unguard_reference("product", "category_id", "category")
    for table in ("product", "category"):
        op.drop_table(table)
