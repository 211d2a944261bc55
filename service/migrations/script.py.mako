"""${message}.

Revises: ${down_revision or ""}
"""
${config.attributes["code"]["allowed"]}
import sqlalchemy as sa
from alembic import op
${config.attributes["code"]["imports"]}
revision = ${repr(up_revision).replace("'", '"')}
down_revision = ${repr(down_revision).replace("'", '"')}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${config.attributes["code"]["upgrade"]}


def downgrade() -> None:
    ${config.attributes["code"]["downgrade"]}
