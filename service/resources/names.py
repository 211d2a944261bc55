"""The names of a resource in English sentences and in operation ids."""

import re

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+")
# By sound, for common resource names: a user, a unit, a European; an hour, an honest person.
_A = re.compile(r"(?:uni(?![mn])|us[aeu]|eu|one\b|ut[ei]|ubi)", re.IGNORECASE)
_AN = re.compile(r"(?:[aeiou]|hour|honest|honou?r|heir)", re.IGNORECASE)

_IDS = {
    "list": "list_{plural}",
    "create": "create_{singular}",
    "bulk": "bulk_change_{plural}",
    "export": "export_{plural}",
    "read": "read_{singular}",
    "replace": "replace_{singular}",
    "patch": "patch_{singular}",
    "delete": "delete_{singular}",
    "restore": "restore_{singular}",
    "history": "read_history_of_{singular}",
}


def words(class_name: str) -> str:
    """Return the words of a class name: "order item" for `OrderItem`, "http route" for `HTTPRoute`."""
    return " ".join(part.lower() for part in _BOUNDARY.split(class_name) if part)


def with_article(noun: str) -> str:
    """Return the noun with its indefinite article: "an order", "a user"."""
    return f"an {noun}" if _AN.match(noun) and not _A.match(noun) else f"a {noun}"


def operation_id(operation: str, *, path: str, singular: str) -> str:
    """Return the id of a generated operation: a verb, then the resource, in snake case."""
    return _IDS[operation].format(plural=snake(path), singular=snake(singular))


def id_of_list_under(*, path: str, parent: str) -> str:
    """Return the id of the list of items under one `parent`, which is named in the singular."""
    return f"list_{snake(path)}_of_{snake(parent)}"


def snake(text: str) -> str:
    """Return the words in lower case with underscores: `order_item` for "order-item" or "Order item"."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
