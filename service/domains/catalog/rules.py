"""The rules of the catalogue that a field's bounds cannot express."""

from service.http.problems import FieldError, ValidationFailed
from service.resources.declaration import Change, Hooks

RESERVED_SLUGS = frozenset({"all", "new", "search"})


class CategoryRules(Hooks):
    """A category's page is `/<slug>`, so its slug must not be that of another page of the shop."""

    async def before_create(self, change: Change) -> None:
        _check_slug(change)

    async def before_update(self, change: Change) -> None:
        _check_slug(change)


def _check_slug(change: Change) -> None:
    if change.values.get("slug") in RESERVED_SLUGS:
        raise ValidationFailed(errors=[FieldError("is reserved for a page of the shop", pointer="/slug")])
