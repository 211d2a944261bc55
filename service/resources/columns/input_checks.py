"""Pydantic checks on input in addition to the field's own rules: the grammar and range of the column."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from service.resources.columns.text import in_real

Json = Mapping[str, Any]
_PLAIN = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")

MOST_DIGITS = 1000
"""Digits before the point, and after it, of a NUMERIC without precision. PostgreSQL allows more, but an index entry
holds only a few thousand."""


def refusal(message: str) -> PydanticCustomError:
    """Return an error whose message reaches the client unchanged."""
    return PydanticCustomError("value", "{message}", {"message": message})


@dataclass(frozen=True, eq=False)
class Text:
    """A value that is JSON text. `parse` reads it or raises `ValueError`; `schema` describes it."""

    parse: Callable[[str], Any]
    schema: Json

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)

    def _read(self, value: Any) -> Any:
        try:
            # Values of other types get the message that shows the expected text.
            return self.parse(value if isinstance(value, str) else "")
        except ValueError as error:
            raise refusal(str(error)) from None


@dataclass(frozen=True, slots=True)
class DecimalRule:
    """Accepts a number, or its plain text, with at most `whole` digits before the point and `places` after it."""

    whole: int
    places: int

    def pattern(self, *, sign: bool = True) -> str:
        """Return the pattern of the text; without `sign` for values that are never negative."""
        whole = f"{'-?' if sign else ''}[0-9]{{1,{max(self.whole, 1)}}}"
        return f"^{whole}(\\.[0-9]{{1,{self.places}}})?$" if self.places else f"^{whole}$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return BeforeValidator(self._check).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shape = handler(schema)
        choices = shape.get("anyOf", [shape])
        low = next((choice["minimum"] for choice in choices if "minimum" in choice), -1)
        for choice in choices:
            if choice.get("type") == "string":
                choice["pattern"] = self.pattern(sign=low < 0)
            elif choice.get("type") == "number" and self.whole < MOST_DIGITS:
                # No multipleOf: most validators compute it in binary and refuse 19.99.
                choice.setdefault("exclusiveMaximum", 10**self.whole)
                if "minimum" not in choice:
                    choice.setdefault("exclusiveMinimum", -(10**self.whole))
        return shape

    def _check(self, value: Any) -> Any:
        if value is None:
            return value
        if isinstance(value, str):
            match = _PLAIN.fullmatch(value)
            if match is None:
                raise refusal('must be a number, as text such as "12.50"')
            whole, places = match.groups("")
            if len(whole) > self.whole or len(places) > self.places:
                self._count(len(whole) if whole != "0" else 0, len(places))
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise refusal('must be a number, as text such as "12.50"')
        _, figures, exponent = Decimal(str(value)).as_tuple()
        if isinstance(exponent, int):  # Pydantic itself refuses what is not finite
            self._count(len(figures) + exponent, -exponent)
        return value

    def _count(self, whole: int, places: int) -> None:
        if whole > self.whole:
            raise PydanticKnownError("decimal_whole_digits", {"whole_digits": self.whole})
        if places > self.places:
            raise PydanticKnownError("decimal_max_places", {"decimal_places": self.places})


def _exact(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and int(float(value)) != value:
        raise refusal("must be a number that a double can represent exactly")
    return value


def _real(value: float | None) -> float | None:
    try:
        return None if value is None else in_real(value)
    except ValueError as error:
        raise refusal(str(error)) from None


EXACT = BeforeValidator(_exact)
REAL = AfterValidator(_real)
