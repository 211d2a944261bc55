"""Finds the resources that a declaration refers to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.resources.declaration import DeclarationError, RestResource
from service.security.principals import Principal


@dataclass(frozen=True, eq=False)
class Relation:
    """The relation `name` of a resource: its foreign key `column` refers to an item of the resource `target`.

    `fields` are those of the other item that `expand` shows.
    """

    name: str
    column: str
    target: RestResource
    fields: tuple[str, ...]

    def seen_by(self, principal: Principal) -> tuple[str, ...]:
        """Return the fields that the principal may see."""
        visible = self.target.visible
        if not visible:
            return self.fields
        return tuple(name for name in self.fields if name not in visible or principal.may(visible[name]))


def relations_of(resource: RestResource, resources: Sequence[RestResource]) -> Iterator[Relation]:
    """Yield the declared relations of a resource. Raises `DeclarationError` for one that cannot be shown."""
    for name, fields in resource.expand.items():
        column = resource.foreign_key_of(name)
        (key,) = resource.table.c[column].foreign_keys
        targets = [other for other in resources if other.table is key.column.table]
        if len(targets) != 1:
            raise DeclarationError(
                f"{resource.path}: expand names {name}, but {len(targets)} resources serve the table "
                f"{key.column.table.name}; it takes exactly one, to say who may see what"
            )
        (target,) = targets
        for field in fields:
            if field not in target.shown_fields:
                raise DeclarationError(
                    f"{resource.path}: expand shows {field} of {name}, but {target.path} has no such field, or hides it"
                )
        yield Relation(name, column, target, fields or target.shown_fields)
