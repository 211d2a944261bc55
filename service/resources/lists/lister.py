"""The lists of one resource."""

from collections.abc import Sequence

from service.config import PerformanceSettings
from service.resources.declaration import RestResource
from service.resources.lists.cursor import CursorCodec
from service.resources.lists.filters import check_related, filters_of
from service.resources.lists.page import PageBuilder
from service.resources.lists.parser import ListParser
from service.resources.lists.sql import ListStatements
from service.resources.relations.expansions import EXPAND, Expansion, Expansions
from service.resources.relations.relation import Relation
from service.resources.requests.parameters import Query
from service.resources.statements.ownership import RowAccess
from service.security.principals import Principal


class Lister:
    """Parses list requests, has their statements, and builds pages from the rows."""

    def __init__(
        self,
        resource: RestResource,
        access: RowAccess,
        sizes: PerformanceSettings,
        cursors: CursorCodec,
        relations: Sequence[Relation] = (),
    ) -> None:
        self.filters = filters_of(resource, relations)
        self._expansions = Expansions(relations)
        self._related = any(relation.filters for relation in relations)
        self.parser = ListParser(resource, self.filters, sizes, cursors, self._expansions.parameters)
        self.statements = ListStatements(resource, access, self.filters)
        self.pages = PageBuilder(cursors)

    def expansions(self, given: Query, principal: Principal) -> tuple[Expansion, ...]:
        """Return the expansions that a query names, if the principal may see what it names of other resources.

        Raises `Forbidden` and `InvalidParameter`.
        """
        if self._related:
            check_related(self.filters, given, principal)
        names = given.lists.get(EXPAND)
        return self._expansions.asked(names, principal) if names else ()
