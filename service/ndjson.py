"""Newline-delimited JSON, for exports, import reports and log lines."""

# U+0085, U+2028 and U+2029, at which some readers split lines (Unicode, section 5.8; Python's `splitlines`).
_SEPARATORS = (
    (b"\xc2\x85", b"\\u0085"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)


def escape_separators(lines: bytes) -> bytes:
    """Return the same JSON in UTF-8, with all line separators except newlines escaped."""
    for character, escape in _SEPARATORS:
        lines = lines.replace(character, escape)
    return lines
