"""Checks of `visible`: fields that only callers with a scope see. All raise `DeclarationError`."""

from collections.abc import Iterator

from pydantic_core import PydanticUndefined

from service.models.base import SYSTEM_FIELDS
from service.resources.declaration.actions import Transition
from service.resources.declaration.declaration import Declaration
from service.resources.declaration.error import DeclarationError

MOST_SCOPES = 3
"""Each combination of scopes has its own statements."""


def check_visible(resource: Declaration) -> None:
    """Refuse fields that other callers would notice anyway, or without which they could create no item."""
    if len(set(resource.visible.values())) > MOST_SCOPES:
        raise DeclarationError(
            f"{resource.path}: visible names more than {MOST_SCOPES} scopes; let fields share one"
        )
    for name, scope in resource.visible.items():
        for reason in _reasons_against(resource, name, scope):
            raise DeclarationError(f"{resource.path}: {name} cannot be visible to {scope} only: {reason}")


def _reasons_against(resource: Declaration, name: str, scope: str) -> Iterator[str]:
    if scope == resource.scopes.read:
        yield "all who read have this scope; name another one"
    if name in SYSTEM_FIELDS:
        yield "history and entity tags tell what the service itself notes of each item"
    if name in resource.hidden:
        yield "it is hidden from all; leave it out of one of the two"
    if name in resource.searchable:
        yield "q= finds items by it; leave it out of searchable and of the search_index"
    if name in (part.removeprefix("-") for part in resource.default_sort.split(",")):
        yield "every list is sorted by it; give another default_sort"
    if name in resource.filterable and resource.table.c[name].foreign_keys:
        yield "the list under the resource that it refers to tells it; leave it out of filterable"
    if name in resource.input_fields and resource.default_of(name, {}) is PydanticUndefined:
        yield "it has no default, so other callers could create no item; give it one"
    for action in resource.actions:
        if isinstance(action, Transition) and action.field == name and action.scope != scope:
            yield f"the problem of the action {action.name} tells it; give the action this scope"
