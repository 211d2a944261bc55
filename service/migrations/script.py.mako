"""${message}.

Revises: ${down_revision or ""}
"""

import sqlalchemy as sa
from alembic import op
${config.attributes["operations"].imports}
revision = ${repr(up_revision).replace("'", '"')}
down_revision = ${repr(down_revision).replace("'", '"')}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${config.attributes["operations"].upgrade}


def downgrade() -> None:
    ${config.attributes["operations"].downgrade}
