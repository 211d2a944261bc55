"""Checks of computed members. All raise `DeclarationError`."""

from collections.abc import Iterator

from service.resources.columns.column_types import kind_of
from service.resources.columns.kind import ColumnError
from service.resources.declaration.computed import Computed
from service.resources.declaration.declaration import Declaration
from service.resources.declaration.error import DeclarationError


def check_computed(resource: Declaration) -> None:
    """Refuse members whose name is taken, whose type has no representation, or that reveal fields with a scope."""
    for name, computed in resource.computed.items():
        for reason in _reasons_against(resource, name, computed):
            raise DeclarationError(f"{resource.path}: the computed member {name} {reason}")
    if resource.computed and resource.cache is not None:
        raise DeclarationError(
            f"{resource.path}: nothing tells when computed members change; leave out cache"
        )


def _reasons_against(resource: Declaration, name: str, computed: Computed) -> Iterator[str]:
    if name in resource.table.c or name in resource.expand or name in resource.children:
        yield "has the name of another member; rename it"
    if not name.isidentifier():
        yield "needs a name of letters, digits and underscores"
    try:
        kind_of(computed.written(resource.table.c).type)
    except AttributeError as error:
        yield f"cannot be computed: {error}"
    except ColumnError as error:
        yield f"{error}; change its expression, for example with sa.cast"
    else:
        for column in sorted(resource.columns_of(computed)):
            scope = resource.visible.get(column)
            if scope is not None and resource.visible.get(name) != scope:
                yield f"uses {column}, which takes the scope {scope}; let it be visible to that scope, too"
