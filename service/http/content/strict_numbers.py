"""Numbers in a JSON text that neither a double nor 64 bits can hold exactly.

Up to 15 significant digits survive a double unchanged (C11 5.2.4.2.2, `DBL_DIG`), unless the exponent is outside the
normal range. So only longer numbers and three-digit exponents need a check.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from service.http.content.integers import INT64
from service.http.problems import InvalidJson

SLICE = 2_000  # numbers checked in one step
_SAFE_INTEGER = 18  # digits that always fit into 64 bits
_LONGEST_INTEGER = 20  # characters
_LONGEST_DOUBLE = 310
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_LONG = b"0" * 16
_FAR = (b"0e000", b"0e-000", b"0e+000")
_LONG_NUMBER = re.compile(rb"[-+.eE0-9]{16,}")
_FAR_NUMBER = re.compile(rb"[-.0-9]+[eE][-+]?[0-9]{3,}")


def may_be_inexact(body: bytes) -> bool:
    """Whether the text may have a number to check; text in strings can match too."""
    shape = body.translate(_SHAPE, b".")
    return _LONG in shape or (b"0e" in shape and _is_far(shape))


def _is_far(shape: bytes) -> bool:
    return any(far in shape for far in _FAR)


def check_numbers(text: bytes) -> Iterator[None]:
    """Check the numbers of a valid JSON text without its strings, and yield after each step.

    Raises `InvalidJson`.
    """
    shape = text.translate(_SHAPE, b".")
    numbers = _LONG_NUMBER.findall(text) if _LONG in shape else []
    yield
    if _is_far(shape):
        numbers += _FAR_NUMBER.findall(text)
        yield
    for start in range(0, len(numbers), SLICE):
        for number in numbers[start : start + SLICE]:
            _check(number.decode())
        yield


def _check(digits: str) -> None:
    if digits.lstrip("-").isdigit():
        if len(digits) > _SAFE_INTEGER and not _fits(digits):
            raise InvalidJson("An integer does not fit into 64 bits, nor into a double without loss.")
    elif not _is_exact(digits):
        raise InvalidJson("A number does not fit into a double without loss; send it as text.")


def _fits(digits: str) -> bool:
    """Accept 1e22 as digits too: PostgreSQL prints it like that, and clients may send back what they got."""
    if len(digits) <= _LONGEST_INTEGER and int(digits) in INT64:
        return True
    return len(digits) <= _LONGEST_DOUBLE and _is_exact(digits)


def _is_exact(digits: str) -> bool:
    """Whether the double is written as these digits, or as others that mean the same."""
    value = float(digits)
    written = repr(value)
    if written == digits:
        return True
    try:
        if abs(value) == float("inf"):
            return False
        exact = Decimal(digits)
        # PostgreSQL prints large integers with one more digit than Python; accept that form too.
        forms = (written, *((f"{value:.15e}", f"{value:.16e}") if value.is_integer() else ()))
        return any(exact == Decimal(form) for form in forms)
    except InvalidOperation:  # the exponent is too large for Decimal
        return False
