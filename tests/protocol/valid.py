"""Requests that must keep working. Each leaves the connection open."""

import gzip

from tests.protocol.case import ITEMS, Case, get, headers, many, post

CHUNKED = b"Transfer-Encoding: chunked"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
PLAIN = get(b"Accept: */*")
BOMB = gzip.compress(b" " * 1_000_000) * 50  # members, which the server does not decompress

VALID = (
    Case("plain", PLAIN, 200),
    Case("empty-line-before", b"\r\n" + PLAIN, 200),  # RFC 9112, 2.2
    Case("value-empty", get(b"X:"), 200),
    Case("value-with-tab-and-high-byte", get(b"X: a\tb\xff"), 200),  # obs-text of RFC 9110, 5.5
    Case("space-around-value", get(b"X:   a \t "), 200),
    Case("space-behind-the-host", b"GET /health HTTP/1.1\r\nHost: a \r\n\r\n", 200),
    Case("tabs-around-the-host", b"GET /health HTTP/1.1\r\nHost:\t a:80\t \t\r\n\r\n", 200),
    Case("space-behind-the-length", post(b"Content-Length: 2 \t", b"{}"), 422),
    Case("space-behind-the-coding", post(CHUNKED + b" ", b"2\r\n{}\r\n0\r\n\r\n"), 422),
    Case(
        "space-behind-the-content-coding",
        post(b"Content-Encoding: identity \t\r\nContent-Length: 2", b"{}"),
        422,
    ),
    Case(
        "space-behind-the-expectation", post(b"Expect: 100-Continue \t\r\nContent-Length: 2", b"{}"), 100, 422
    ),
    Case("host-with-port", b"GET /health HTTP/1.1\r\nHost: api.example:8000\r\n\r\n", 200),
    Case("host-of-ipv6", b"GET /health HTTP/1.1\r\nhost: [::1]:8000\r\n\r\n", 200),
    Case("host-last", b"GET /health HTTP/1.1\r\nX: 1\r\nHOST: a\r\n\r\n", 200),
    Case(
        "absolute-form", b"GET http://a.example/health?x HTTP/1.1\r\nHost: a\r\n\r\n", 200
    ),  # RFC 9112, 3.2.2
    Case("headers-as-many-as-allowed", get(many(b"X-%d: 1", 99)), 200),
    Case("headers-as-long-as-allowed", get(headers(40, 800)), 200),
    Case("target-nearly-too-long", b"GET /" + b"a" * 8191 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    Case("options", b"OPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n", 204),
    Case("options-of-the-server", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204),  # RFC 9110, 9.3.7
    Case("method-of-another-protocol", b"PROPFIND /health HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    Case("trace", b"TRACE /health HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    Case(
        "trailers-behind-many-headers",
        post(many(b"X-%d: 1", 97) + b"\r\n" + CHUNKED, b"2\r\n{}\r\n0\r\nY: 1\r\n\r\n"),
        422,
    ),
    Case(
        "trailers-behind-long-headers",
        post(headers(39, 800) + b"\r\n" + CHUNKED, b"2\r\n{}\r\n0\r\n" + headers(4, 800) + b"\r\n\r\n"),
        422,
    ),
    Case("get-with-a-body", get(b"Content-Length: 5") + b"12345", 200),
    Case("length", post(b"Content-Length: 2", b"{}"), 422),
    Case("length-with-leading-zeros", post(b"Content-Length: 0002", b"{}"), 422),
    Case("chunked", post(CHUNKED, b"2\r\n{}\r\n0\r\n\r\n"), 422),
    Case("chunked-in-capitals", post(b"TRANSFER-ENCODING: Chunked", b"2\r\n{}\r\n0\r\n\r\n"), 422),
    Case("chunk-size-with-leading-zeros", post(CHUNKED, b"0002\r\n{}\r\n000\r\n\r\n"), 422),
    Case("chunk-size-in-hexadecimal", post(CHUNKED, b"C\r\n{          }\r\n0\r\n\r\n"), 422),
    Case("chunk-extensions", post(CHUNKED, b'2;a=b;c="d e"\r\n{}\r\n0;z\r\n\r\n'), 422),
    Case("trailers", post(CHUNKED, b"2\r\n{}\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n"), 422),
    Case(
        "many-small-chunks",
        post(CHUNKED, b"1\r\n{\r\n" + b"1\r\n \r\n" * 30_000 + b"1\r\n}\r\n0\r\n\r\n"),
        422,
    ),
    Case("body-of-the-largest-size", post(b"Content-Length: 1048576", b"{" + b" " * 1_048_574 + b"}"), 422),
    Case("coding-of-content", post(b"Content-Encoding: gzip\r\nContent-Length: %d" % len(BOMB), BOMB), 415),
    Case(
        "coding-of-content-in-a-list",
        post(b"Content-Encoding: identity, br\r\nContent-Length: 2", b"{}"),
        415,
    ),
    Case(
        "coding-of-content-that-is-none", post(b"Content-Encoding: identity\r\nContent-Length: 2", b"{}"), 422
    ),
    Case("continue", post(b"Expect: 100-continue\r\nContent-Length: 2", b"{}"), 100, 422),
    Case("upgrade-to-h2c", get(UPGRADE[:-2]), 200),  # RFC 9110, 7.8
    Case("upgrade-with-length", post(UPGRADE + b"Content-Length: 2", b"{}"), 422),
    Case("upgrade-in-chunks", post(UPGRADE + CHUNKED, b"2\r\n{}\r\n0\r\n\r\n"), 422),
    Case("upgrades-in-a-row", post(UPGRADE + b"Content-Length: 2", b"{}") * 3, 422, 422, 422),
    Case(
        "pipelined",
        PLAIN + post(b"Content-Length: 2", b"{}") + PLAIN + b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        200,
        422,
        200,
        404,
    ),
    Case("pipelined-deeply", PLAIN * 100, *[200] * 100),
)

# These close the connection, as they should.
LAST = (
    Case("version-1.0-without-host", b"GET /health HTTP/1.0\r\n\r\n", 200),
    Case("version-1.0-with-host", b"GET /health HTTP/1.0\r\nHost: a\r\n\r\n", 200),
    Case(
        "expectation-in-1.0",
        b"POST %b HTTP/1.0\r\nExpect: tea\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        % ITEMS,
        422,
    ),
    Case("close", get(b"Connection: close"), 200),
    Case("close-and-more", get(b"Connection: close") + PLAIN, 200),  # RFC 9112, 9.6
    Case("good-before-bad", PLAIN + PLAIN + b"GET / HTTP/1.1\r\n\r\n" + PLAIN, 200, 200, 400),
    Case(
        "body-without-length", post(b"X: 1", b"{}"), 400, 400
    ),  # RFC 9112, 6.3: no body, and no request after it
)
