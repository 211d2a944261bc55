"""Decimals in JSON: written as text such as "12.50", read as text or number, never rounded."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class _DecimalText:
    """Accepts text of the plain form only, and says so in the JSON schema."""

    digits: int
    places: int

    def pattern(self, *, sign: bool = True) -> str:
        """What the text looks like; without a `sign` for what is never negative."""
        whole = f"{'-?' if sign else ''}[0-9]{{1,{self.digits - self.places}}}"
        return f"^{whole}(\\.[0-9]{{1,{self.places}}})?$" if self.places else f"^{whole}$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        pattern = re.compile(self.pattern().replace("$", r"\Z"))

        def check(value: Any) -> Any:
            if isinstance(value, bool) or (isinstance(value, str) and not pattern.match(value)):
                raise ValueError(f"must be a number with up to {self.places} decimal places")
            return value

        return BeforeValidator(check).__get_pydantic_core_schema__(source, handler)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shape = handler(schema)
        choices = shape.get("anyOf", [shape])
        low = next((choice["minimum"] for choice in choices if "minimum" in choice), -1)
        for choice in choices:
            if choice.get("type") == "string":
                choice["pattern"] = self.pattern(sign=low < 0)
            elif choice.get("type") == "number":
                choice["multipleOf"] = 10**-self.places
                choice["maximum"] = 10 ** (self.digits - self.places) - 1
        return shape


def decimal_text(digits: int, places: int) -> Any:
    """A rule for a `Decimal` field of a column `NUMERIC(digits, places)`."""
    return _DecimalText(digits, places)
