"""Opens a file to import, and recognises files in other formats."""

import gzip
import io
import zlib
from typing import Any, BinaryIO

BUFFER = 65_536  # bytes
CHECKED = 4096  # bytes at the beginning of the file
EXPECTED = "expected one JSON object a line, in UTF-8, plain or gzip"
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_KINDS = {
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"PAR1": "Parquet",
    b"%PDF": "PDF",
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    _GZIP: "gzip within gzip",
}
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
"""Errors raised for a truncated or corrupt gzip file."""


class ImportFormatError(Exception):
    """The file is not newline-delimited JSON. The message names the likely format."""


def open_lines(source: BinaryIO) -> BinaryIO:
    """Return the file without byte order mark and compression. Raises `ImportFormatError`."""
    lines = _buffered(source)
    if lines.peek(CHECKED).startswith(_GZIP):
        lines = _buffered(gzip.GzipFile(fileobj=lines))
    try:
        head = lines.peek(CHECKED)[:CHECKED]
    except DAMAGED:
        raise ImportFormatError(f"the gzip data is damaged; {EXPECTED}") from None
    if head.startswith(_BOM):
        lines.read(len(_BOM))
        head = head[len(_BOM) :]
    if (kind := _other_kind(head)) is not None:
        raise ImportFormatError(f"this looks like {kind}; {EXPECTED}")
    return lines


def _buffered(source: Any) -> io.BufferedReader:
    return source if isinstance(source, io.BufferedReader) else io.BufferedReader(source, BUFFER)


def _other_kind(head: bytes) -> str | None:
    """Return the format that begins like this; None for JSON objects and unknown formats."""
    for magic, kind in _KINDS.items():
        if head.startswith(magic):
            return kind
    if b"\x00" in head[:4]:
        return "UTF-16 or UTF-32"
    text = head.lstrip()
    if text.startswith(b"["):
        return "a JSON array (jq -c '.[]' converts it to lines)"
    if text.startswith(b"<"):
        return "XML or HTML"
    first, _, rest = text.partition(b"\n")
    if first.startswith(b"{"):
        several = rest and first.rstrip() == b"{"
        return "JSON over several lines (jq -c . converts it to one line)" if several else None
    return "CSV" if b"{" not in text and any(mark in first for mark in (b",", b";", b"\t")) else None
