"""Column types for tables."""

from enum import StrEnum

from sqlalchemy import Enum


def text_enum(kind: type[StrEnum]) -> Enum:
    """Return a text column with a CHECK constraint on the enum's values. Unlike a native enum, it is easy to extend."""
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
