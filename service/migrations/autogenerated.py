"""What migrations that Alembic generates from the models may contain."""

from typing import Any

from service.models.view import is_view


def is_included(item: Any, _: object, kind: str, *__: object) -> bool:
    """Whether an object of the models is compared with the database: all but views, which a team's SQL creates."""
    return kind != "table" or not is_view(item)
