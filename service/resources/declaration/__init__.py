"""What a developer writes to serve a table: a model, a path, scopes, and what each field can do."""

from service.resources.declaration.actions import Action, Transition
from service.resources.declaration.computed import Computed
from service.resources.declaration.declaration import BULK_KINDS, MAX_SORT_FIELDS, RESERVED, Cached, Scopes
from service.resources.declaration.error import DeclarationError
from service.resources.declaration.hooks import Change, Hooks
from service.resources.declaration.owner import OwnedThrough, Owner
from service.resources.declaration.resource import RestResource

__all__ = [
    "BULK_KINDS",
    "MAX_SORT_FIELDS",
    "RESERVED",
    "Action",
    "Cached",
    "Change",
    "Computed",
    "DeclarationError",
    "Hooks",
    "OwnedThrough",
    "Owner",
    "RestResource",
    "Scopes",
    "Transition",
]
