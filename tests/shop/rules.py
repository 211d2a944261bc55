"""An action of the shop."""

from typing import ClassVar

from pydantic import Field

from service.http.handwritten import Input
from service.http.problems import Conflict, WrongState
from service.resources.declaration import Change
from tests.shop.models import Article, ArticleStatus

ROOM = 1_000_000


class Restock(Input):
    """Pieces that were delivered."""

    pieces: int = Field(ge=1, le=ROOM, examples=[12])


class NoRoom(Conflict):
    """The shelf has no room for so many pieces."""

    code: ClassVar[str] = "no_room"
    title: ClassVar[str] = "There is no room for so many pieces."


async def restock(change: Change, article: Article, delivery: Restock) -> None:
    """Add the delivered pieces to the stock."""
    if article.status is ArticleStatus.DISCONTINUED:
        raise WrongState("The article is discontinued.")
    stock = article.stock + delivery.pieces
    if stock > ROOM:
        raise NoRoom(f"There is room for {ROOM - article.stock} more.")
    change.values["stock"] = stock
