"""Messages on wrong values, in this API's own words, without names of libraries or Python types."""

import re
from collections.abc import Mapping
from typing import Any

_TEXT = "must be a string"
_ARRAY = "must be an array"
_OBJECT = "must be an object"
_INTEGER = "must be an integer"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_UUID = "must be a UUID"
_DATE = "must be a date, such as 2026-01-31"
_INSTANT = "must be a time with a zone, such as 2026-01-31T09:30:00Z"
_CLOCK = "must be a time of day, such as 09:30:00"
_SPAN = "must be a duration, such as PT30M"
_DECIMAL = 'must be a number, as text such as "12.50"'
_URL = "must be a URL"
_OTHER = "is of the wrong type"
UNKNOWN_FIELD = "is not a known field"

# By Pydantic's error type, with members of the context in braces.
_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": UNKNOWN_FIELD,
    "none_required": "must be null",
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode", "bytes_type"), _TEXT),
    "string_pattern_mismatch": "must match {pattern}",
    **dict.fromkeys(("enum", "literal_error"), "must be {expected}"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _INTEGER),
    "int_parsing_size": "has too many digits",
    **dict.fromkeys(
        (
            "float_type",
            "float_parsing",
            "complex_type",
            "complex_str_parsing",
            "fraction_type",
            "fraction_parsing",
        ),
        _NUMBER,
    ),
    "finite_number": "must be a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), _BOOLEAN),
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "named_tuple_type"),
        _ARRAY,
    ),
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), _OBJECT
    ),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"), _DATE
    ),
    **dict.fromkeys(("datetime_type", "datetime_parsing", "datetime_object_invalid"), _INSTANT),
    "datetime_from_date_parsing": _INSTANT,
    "timezone_aware": _INSTANT,
    "timezone_naive": "must not have a time zone",
    **dict.fromkeys(("time_type", "time_parsing"), _CLOCK),
    **dict.fromkeys(("time_delta_type", "time_delta_parsing"), _SPAN),
    "date_past": "must be in the past",
    "date_future": "must be in the future",
    "datetime_past": "must be in the past",
    "datetime_future": "must be in the future",
    **dict.fromkeys(("uuid_type", "uuid_parsing"), _UUID),
    "uuid_version": "must be a UUID of version {expected_version}",
    **dict.fromkeys(("decimal_type", "decimal_parsing"), _DECIMAL),
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_max_places": "must have at most {decimal_places} decimal places",
    "decimal_whole_digits": "must have at most {whole_digits} digits before the decimal point",
    **dict.fromkeys(("url_type", "url_parsing", "url_syntax_violation"), _URL),
    "url_scheme": "must be a URL that begins with {expected_schemes}",
    "url_too_long": "must have at most {max_length} characters",
    "union_tag_invalid": "must have the member {discriminator} with one of the values {expected_tags}",
    "union_tag_not_found": "must have the member {discriminator}",
    **dict.fromkeys(("json_type", "json_invalid"), "must be text that is JSON"),
    **dict.fromkeys(("is_instance_of", "is_subclass_of", "callable_type", "bytes_invalid_encoding"), _OTHER),
}
_COUNTED: Mapping[str, tuple[str, str, str]] = {
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
    "bytes_too_short": ("at least", "min_length", "byte"),
    "bytes_too_long": ("at most", "max_length", "byte"),
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
}
_PREFIX = re.compile(r"(Value error|Assertion failed), ")
_SHOULD = re.compile(r"(Input|Value|String|UUID input|Date|Datetime|Decimal input|URL) should ")


def message_of(error: Mapping[str, Any]) -> str:
    """Return the message, without its subject, for one of Pydantic's errors and its context."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _COUNTED:
        bound, member, unit = _COUNTED[kind]
        count = context[member]
        return f"must have {bound} {count} {unit}{'' if count == 1 else 's'}"
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    if "error" in context:  # raised by the model's own validator
        return str(context["error"])
    return _SHOULD.sub("must ", _PREFIX.sub("", error["msg"]), count=1)


def place_of(error: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the path of the value; for a wrong member name, the path of the member."""
    place: tuple[Any, ...] = error["loc"]
    return place[:-1] if place[-1:] == ("[key]",) else place
