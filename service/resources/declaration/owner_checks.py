"""Checks of a resource's owner. All raise `DeclarationError`."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from service.models.base import PRINCIPAL_LENGTH, SYSTEM_FIELDS
from service.models.indexes import columns_in
from service.resources.columns import scalars
from service.resources.declaration.declaration import Declaration
from service.resources.declaration.error import DeclarationError
from service.resources.declaration.owner import OwnedThrough
from service.security.scope_names import SCOPE

_KINDS = (scalars.TEXT, scalars.UUID_, scalars.SMALLINT, scalars.INTEGER, scalars.BIGINT)


def check_owner(resource: Declaration) -> None:
    """Refuse an owner whose column cannot hold it, that clients could write, or that unique values would reveal."""
    owner = resource.owner
    if owner is None:
        return
    if isinstance(owner, OwnedThrough):
        if reason := _reason_against(resource, owner):
            raise _error(resource, f"its owner {reason}")
        _check_unique(resource, owner.field)
        return
    _check_field(resource, owner.field)
    column, kind = resource.table.c[owner.field], resource.kinds[owner.field]
    if column.nullable:
        raise _error(resource, f"{owner.field} is nullable, but every item needs an owner")
    if kind not in _KINDS:
        raise _error(resource, f"{owner.field} has the type {kind.name}; owners are texts, integers or UUIDs")
    length = getattr(column.type, "length", None)
    if owner.claim is None and (
        kind is not scalars.TEXT or (length is not None and length < PRINCIPAL_LENGTH)
    ):
        raise _error(
            resource, f"{owner.field} holds principals, so it must be a text of {PRINCIPAL_LENGTH} characters"
        )
    if owner.claim is not None and not all(owner.claim.split(".")):
        raise _error(resource, f"owner names the claim {owner.claim!r}, which no credential can have")
    if not SCOPE.fullmatch(owner.all_scope):
        raise _error(resource, f"{owner.all_scope!r} is not a valid scope; all_scope looks like orders:all")
    _check_unique(resource, owner.field)


def _reason_against(resource: Declaration, owner: OwnedThrough) -> str | None:
    """Return why items cannot belong to the owners of their parents."""
    parent, model = owner.parent, resource.model.__name__
    column, reason = resource.table.c.get(owner.field), None
    if resource.is_view or parent.is_view:
        reason = (
            "goes through another item, but views have no foreign keys; show the owner's column in the view"
        )
    elif column is None or not any(key.column is parent.table.c.id for key in column.foreign_keys):
        reason = f"goes through {owner.field}, but {model} has no such foreign key to the id of {parent.table.name}"
    elif column.nullable:
        reason = f"goes through {owner.field}, which is nullable, but every item needs an owner"
    elif owner.field in resource.generated_fields:
        reason = f"goes through {owner.field}, which the database generates; callers choose the parent"
    elif parent.owner is None:
        reason = f"is that of {parent.path}, which has none"
    elif parent.table is resource.table:
        reason = f"goes through {owner.field} to another item of {resource.path}; give {model} a column for its owner"
    elif resource.cache is not None:
        reason = "may change without a change of the item; leave out cache"
    return reason


def _check_unique(resource: Declaration, field: str) -> None:
    for name in _revealing(resource.table, field):
        raise _error(
            resource,
            f"{name} would tell a caller which values other owners use; put {field} first among its columns",
        )


def _check_field(resource: Declaration, field: str) -> None:
    """Refuse a field that the service cannot set, or that clients could."""
    model = resource.model.__name__
    if field not in resource.model.model_fields:
        raise _error(resource, f"owner names {field}, but {model} has no such column")
    if field in resource.immutable:
        raise _error(resource, f"{field} is set by the service; leave it out of immutable")
    if resource.is_view:
        return
    if field in SYSTEM_FIELDS:
        raise _error(resource, f"owner names {field}, which every resource has; name a field of {model}")
    if field in resource.generated_fields:
        raise _error(resource, f"owner names {field}, which the database generates; the service sets owners")


def _revealing(table: sa.Table, field: str) -> Iterator[str]:
    """Yield the names of unique keys without the owner, except that of the id, which the service generates."""
    for index in table.indexes:
        if index.unique and field not in columns_in(index):
            yield str(index.name)
    for constraint in table.constraints:
        if (
            isinstance(constraint, sa.UniqueConstraint | ExcludeConstraint)
            and field not in constraint.columns
        ):
            yield str(constraint.name or f"unique ({', '.join(constraint.columns.keys())})")


def _error(resource: Declaration, message: str) -> DeclarationError:
    return DeclarationError(f"{resource.path}: {message}")
