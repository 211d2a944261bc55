"""The lists of one resource."""

from service.config import PerformanceSettings
from service.resources.declaration import RestResource
from service.resources.lists.cursor import CursorCodec
from service.resources.lists.filters import filters_of
from service.resources.lists.page import PageBuilder
from service.resources.lists.parser import ListParser
from service.resources.lists.sql import ListStatements
from service.resources.relations.expansions import Expansions


class Lister:
    """Parses list requests, has their statements, and builds pages from the rows."""

    def __init__(
        self,
        resource: RestResource,
        sizes: PerformanceSettings,
        cursors: CursorCodec,
        expansions: Expansions | None = None,
    ) -> None:
        self.filters = filters_of(resource)
        self.parser = ListParser(
            resource, self.filters, sizes, cursors, (expansions or Expansions()).parameters
        )
        self.statements = ListStatements(resource, self.filters)
        self.pages = PageBuilder(cursors)
