"""Strict JSON against references: the standard library's writer, and a parser that follows RFC 8259."""

import gc
import json
import time
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.http.content import strict_json
from service.http.content.gc_pause import LARGE, collector_paused
from service.http.content.strict_json import MAX_CONTAINERS, MAX_DEPTH, parse
from service.http.problems import InvalidJson
from tests.examples import examples

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, 0, 3]),
        "separators": st.sampled_from([None, (",", ":"), (" ,\t", "\r\n: ")]),
    }
)
DAMAGE = [
    b"", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xef\xbb\xbf", b"NaN", b"-", b"0", b".", b"e", b"+", b",",
    b":", b'"', b"[", b"]", b"{}", b"\\", b"\\ud83d", b"\\u0000", b" ", b"\x0b", b"\xa0", b"'", b"//", b"1_0",
]  # fmt: skip
REFUSED = b"refused"


def accepted(body: bytes) -> Any:
    try:
        return parse(body)
    except InvalidJson:
        return REFUSED


def reference(body: bytes) -> Any:
    """Parse the document strictly, unless it breaks a rule beyond RFC 8259."""
    try:
        orjson.loads(body)
        document = json.loads(body, parse_constant=_refuse, object_pairs_hook=_pairs)
        again = json.dumps(document, allow_nan=False).lower()
    except (ValueError, RecursionError):
        return REFUSED
    beyond = "\\u0000" in again.replace("\\\\", "") or _surrogates(document) or _depth(document) > MAX_DEPTH
    return REFUSED if beyond else document


