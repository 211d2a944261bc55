"""The arguments of statements that write one item."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.resources.declaration import RestResource
from service.resources.statements.ownership import Rows
from service.resources.statements.statement import own_field


class ItemArguments:
    """Makes the arguments for the items of one resource.

    Built once, so that a request calls the conversion of a field only for a value that the driver does not take as it
    is.
    """

    def __init__(self, resource: RestResource) -> None:
        kinds = resource.kinds
        self._fields = {
            name: (own_field(name), frozenset(kinds[name].taken_as_is), kinds[name].convert)
            for name in resource.own_fields
        }

    def of(
        self, item_id: UUID, values: Mapping[str, Any], rows: Rows, *, principal: str, request_id: str
    ) -> dict[str, Any]:
        """Return the arguments of a statement that writes these Python values, for a caller who sees `rows`."""
        made: dict[str, Any] = {"id": item_id, "principal": principal, "request_id": request_id}
        made |= rows.arguments
        for name, value in values.items():
            parameter, taken_as_is, convert = self._fields[name]
            made[parameter] = value if value.__class__ in taken_as_is else convert(value)
        return made

    def fields_in(self, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the fields that the arguments set, in the order of the resource."""
        return tuple([name for name, field in self._fields.items() if field[0] in arguments])
