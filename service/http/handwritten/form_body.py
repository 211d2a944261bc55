"""Checks forms: well-formed, known fields only, each once unless it is a list, and no NUL in texts."""

from urllib.parse import parse_qsl

from fastapi import Request, params

from service.http.content.media_types import media_type
from service.http.handwritten.signature import fields_of
from service.http.problems import (
    FieldError,
    MalformedRequest,
    UnsupportedMediaType,
    ValidationFailed,
    pointer,
)

MOST_FIELDS = 1000
"""Most fields in a form, as in Starlette's parsers."""
URL_ENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


async def check_url_encoded(body: bytes) -> None:
    """Check a complete URL-encoded form. Raises `MalformedRequest`."""
    if body.count(b"&") >= MOST_FIELDS:
        raise MalformedRequest(f"The form has more than {MOST_FIELDS} fields.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise MalformedRequest("The form is not UTF-8 in percent-encoding.") from None
    if any("\x00" in text for pair in pairs for text in pair):
        raise MalformedRequest("A text has a NUL character.")


async def check_form(request: Request, declared: params.Form) -> None:
    """Check a form of any kind against the declared fields. Raises `UnsupportedMediaType` or `ValidationFailed`."""
    allowed = (MULTIPART,) if isinstance(declared, params.File) else (URL_ENCODED, MULTIPART)
    kind = media_type(request.headers.get("content-type", ""))
    if kind is None or kind.name not in allowed:
        if {"content-length", "transfer-encoding"}.intersection(request.headers):
            raise UnsupportedMediaType(
                f"Send {' or '.join(allowed)}.", headers={"Accept": ", ".join(allowed)}
            )
        return
    fields = fields_of(declared.annotation)
    given = (await request.form()).multi_items()
    names = [name for name, _ in given]
    wrong = {}
    for name, value in given:
        if fields is not None and name not in fields:
            wrong[name] = "There is no such field."
        elif fields is not None and not fields[name] and names.count(name) > 1:
            wrong[name] = "The field is repeated."
        elif isinstance(value, str) and "\x00" in value:
            wrong[name] = "The value must not have a NUL character."
    if wrong:
        errors = [FieldError(message, pointer=pointer([name])) for name, message in sorted(wrong.items())]
        raise ValidationFailed(errors=errors)
