"""The parameter `expand`: shows items that an item refers to within it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.http.problems import FieldError, InvalidParameter
from service.resources.relations.relation import Relation, require_scopes
from service.resources.requests.parameters import Splitter, split_words
from service.security.principals import Principal

EXPAND = "expand"


@dataclass(frozen=True, slots=True)
class Expansion:
    """A relation with the fields that one caller sees of the other item. Equal ones share their statements."""

    relation: Relation
    fields: tuple[str, ...]


class Expansions:
    """The relations of one resource that requests can expand."""

    def __init__(self, relations: Sequence[Relation] = ()) -> None:
        self._relations = {relation.name: relation for relation in relations if relation.shown}
        self.names = tuple(self._relations)
        self.scopes = {name: relation.target.scopes.read for name, relation in self._relations.items()}
        self.parameters: Mapping[str, Splitter] = {EXPAND: split_words} if self.names else {}

    def asked(self, names: Sequence[str], principal: Principal) -> tuple[Expansion, ...]:
        """Return the expansions for the values of the parameter, in the order of the declaration.

        Raises `InvalidParameter`, and `Forbidden` if the principal may not read the other items.
        """
        for number, name in enumerate(names):
            if name not in self._relations:
                choices = ", ".join(self.names)
                raise _wrong(f"`{name[:100]}` cannot be expanded; relations that can are {choices}.")
            if name in names[:number]:
                raise _wrong(f"`{name}` is listed twice.")
        found = [relation for name, relation in self._relations.items() if name in names]
        require_scopes(principal, [relation.target.scopes.read for relation in found])
        return tuple([Expansion(relation, relation.seen_by(principal)) for relation in found])


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(errors=[FieldError(message, parameter=EXPAND)])
