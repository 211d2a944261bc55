"""The operations of a resource, one file each. `ALL` lists them."""

from service.resources.operations.bulk import BULK
from service.resources.operations.create import CREATE
from service.resources.operations.delete import DELETE
from service.resources.operations.export import EXPORT
from service.resources.operations.history import HISTORY
from service.resources.operations.lists import LIST
from service.resources.operations.operation import Operation
from service.resources.operations.patch import PATCH
from service.resources.operations.read import READ
from service.resources.operations.replace import REPLACE
from service.resources.operations.restore import RESTORE

# The router takes the first match, so fixed paths come before those with an id.
ALL: tuple[Operation, ...] = (
    LIST, CREATE, BULK, EXPORT, READ, REPLACE, PATCH, DELETE, RESTORE, HISTORY,
)  # fmt: skip
