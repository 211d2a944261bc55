"""The declaration of a resource."""

from dataclasses import dataclass

from service.resources.declaration.action_checks import check_actions
from service.resources.declaration.computed_checks import check_computed
from service.resources.declaration.declaration import OPERATIONS, READING, Declaration
from service.resources.declaration.model_checks import (
    check_cache,
    check_columns,
    check_names,
    check_roles,
    check_scopes,
    check_table,
    check_words,
)
from service.resources.declaration.owner_checks import check_owner
from service.resources.declaration.relation_checks import check_relations
from service.resources.declaration.view_checks import check_view
from service.resources.declaration.visibility_checks import check_visible
from service.resources.names import words


@dataclass(frozen=True, eq=False)
class RestResource(Declaration):
    """One table, or one view, as a REST resource under `/api/v1/<path>`. Raises `DeclarationError` if it contradicts
    its model. A view has the operations `list`, `read` and `export`.

    `filterable` and `sortable` name the fields that lists can use; `default_sort` is the sort of lists whose client
    names none. `searchable` names the columns of the model's search index. `immutable` fields can be set only at
    creation, `readonly` fields only by the service; `hidden` fields never leave the service, and `visible` fields exist
    only for callers with the scope. `computed` members are SQL expressions. With an `owner`, callers see and change
    only the items that are theirs. `expand` names relations that an item can show, with the fields of the other item:
    `{"customer": ("id", "name")}` shows the item that `customer_id` refers to. `children` are created with an item:
    `{"lines": "order-lines"}` lets POST take a list of that resource's items. `actions` are changes with a route of
    their own. `without` leaves operations out; `extra` adds routes under the resource's path. `cache=Cached()` answers
    repeated reads of an item from memory. `name` is the prefix of the schemas' names: by default the model's name, so
    resources that share a model need their own. `singular` is one item in sentences and operation ids, by default the
    words of `name`.
    """

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.model.__name__)
        if not self.singular:
            object.__setattr__(self, "singular", words(self.name))
        if self.is_view:
            object.__setattr__(self, "without", frozenset({*self.without, *OPERATIONS - READING}))
        elif (field := self.owner_field) is not None and field in self.table.columns:
            object.__setattr__(self, "readonly", tuple(dict.fromkeys((*self.readonly, field))))
        check_table(self)
        check_scopes(self)
        check_view(self)
        check_words(self)
        check_names(self)
        check_columns(self)
        check_owner(self)
        check_roles(self)
        check_cache(self)
        check_actions(self)
        check_visible(self)
        check_relations(self)
        check_computed(self)
