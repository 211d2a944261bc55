"""What migrations have to change for a domain's models, found without a database: from the SQL of all migrations."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from service.migrations import ddl
from service.migrations.branches import BRANCHES, known
from service.migrations.changed_tables import changes
from service.migrations.errors import RequiredColumnError
from service.migrations.new_tables import creation
from service.migrations.policies import Owning
from service.migrations.rendering import statements
from service.migrations.revision_body import Body
from service.models.view import is_view

_REQUIRED = (
    "{columns}: a required column needs a default, for rows that exist and for those that the previous version inserts "
    'during a rollout; give it one with Field(default=…) or sa_column_kwargs={{"server_default": …}}, or make it '
    "optional (| None) in this release and required in a later one"
)


@dataclass
class Plan:
    """The revisions to write, in order, and sentences about what they leave to the reader."""

    revisions: list[Body] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)


def plan(tables: Sequence[sa.Table], owners: Sequence[Owning] | None = None) -> Plan:
    """Return what the tables lack after all migrations, including row-level security by the columns of `owners`;
    None leaves row-level security as it is.

    Each revision changes one table. Indexes, and checks of existing rows, are in revisions of their own. Raises
    `ScriptsError` if the migrations contradict each other, and `RequiredColumnError`.
    """
    there = ddl.read(statements(branch, revision) for branch in BRANCHES for revision in known(branch))
    mine = [table for table in tables if not is_view(table)]
    made, later, required = Plan(), [], []
    if new := [table for table in mine if table.name not in there]:
        made.revisions.append(creation(new, owners or ()))
    for table in sa.schema.sort_tables([table for table in mine if table.name in there]):
        found = changes(table, there[table.name], owners)
        made.revisions += [found.first] if found.first.upgrade else []
        later += [body for body in (found.then, found.last) if body.upgrade]
        made.by_hand += found.by_hand
        required += found.required
    if required:
        raise RequiredColumnError(_REQUIRED.format(columns=", ".join(required)))
    made.revisions += later
    return made
