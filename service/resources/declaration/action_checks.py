"""Checks of a resource's actions. All raise `DeclarationError`."""

import re

from service.resources.declaration.actions import Transition
from service.resources.declaration.declaration import OPERATIONS, Declaration
from service.resources.declaration.error import DeclarationError

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


def check_actions(resource: Declaration) -> None:
    """Refuse actions without an effect, with a name that is taken, or that clients can go around."""
    seen: set[str] = set()
    for action in resource.actions:
        name = action.name
        if not NAME.match(name):
            raise DeclarationError(
                f"{resource.path}: the action {name!r} needs lowercase words with underscores, as in mark_paid"
            )
        if name in OPERATIONS or name in seen:
            raise DeclarationError(f"{resource.path}: {name} is an operation already; rename the action")
        seen.add(name)
        if isinstance(action, Transition):
            _check_transition(resource, action)
        elif action.run is None:
            raise DeclarationError(f"{resource.path}: the action {name} does nothing; give it a run=")


def _check_transition(resource: Declaration, transition: Transition) -> None:
    name, field = transition.name, transition.field
    if field not in resource.own_fields:
        raise DeclarationError(
            f"{resource.path}: {name} changes {field or 'no field'}, which {resource.model.__name__} has no "
            "writable column for; name one with field="
        )
    if field not in resource.readonly:
        raise DeclarationError(
            f"{resource.path}: {name} guards {field}, but clients can set it themselves; add it to readonly"
        )
    if not transition.sources:
        raise DeclarationError(f"{resource.path}: {name} can never happen; give it a source=")
