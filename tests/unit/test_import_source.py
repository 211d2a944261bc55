"""What a file to import looks like by its first bytes."""

import gzip
import io

import pytest

from service.resources.imports.importer import _lines
from service.resources.imports.source import EXPECTED, ImportFormatError, open_lines

LINE = b'{"sku": "A"}\n'
JSON_ARRAY = "a JSON array (jq -c '.[]' converts it to lines)"
SEVERAL_LINES = "JSON over several lines (jq -c . converts it to one line)"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("{}\n".encode("utf-16-le"), "UTF-16 or UTF-32"),
        ("{}\n".encode("utf-32-be"), "UTF-16 or UTF-32"),
        (b"\xff\xfe" + "{}\n".encode("utf-16-le"), "UTF-16"),
        (b"\xfe\xff" + "{}\n".encode("utf-16-be"), "UTF-16"),
        (b"\xff\xfe\x00\x00" + "{}\n".encode("utf-32-le"), "UTF-32"),
        (b"\x00\x00\xfe\xff" + "{}\n".encode("utf-32-be"), "UTF-32"),
        (b"PK\x03\x04\x14\x00", "a zip archive"),
        (b"\x28\xb5\x2f\xfd\x04", "zstd"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"BZh91AY", "bzip2"),
        (b"7z\xbc\xaf\x27\x1c\x00", "a 7z archive"),
        (b"PAR1\x15", "Parquet"),
        (b"%PDF-1.7", "PDF"),
        (gzip.compress(gzip.compress(LINE, mtime=0), mtime=0), "gzip within gzip"),
        (b' [{"sku": "A"}]', JSON_ARRAY),
        (b"[]", JSON_ARRAY),
        (b'{\n  "sku": "A"\n}\n', SEVERAL_LINES),
        (b'\n{ \r\n  "sku": "A"\r\n}\r\n', SEVERAL_LINES),
        (b"sku,name\nA,Lamp\n", "CSV"),
        (b"sku;name\nA;Lamp\n", "CSV"),
        (b"sku\tname\nA\tLamp\n", "CSV"),
        (b'\n<?xml version="1.0"?>\n<articles/>\n', "XML or HTML"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_other_format_is_named(content: bytes, kind: str, *, packed: bool) -> None:
    if packed and content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    with pytest.raises(ImportFormatError) as refused:
        open_lines(io.BytesIO(gzip.compress(content, mtime=0) if packed else content))
    assert str(refused.value) == f"this looks like {kind}; {EXPECTED}"


PACKED = gzip.compress(b"".join(b'{"n": %d}\n' % n for n in range(50_000)), mtime=0)


@pytest.mark.parametrize(
    "file",
    [PACKED[:-20], PACKED[:-8] + bytes(8), PACKED[:50_000] + b"\xff" * 99 + PACKED[50_099:], PACKED + b"x"],
    ids=["cut off", "another sum", "another byte", "more"],
)
def test_gzip_that_is_damaged_further_on_is_reported(file: bytes) -> None:
    lines = _lines(open_lines(io.BytesIO(file)), 1)
    assert next(lines) == (1, b'{"n": 0}')
    with pytest.raises(ImportFormatError, match="the gzip data is damaged: "):
        list(lines)


@pytest.mark.parametrize(
    "content",
    [
        LINE,
        b"\n" + LINE,
        b"{\n",
        b"",
        b"sku\nA\n",
        b"sku, " + LINE,
        b'{"sku": "A",\n"name": "B"}\n',
        b"\xc3",
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "mark"])
def test_lines_are_read_as_they_are(content: bytes, mark: bytes, *, packed: bool) -> None:
    """A line that is not JSON is reported with its number, later."""
    file = gzip.compress(mark + content, mtime=0) if packed else mark + content
    assert open_lines(io.BytesIO(file)).read() == content
