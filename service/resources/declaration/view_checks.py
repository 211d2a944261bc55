"""Checks of a resource on a view, which is only read. All raise `DeclarationError`."""

from service.models.view import is_view
from service.resources.declaration.declaration import Declaration
from service.resources.declaration.error import DeclarationError

_OF_CHANGES = ("immutable", "readonly", "children", "actions", "hooks")


def check_view(resource: Declaration) -> None:
    """Refuse what needs changes of items, or to hear of them."""
    if not resource.is_view:
        return
    name = resource.model.__name__
    for role in _OF_CHANGES:
        if getattr(resource, role):
            raise DeclarationError(
                f"{resource.path}: {name} is a view, which nobody changes; leave out {role}"
            )
    if resource.cache is not None:
        raise DeclarationError(
            f"{resource.path}: {name} is a view, and nothing tells when its rows change; leave out cache"
        )
    if not is_view(resource.table):
        raise DeclarationError(f"{resource.path}: {name} is a view; leave out its __table_args__")
