"""Lines of JSON stay whole for readers that split at every line separator of Unicode."""

import json

from service.ndjson import escape_separators


def test_only_a_newline_ends_a_line() -> None:
    text = "".join(map(chr, range(0x20, 0x3000))) + r"\u2028 \u0085"
    line = json.dumps({text: text}, ensure_ascii=False).encode() + b"\n"
    assert len(line.decode().splitlines()) > 1
    escaped = escape_separators(line)
    assert len(escaped.decode().splitlines()) == 1
    assert json.loads(escaped) == {text: text}
