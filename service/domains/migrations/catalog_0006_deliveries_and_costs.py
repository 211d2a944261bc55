"""Deliveries and costs.

Revises: catalog_0005
"""

import sqlalchemy as sa
from alembic import op

from service.migrations.operations import guard_reference, track_history, unguard_reference

revision = "catalog_0006"
down_revision = "catalog_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.String(512), nullable=False),
        sa.Column("updated_by", sa.String(512), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("supplier", sa.String(512), nullable=False),
        sa.Column("number", sa.String(40), nullable=False),
        sa.Column("expected", sa.Date(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "announced",
                "overdue",
                "received",
                name="delivery_status",
                native_enum=False,
                create_constraint=True,
                length=40,
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index(
        "ix_delivery_created_at",
        "delivery",
        ["created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_delivery_status_created_at",
        "delivery",
        ["status", "created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_delivery_supplier_created_at",
        "delivery",
        ["supplier", "created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_delivery_supplier_status_created_at",
        "delivery",
        ["supplier", "status", "created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "uq_delivery_supplier_number",
        "delivery",
        ["supplier", "number"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    track_history("delivery")
    op.create_table(
        "delivery_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.String(512), nullable=False),
        sa.Column("updated_by", sa.String(512), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_line_delivery_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_delivery_line_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_line")),
    )
    op.create_index(
        "ix_delivery_line_created_at",
        "delivery_line",
        ["created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_delivery_line_delivery_id_created_at",
        "delivery_line",
        ["delivery_id", "created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "ix_delivery_line_product_id_created_at",
        "delivery_line",
        ["product_id", "created_at", "id"],
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    guard_reference("delivery_line", "delivery_id", "delivery")
    guard_reference("delivery_line", "product_id", "product")
    track_history("delivery_line")


def downgrade() -> None:
    unguard_reference("delivery_line", "product_id", "product")
    unguard_reference("delivery_line", "delivery_id", "delivery")
    op.drop_table("delivery_line")
    op.drop_table("delivery")
