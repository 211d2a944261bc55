"""Bodies of items that a resource accepts, derived from the OpenAPI document."""

import itertools
import random
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from httpx2 import AsyncClient

from service.resources.declaration import RestResource
from tests.authorization.expected import BASE

Json = dict[str, Any]

_numbers = itertools.count(random.SystemRandom().randrange(10**6))
_FORMATS = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "time": "12:00:00"}
_LENGTH = 20


class Samples:
    """Makes items of an application's resources as a client that may do everything.

    `given` holds, by path, values for fields whose rules the document does not tell. `numbers` make texts new.
    """

    def __init__(
        self,
        boss: AsyncClient,
        document: Json,
        resources: tuple[RestResource, ...],
        given: Mapping[str, Json],
        numbers: Iterator[int] = _numbers,
    ) -> None:
        self._boss = boss
        self._document = document
        self._by_table = {resource.table.name: resource for resource in resources}
        self._given = given
        self._numbers = numbers

    async def body(self, resource: RestResource) -> Json:
        """A body for POST with the required fields, and new values in texts. Creates the items that it refers to.

        Empty for a resource whose items cannot be created.
        """
        if "create" in resource.without:
            return {}
        schema = self._schema(resource)
        given = self._given.get(resource.path, {})
        body = {}
        for name in schema.get("required", ()):
            if name not in given:
                body[name] = await self._value(resource, name, schema["properties"][name])
        return body | given

    async def create(self, client: AsyncClient, resource: RestResource) -> tuple[str, Json]:
        """Create an item; return its id and the body it was created with."""
        body = await self.body(resource)
        response = await client.post(f"{BASE}/{resource.path}", json=body)
        assert response.status_code == 201, (
            f"{resource.path}: no sample item from {body}: {response.text}; let the fixture `samples` of the domain's "
            "tests give values that pass"
        )
        return str(response.json()["id"]), body

    def _schema(self, resource: RestResource) -> Json:
        operation = self._document["paths"][f"{BASE}/{resource.path}"]["post"]
        return self._resolved(operation["requestBody"]["content"]["application/json"]["schema"])

    def _resolved(self, schema: Json) -> Json:
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self._document["components"]["schemas"][name]
        return schema

    async def _value(self, resource: RestResource, name: str, schema: Json) -> Any:
        for key in resource.table.c[name].foreign_keys:
            if (parent := self._by_table.get(key.column.table.name)) is not None:
                return (await self.create(self._boss, parent))[0]
        return self._of(schema)

    def _of(self, schema: Json) -> Any:
        examples = schema.get("examples", [])
        schema = self._resolved(schema)
        if "enum" in schema or "const" in schema:
            return schema["enum"][0] if "enum" in schema else schema["const"]
        if schema.get("type") == "string" and "format" not in schema:
            return _text(schema, examples, str(next(self._numbers)))
        if examples:
            return examples[0]
        if "anyOf" in schema:
            return self._of(next(one for one in schema["anyOf"] if one.get("type") != "null"))
        return self._plain(schema)

    def _plain(self, schema: Json) -> Any:
        match schema.get("type"):
            case "integer" | "number":
                least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
                return max(1, least) if schema.get("maximum", 1) >= 1 else least
            case "boolean":
                return True
            case "array":
                return [self._of(schema["items"])] * schema.get("minItems", 0)
            case "string" if schema["format"] in _FORMATS:
                return _FORMATS[schema["format"]]
            case "string":
                return str(uuid4())
        return {}


def _text(schema: Json, examples: list[str], number: str) -> str:
    """A new text that fits the schema; the example if none is found."""
    most, least = schema.get("maxLength", _LENGTH), schema.get("minLength", 0)
    for text in _candidates(examples, number, least, most):
        if least <= len(text) <= most and re.search(schema.get("pattern", ""), text):
            return text
    return examples[0] if examples else ""


def _candidates(examples: list[str], number: str, least: int, most: int) -> Iterator[str]:
    for example in examples:
        yield from (f"{example}-{number}", f"{example}{number}", f"{example} {number}")
        yield re.sub(r"\d", lambda _: random.choice(string.digits), example)
    length = max(min(_LENGTH, most), least)
    for letters in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
        yield "".join(random.choices(letters, k=length))
