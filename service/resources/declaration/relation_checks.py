"""Checks of relations: of `expand`, filters over other resources, and children. All raise `DeclarationError`."""

from collections.abc import Iterator

from service.resources.declaration.declaration import Declaration
from service.resources.declaration.error import DeclarationError


def check_relations(resource: Declaration) -> None:
    """Refuse relations without a foreign key that callers see."""
    for role, names in (("expand", resource.expand), ("filterable", resource.related_filters)):
        for name in names:
            for reason in _reasons_against(resource, name):
                raise DeclarationError(f"{resource.path}: {role} names the relation {name}, but {reason}")
    if resource.children and "create" in resource.without:
        raise DeclarationError(
            f"{resource.path}: children are created with an item, but without leaves create out; drop one of them"
        )
    for name in resource.expand:
        if name in resource.model.model_fields:
            raise DeclarationError(
                f"{resource.path}: expand would show {name}, which is a field of {resource.model.__name__} already; "
                "rename the field"
            )


def _reasons_against(resource: Declaration, name: str) -> Iterator[str]:
    column = resource.foreign_key_of(name)
    keys = resource.table.c[column].foreign_keys if column in resource.model.model_fields else ()
    if len(keys) != 1:
        yield f"{resource.model.__name__} has no foreign key {column}"
    if any(key.column.name != "id" for key in keys):
        yield f"{column} refers to another column than an id"
    if column in resource.hidden:
        yield f"{column} is hidden; show it"
