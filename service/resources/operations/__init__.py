"""The operations that a resource offers, one file each (two where they are mirror images)."""

from service.resources.operations.bulk import BULK
from service.resources.operations.change import PATCH, REPLACE
from service.resources.operations.create import CREATE
from service.resources.operations.export import EXPORT
from service.resources.operations.lists import LIST
from service.resources.operations.operation import Operation
from service.resources.operations.past import HISTORY
from service.resources.operations.read import READ
from service.resources.operations.remove import DELETE, RESTORE

# Fixed paths stand before those with an id, so that the router finds them first.
ALL: tuple[Operation, ...] = (
    LIST, CREATE, BULK, EXPORT, READ, REPLACE, PATCH, DELETE, RESTORE, HISTORY,
)  # fmt: skip