def _refuse(_: str) -> Any:
    raise ValueError


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _surrogates(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _depth(node: Any) -> int:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return 0 if children is None else 1 + max(map(_depth, children), default=0)


@pytest.mark.parametrize("around", [b"%b", b"[%b]", b'{"a": %b}', b'{"a": 1, "b": {"c": %b}}'])
def test_rule_holds_wherever_the_value_is(around: bytes) -> None:
    """Objects with a few members have a way of their own, which must not leave a rule out."""
    deep = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    for broken in (
        b"1e400",
        b"0.12345678901234567",
        b"18446744073709551616",
        deep,
        b'"\\u0000"',
        b'"\\ud800"',
    ):
        assert accepted(around % broken) is REFUSED, broken


@given(document=DOCUMENTS, style=STYLES)
@settings(max_examples=examples(80))
def test_written_json_is_read_back(document: Any, style: dict[str, Any]) -> None:
    found = accepted(json.dumps(document, **style).encode())
    assert json.dumps(found) == json.dumps(document)


@given(document=DOCUMENTS, data=st.data())
@settings(max_examples=examples(120))
def test_damaged_json_is_judged_like_the_reference_parser(document: Any, data: st.DataObject) -> None:
    body = json.dumps(document, ensure_ascii=data.draw(st.booleans())).encode()
    at = data.draw(st.integers(0, len(body)))
    cut = data.draw(st.integers(0, 3))
    damaged = body[:at] + data.draw(st.sampled_from(DAMAGE)) + body[at + cut :]
    ours, theirs = accepted(damaged), reference(damaged)
    if ours is REFUSED and theirs is not REFUSED:
        assert _has_a_number_that_is_too_long(theirs, damaged), damaged
    else:
        assert ours == theirs, damaged


def _has_a_number_that_is_too_long(document: Any, body: bytes) -> bool:
    """Digits beyond a double or 64 bits differ between two parsers of the same document."""
    texts: list[str] = []
    json.loads(body, parse_int=texts.append, parse_float=texts.append)
    return any(float(text) == float("inf") or len(text) > 15 for text in texts)


@given(name=TEXTS, other=TEXTS)
@settings(max_examples=examples(25))
def test_escaped_duplicate_names_are_detected(name: str, other: str) -> None:
    escaped = "".join(f"\\u{unit:04x}" for unit in _units(name))
    body = f'{{{json.dumps(name)}:1,{json.dumps(other)}:2,"{escaped}":3}}'.encode()
    assert accepted(body) is REFUSED


@pytest.mark.parametrize("colon", [":", "\\u003a", "\\u003A"])
def test_escaped_colon_does_not_count_as_another_name(colon: str) -> None:
    body = f'{{"a{colon}":{{"b":"{colon}"}}}}'
    assert accepted(body.encode()) == {"a:": {"b": ":"}}


def _units(text: str) -> list[int]:
    raw = text.encode("utf-16-be")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_limit_is_exact(opening: str, closing: str) -> None:
    levels = MAX_DEPTH // len(closing)
    assert accepted((opening * levels + "1" + closing * levels).encode()) is not REFUSED
    assert accepted(("[" + opening * levels + "1" + closing * levels + "]").encode()) is REFUSED
    assert accepted((opening * 50_000).encode()) is REFUSED


def test_only_containers_outside_strings_are_counted() -> None:
    most = MAX_CONTAINERS - 1
    assert accepted(("[" + "[]," * (most - 1) + "{}]").encode()) is not REFUSED
    assert accepted(("[" + "[]," * most + "{}]").encode()) is REFUSED
    assert accepted(('["' + "[" * 200_000 + '"]').encode()) is not REFUSED
    assert accepted(('["[",' + "[]," * (most - 1) + "{}]").encode()) is not REFUSED


DIGITS = st.integers(0, 10**24).map(str)
NUMBERS = st.one_of(
    DIGITS,
    st.builds("-{}.{}".format, DIGITS, DIGITS),
    st.builds("{}.{}e{}".format, DIGITS, DIGITS, st.integers(-400, 400)),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(1e-320, 1e-300).map("{:.10E}0".format),
)


@given(
    numbers=st.lists(NUMBERS, min_size=1, max_size=4),
    text=st.sampled_from(["", '"1e-400, 12345678901234567"']),
)
@example(
    numbers=["136471463.16493839e116"], text=""
)  # the same double as 1.364714631649384e124, with 17 digits
@settings(max_examples=examples(120))
def test_numbers_are_exact_or_refused(numbers: list[str], text: str) -> None:
    found = accepted(("[" + ", ".join([*filter(None, [text]), *numbers]) + "]").encode())
    assert (found is not REFUSED) == all(map(_is_kept, numbers)), numbers
    if found is not REFUSED:
        values = found[bool(text) :]
        assert values == [type(value)(number) for value, number in zip(values, numbers, strict=True)]


def _is_kept(number: str) -> bool:
    """Compare with Python's parsing of each number. PostgreSQL prints some large doubles with 17 digits."""
    if number.lstrip("-").isdigit() and -(2**63) <= int(number) < 2**63:
        return True
    value = float(number)
    if abs(value) == float("inf"):
        return False
    printed = (f"{value:.15e}", f"{value:.16e}") if value.is_integer() else ()
    return Decimal(number) in {Decimal(form) for form in (repr(value), *printed)}


def _filled(item: str, size: int = 2**20) -> bytes:
    return ("[" + ",".join([item] * (size // (len(item) + 1) - 1)) + "]").encode()


WORST = {
    "numbers": _filled("1"),
    "long numbers": _filled("1.2345678901234560"),
    "far numbers": _filled("1.0e-100"),
    "objects": _filled("{}", 3 * MAX_CONTAINERS),
    "nested": _filled("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1), 2 * MAX_CONTAINERS),
    "names": ("{" + ",".join(f'"{name:x}":1' for name in range(110_000)) + "}").encode(),
    "texts": _filled('"a"')[:-1] + b",12345678901234567" + b",[]" * 40 + b"]",
    "escapes": _filled('{"\\u003a":"\\\\\\u00e9"}'),
}


@pytest.mark.parametrize("kind", WORST)
def test_largest_body_blocks_the_loop_no_longer_than_a_c_parser(kind: str) -> None:
    """Measured in CPU time, against the standard library's parser on a megabyte of numbers in the same run."""
    body = WORST[kind]
    unit = min(_cost(lambda: json.loads(WORST["numbers"])) for _ in range(3))
    with collector_paused(len(body)):  # one run without noise is enough
        assert any(_longest_step(strict_json.read(body)) < 2 * unit for _ in range(3))


def _longest_step(work: Coroutine[Any, Any, Any]) -> float:
    """Return the CPU seconds between two yields to the event loop."""
    longest, going = 0.0, True
    while going:
        began = time.thread_time()
        try:
            work.send(None)
        except StopIteration:
            going = False
        longest = max(longest, time.thread_time() - began)
    return longest


def _cost(run: Callable[[], object]) -> float:
    began = time.thread_time()
    run()
    return time.thread_time() - began


def test_collector_is_paused_until_the_last_large_document_is_parsed() -> None:
    with collector_paused(LARGE):
        assert gc.isenabled()
    with collector_paused(LARGE + 1):
        with collector_paused(LARGE + 1):
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
