"""Checks of a declaration against its model. All raise `DeclarationError`."""

import re

from pydantic_core import PydanticUndefined

from service.models.indexes import search_vector, whole_columns
from service.models.sql_identifiers import LONGEST
from service.resources.columns.index_limits import check_indexes, check_search
from service.resources.columns.kind import ColumnError
from service.resources.declaration.declaration import (
    BULK_KINDS,
    MAX_SORT_FIELDS,
    MOST_SECONDS,
    OPERATIONS,
    RESERVED,
    Declaration,
)
from service.resources.declaration.error import DeclarationError
from service.resources.declaration.hooks import Hooks

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
SINGULAR = re.compile(r"[A-Za-z][A-Za-z0-9]*([ -][A-Za-z0-9]+)*\Z")
# The engine's own names in statements never begin with a letter, so they cannot hide a table.
TABLE = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST - 1}}}\Z")
PATH = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


def _error(resource: Declaration, message: str) -> DeclarationError:
    return DeclarationError(f"{resource.path}: {message}")


def check_table(resource: Declaration) -> None:
    if resource.table.schema:
        raise _error(
            resource,
            f"{resource.model.__name__} names the schema {resource.table.schema}; the engine finds tables by the "
            "connection's search_path, so leave the schema out",
        )
    if resource.table.name.lower().startswith("pg_"):
        raise _error(
            resource,
            f"the table name {resource.table.name!r} begins with pg_, which PostgreSQL reserves for its own tables; "
            "rename the table",
        )
    if not TABLE.match(resource.table.name):
        raise _error(
            resource,
            f"the table name {resource.table.name!r} must begin with a letter, contain only ASCII letters, digits "
            f"and underscores, and have at most {LONGEST} characters",
        )


def check_scopes(resource: Declaration) -> None:
    if not (resource.scopes.write or resource.is_view):
        raise _error(resource, "scopes names none to change items; give it a write=")


def check_words(resource: Declaration) -> None:
    if not PATH.match(resource.path):
        raise _error(resource, "the path may contain only lowercase letters, digits and single hyphens")
    if not NAME.match(resource.name):
        raise _error(
            resource, f"{resource.name} is not a valid schema name; give a name= of letters and digits"
        )
    if not SINGULAR.match(resource.singular):
        raise _error(
            resource,
            "singular may contain only letters, digits, and single spaces or hyphens, as in order item",
        )


def check_names(resource: Declaration) -> None:
    known = set(resource.table.columns.keys())
    for name in resource.model.model_fields:
        if name not in known:
            raise _error(resource, f"{name} is not the name of its column; give both the same name")
    _check_role_names(resource, known)
    if unknown := resource.without - OPERATIONS:
        raise _error(resource, f"without names {', '.join(sorted(unknown))}, but there is no such operation")
    if resource.without.issuperset(BULK_KINDS) and "bulk" not in resource.without:
        raise _error(
            resource, "without create, patch and delete there is nothing to do in bulk; leave bulk out too"
        )
    if "id" in resource.hidden:
        raise _error(resource, "the id cannot be hidden, because clients find items by it")


def _check_role_names(resource: Declaration, known: set[str]) -> None:
    for role in ("filterable", "sortable", "searchable", "immutable", "readonly", "hidden", "visible"):
        for name in resource.own_filters if role == "filterable" else getattr(resource, role):
            if name in resource.computed and role != "visible":
                raise _error(
                    resource,
                    f"{name} is computed when it is read, so it cannot be {role}; generate a column for it",
                )
            if name not in known and name not in resource.computed:
                raise _error(
                    resource, f"{role} names {name}, but {resource.model.__name__} has no such field"
                )


def check_columns(resource: Declaration) -> None:
    fields = resource.model.model_fields
    try:
        check_indexes(resource.table, fields, resource.kinds)
        check_search(resource.searchable, resource.table, fields)
    except ColumnError as error:
        raise _error(resource, str(error)) from None


def check_roles(resource: Declaration) -> None:
    for role in ("filterable", "searchable", "sortable"):
        for name in getattr(resource, role):
            if name in resource.hidden:
                raise _error(resource, f"{name} is hidden, so it cannot be {role}")
    for name in resource.filterable:
        if name in RESERVED:
            raise _error(resource, f"{name} is a parameter of every list, so it cannot be filterable")
    _check_search(resource)
    _check_sort(resource)
    _check_readonly(resource)


def _check_readonly(resource: Declaration) -> None:
    hooks = resource.hooks or Hooks()
    created_by_hooks = hooks.overrides("before_create")
    for name in resource.readonly:
        if name not in resource.own_fields:
            raise _error(resource, f"{name} is set by the service anyway; leave it out of readonly")
        if (
            not (name == resource.owner_field or created_by_hooks)
            and resource.default_of(name, {}) is PydanticUndefined
        ):
            raise _error(
                resource,
                f"{name} is readonly and has no default, so no item can be created; give it one, or set it in "
                "before_create",
            )


def check_cache(resource: Declaration) -> None:
    if resource.cache is None:
        return
    if not 0 < resource.cache.seconds <= MOST_SECONDS:
        raise _error(
            resource,
            f"cache must keep items for more than 0 and at most {MOST_SECONDS:g} seconds; for values that may be older "
            "there is cached()",
        )
    if "read" in resource.without:
        raise _error(resource, "cache needs the operation read, which without leaves out")


def _check_search(resource: Declaration) -> None:
    for name in resource.searchable:
        if resource.table.c[name].nullable:
            raise _error(
                resource, f"{name} is nullable, so it cannot be searchable; give it a default instead"
            )
    if resource.searchable and not resource.is_view and not _has_search_index(resource):
        columns = ", ".join(f'"{name}"' for name in (resource.table.name, *resource.searchable))
        raise _error(
            resource, f"to search, {resource.model.__name__} needs search_index({columns}) and its migration"
        )


def _check_sort(resource: Declaration) -> None:
    for name in dict.fromkeys((*resource.sortable, *_default_sort(resource))):
        if name not in resource.sortable:
            raise _error(resource, f"default_sort names {name}, which must be sortable")
        if not resource.kinds[name].sortable:
            raise _error(resource, f"{name} has a type without an order, so it cannot be sortable")
        if not resource.is_view and not _has_sort_index(resource, name):
            raise _error(
                resource,
                f"to sort by {name}, {resource.model.__name__} needs "
                f'sort_index("{resource.table.name}", "{name}") and a migration that creates it',
            )


def _default_sort(resource: Declaration) -> tuple[str, ...]:
    names = tuple(part.removeprefix("-") for part in resource.default_sort.split(","))
    if len(names) > MAX_SORT_FIELDS or len(set(names)) < len(names):
        raise _error(resource, f"default_sort must name up to {MAX_SORT_FIELDS} fields, each once")
    return names


def _has_sort_index(resource: Declaration, name: str) -> bool:
    """Whether an index has the column's own order: a B-tree with the default operator class."""
    for index in resource.table.indexes:
        options = index.dialect_options["postgresql"]
        plain = options["using"] in (False, "", "btree") and name not in (options["ops"] or {})
        if plain and whole_columns(index)[:1] == (name,):
            return True
    return False


def _has_search_index(resource: Declaration) -> bool:
    vector = search_vector(*resource.searchable)
    return any(vector in str(part) for index in resource.table.indexes for part in index.expressions)
