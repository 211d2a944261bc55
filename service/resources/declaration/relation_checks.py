"""Checks of `expand`. All raise `DeclarationError`."""

from collections.abc import Iterator

from service.resources.declaration.declaration import Declaration
from service.resources.declaration.error import DeclarationError


def check_relations(resource: Declaration) -> None:
    """Refuse relations without a foreign key that callers see."""
    for name in resource.expand:
        for reason in _reasons_against(resource, name):
            raise DeclarationError(f"{resource.path}: expand names {name}, but {reason}")


def _reasons_against(resource: Declaration, name: str) -> Iterator[str]:
    column = resource.foreign_key_of(name)
    if column not in resource.model.model_fields or len(resource.table.c[column].foreign_keys) != 1:
        yield f"{resource.model.__name__} has no foreign key {column}"
    if name in resource.model.model_fields:
        yield f"{resource.model.__name__} has a field of this name; rename one of them"
    if column in resource.hidden:
        yield f"{column} is hidden; show it"
