"""Finds the resources that a declaration refers to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from service.http.problems import Forbidden
from service.resources.declaration import DeclarationError, RestResource
from service.security.gate import describe_missing
from service.security.principals import Principal


@dataclass(frozen=True, eq=False)
class Relation:
    """The relation `name` of a resource: its foreign key `column` refers to an item of the resource `target`.

    `shown` are the fields of the other item that `expand` shows, none if it cannot; lists can be filtered by `filters`.
    """

    name: str
    column: str
    target: RestResource
    shown: tuple[str, ...]
    filters: tuple[str, ...]

    def seen_by(self, principal: Principal) -> tuple[str, ...]:
        """Return the shown fields that the principal may see."""
        visible = self.target.visible
        if not visible:
            return self.shown
        return tuple(name for name in self.shown if name not in visible or principal.may(visible[name]))


def require_scopes(principal: Principal, scopes: Iterable[str]) -> None:
    """Raise `Forbidden` unless the principal has all of these scopes, those of other resources."""
    if missing := [scope for scope in dict.fromkeys(scopes) if not principal.may(scope)]:
        raise Forbidden(describe_missing(missing))


def relations_of(resource: RestResource, resources: Sequence[RestResource]) -> Iterator[Relation]:
    """Yield the declared relations of a resource. Raises `DeclarationError` for one that the other resource forbids."""
    for name in dict.fromkeys((*resource.expand, *resource.related_filters)):
        column = resource.foreign_key_of(name)
        target = _target(resource, name, column, resources)
        shown = resource.expand.get(name, ())
        filters = resource.related_filters.get(name, ())
        for does, fields, known in (
            ("shows", shown, target.shown_fields),
            ("filters by", filters, target.own_filters),
        ):
            for field in fields:
                if field not in known:
                    raise DeclarationError(
                        f"{resource.path} {does} {name}.{field}, which {target.path} itself never {does}"
                    )
        if shown and all(field in target.visible for field in shown):
            raise DeclarationError(
                f"{resource.path} shows nothing of {name} to callers without the scopes of its fields; show its id, too"
            )
        yield Relation(
            name, column, target, (shown or target.shown_fields) if name in resource.expand else (), filters
        )


def _target(
    resource: RestResource, name: str, column: str, resources: Sequence[RestResource]
) -> RestResource:
    (key,) = resource.table.c[column].foreign_keys
    targets = [other for other in resources if other.table is key.column.table]
    if len(targets) != 1:
        raise DeclarationError(
            f"{resource.path}: of the relation {name}, {len(targets)} resources serve the table "
            f"{key.column.table.name}; it takes exactly one, to say who may see what"
        )
    return targets[0]
