"""Column types that the tables share."""

from enum import StrEnum

from sqlalchemy import Enum


def text_enum(kind: type[StrEnum]) -> Enum:
    """The enum's values as text under a CHECK: a new value is one constraint away, unlike in a native enum."""
    return Enum(
        kind,
        name=_snake(kind.__name__),
        native_enum=False,
        create_constraint=True,
        validate_strings=True,
        length=40,
        values_callable=lambda e: [member.value for member in e],
    )


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).removeprefix("_")
