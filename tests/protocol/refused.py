"""Requests that a server must refuse."""

from tests.protocol.case import Case, get, headers, many, post

CHUNKED = b"Transfer-Encoding: chunked"
H1 = b"Host: a\r\n"

# RFC 9112, 2.2 (line endings), 3 (request line), 2.3 and RFC 9110, 2.5 (versions).
LINES = (
    Case("bare-lf-everywhere", b"GET /health HTTP/1.1\nHost: a\n\n"),
    Case("bare-lf-after-request-line", b"GET /health HTTP/1.1\nHost: a\r\n\r\n"),
    Case("bare-lf-after-a-field", b"GET /health HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
    Case("bare-lf-at-the-end", b"GET /health HTTP/1.1\r\nHost: a\r\n\n"),
    Case("bare-cr-after-request-line", b"GET /health HTTP/1.1\rHost: a\r\n\r\n"),
    Case("bare-cr-in-a-value", get(b"X: a\rY: b")),
    Case("version-0.9-said", b"GET /health HTTP/0.9\r\n\r\n"),
    Case("version-0.9-unsaid", b"GET /health\r\n\r\n"),
    Case("version-1.2", b"GET /health HTTP/1.2\r\nHost: a\r\n\r\n"),
    Case("version-2.0", b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n"),
    Case("version-11", b"GET /health HTTP/11\r\nHost: a\r\n\r\n"),
    Case("version-1.10", b"GET /health HTTP/1.10\r\nHost: a\r\n\r\n"),
    Case("version-in-lower-case", b"GET /health http/1.1\r\nHost: a\r\n\r\n"),
    Case("version-of-rtsp", b"GET /health RTSP/1.1\r\nHost: a\r\n\r\n"),
    Case("version-of-rtsp-1.0", b"GET /health RTSP/1.0\r\n\r\n"),
    Case("version-of-ice", b"SOURCE /health ICE/1.0\r\n\r\n", 405),
    Case("space-behind-the-version", b"GET /health HTTP/1.1 \r\nHost: a\r\n\r\n"),
    Case("space-before-the-method", b" GET /health HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("space-in-the-target", b"GET /hea lth HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("tab-in-the-request-line", b"GET\t/health HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("method-is-no-token", b"G(T /health HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("target-without-slash", b"GET health HTTP/1.1\r\nHost: a\r\n\r\n"),  # RFC 9112, 3.2
    Case("target-with-fragment", b"GET /health#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("target-with-nul", b"GET /hea\0lth HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("target-with-high-byte", b"GET /hea\xfflth HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("target-of-connect-for-get", b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("target-without-host", b"GET http:///health HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("asterisk-for-get", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    Case("connect", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),  # RFC 9110, 9.3.6
    Case("method-unknown", b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 405),  # RFC 9110, 9.1
    Case("method-in-lower-case", b"get /health HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    Case("http2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),  # RFC 9113, 3.4
    Case("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 200),
    Case("ssh", b"SSH-2.0-OpenSSH_9.9\r\n"),
    Case("noise", bytes(range(128, 256))),
)

# RFC 9112, 5 and RFC 9110, 5.5.
FIELDS = (
    Case("space-before-colon", get(b"X : 1")),
    Case("tab-before-colon", get(b"X\t: 1")),
    Case("space-before-colon-of-length", post(b"Content-Length : 2", b"{}")),
    Case("space-before-the-first-field", b"GET /health HTTP/1.1\r\n Host: a\r\n\r\n"),
    Case("folded-by-space", get(b"X: 1\r\n 2")),  # RFC 9112, 5.2
    Case("folded-by-tab", get(b"X: 1\r\n\t2")),
    Case("no-colon", get(b"X")),
    Case("no-name", get(b": 1")),
    Case("name-is-no-token", get(b"X(y): 1")),
    Case("name-with-nul", get(b"X\0: 1")),
    Case("name-with-high-byte", get(b"X\xff: 1")),
    Case("value-with-nul", get(b"X: a\0b")),
    Case("value-with-escape", get(b"X: a\x1b[31mb")),
    Case("value-with-delete", get(b"X: a\x7fb")),
    Case("value-with-vertical-tab", get(b"X: a\x0bb")),
)

# RFC 9112, 3.2; RFC 9110, 7.2.
HOSTS = (
    Case("host-missing", b"GET /health HTTP/1.1\r\n\r\n"),
    Case("host-empty", b"GET /health HTTP/1.1\r\nHost:\r\n\r\n"),
    Case("host-blank", b"GET /health HTTP/1.1\r\nHost: \r\n\r\n"),
    Case("host-twice", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    Case("host-twice-the-same", b"GET /health HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"),
    Case("host-with-space", b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n"),
    Case("host-list", b"GET /health HTTP/1.1\r\nHost: a, b/\r\n\r\n"),
    Case("host-with-path", b"GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    Case("host-with-user", b"GET /health HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    Case("host-with-bad-port", b"GET /health HTTP/1.1\r\nHost: a:8x\r\n\r\n"),
    Case("host-with-two-ports", b"GET /health HTTP/1.1\r\nHost: a:1:2\r\n\r\n"),
    Case("host-with-high-byte", b"GET /health HTTP/1.1\r\nHost: \xff\r\n\r\n"),
    Case("host-with-open-bracket", b"GET /health HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    Case("host-too-long", b"GET /health HTTP/1.1\r\nHost: " + b"a" * 256 + b"\r\n\r\n"),
    Case("host-malformed-in-1.0", b"GET /health HTTP/1.0\r\nHost: a b\r\n\r\n"),
    Case("host-missing-in-absolute-form", b"GET http://a/health HTTP/1.1\r\n\r\n"),
)

# RFC 9112, 6.1 to 6.3.
FRAMING = (
    Case("length-and-coding", post(b"Content-Length: 2\r\n" + CHUNKED, b"0\r\n\r\n")),
    Case("coding-and-length", post(CHUNKED + b"\r\nContent-Length: 2", b"0\r\n\r\n")),
    Case("length-twice", post(b"Content-Length: 2\r\nContent-Length: 3", b"{}")),
    Case("length-twice-the-same", post(b"Content-Length: 2\r\nContent-Length: 2", b"{}")),
    Case("length-list", post(b"Content-Length: 2, 2", b"{}")),
    Case("length-empty", post(b"Content-Length:", b"{}")),
    Case("length-with-plus", post(b"Content-Length: +2", b"{}")),
    Case("length-negative", post(b"Content-Length: -2", b"{}")),
    Case("length-hexadecimal", post(b"Content-Length: 0x2", b"{}")),
    Case("length-with-underscore", post(b"Content-Length: 1_0", b"{}")),
    Case("length-with-space", post(b"Content-Length: 1 0", b"{}")),
    Case("length-beyond-64-bits", post(b"Content-Length: 18446744073709551618", b"{}")),
    Case("coding-unknown", post(b"Transfer-Encoding: gzip", b"{}")),
    Case("coding-identity", post(b"Transfer-Encoding: identity", b"{}")),
    Case("coding-empty", post(b"Transfer-Encoding:", b"{}")),
    Case("coding-chunked-twice", post(CHUNKED + b"\r\n" + CHUNKED, b"0\r\n\r\n")),
    Case("coding-chunked-in-a-list", post(b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n")),
    Case("coding-chunked-not-last", post(b"Transfer-Encoding: chunked, gzip", b"0\r\n\r\n")),
    Case("coding-nearly-chunked", post(b"Transfer-Encoding: xchunked", b"0\r\n\r\n")),
    Case("coding-quoted", post(b'Transfer-Encoding: "chunked"', b"0\r\n\r\n")),
    Case("coding-with-vertical-tab", post(b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n")),
    Case("coding-in-1.0", b"POST /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    Case("expectation-unknown", post(b"Expect: tea\r\nContent-Length: 2", b"{}"), 417),  # RFC 9110, 10.1.1
)

# RFC 9112, 7.1.
CHUNKS = (
    Case("chunk-size-prefixed", post(CHUNKED, b"0x2\r\n{}\r\n0\r\n\r\n")),
    Case("chunk-size-negative", post(CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n")),
    Case("chunk-size-with-underscore", post(CHUNKED, b"1_0\r\n{}\r\n0\r\n\r\n")),
    Case("chunk-size-empty", post(CHUNKED, b"\r\n{}\r\n0\r\n\r\n")),
    Case("chunk-size-beyond-64-bits", post(CHUNKED, b"10000000000000002\r\n{}\r\n0\r\n\r\n")),
    Case("chunk-size-and-space", post(CHUNKED, b"2 \r\n{}\r\n0\r\n\r\n")),
    Case("chunk-size-and-bare-lf", post(CHUNKED, b"2\n{}\r\n0\r\n\r\n")),
    Case("chunk-too-long", post(CHUNKED, b"2\r\n{}}\r\n0\r\n\r\n")),
    Case("chunk-without-end", post(CHUNKED, b"2\r\n{}0\r\n\r\n")),
    Case("chunk-ends-by-lf", post(CHUNKED, b"2\r\n{}\n0\r\n\r\n")),
    Case("extension-without-name", post(CHUNKED, b"2;\r\n{}\r\n0\r\n\r\n")),
    Case("extension-with-nul", post(CHUNKED, b"2;\0\r\n{}\r\n0\r\n\r\n")),
    Case("extension-and-bare-lf", post(CHUNKED, b"2;a\n{}\r\n0\r\n\r\n")),
    Case("extension-and-bare-cr", post(CHUNKED, b"2;a\r{}\r\n0\r\n\r\n")),
    Case("trailer-with-bare-lf", post(CHUNKED, b"2\r\n{}\r\n0\r\nX: 1\n\r\n")),
    Case("trailer-without-colon", post(CHUNKED, b"2\r\n{}\r\n0\r\nX\r\n\r\n")),
    Case("trailer-folded", post(CHUNKED, b"2\r\n{}\r\n0\r\nX: 1\r\n 2\r\n\r\n")),
    Case("last-chunk-and-bare-lf", post(CHUNKED, b"2\r\n{}\r\n0\r\n\n")),
)

# RFC 6585, 5; RFC 9110, 15.5.14 and 15.5.15.
SIZES = (
    Case("headers-too-many", get(many(b"X-%d: 1", 101)), 431),
    Case("header-too-long", get(b"X: " + b"a" * 33_000), 431),
    Case("headers-too-long-together", get(headers(50, 700)), 431),
    Case("name-too-long", get(b"X" * 33_000 + b": 1"), 431),
    Case("header-without-end", get(b"X: " + b"a" * 50_000)[:-4], 431),
    Case("target-too-long", b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    Case("target-without-end", b"GET /" + b"a" * 9000, 414),
    Case("empty-lines-without-end", b"\r\n" * 25_000, 431),
    Case("trailer-too-long", post(CHUNKED, b"2\r\n{}\r\n0\r\nX: " + b"a" * 40_000 + b"\r\n\r\n"), 431),
    Case("trailer-without-end", post(CHUNKED, b"2\r\n{}\r\n0\r\nX: " + b"a" * 500_000), 431),
    Case("extension-without-end", post(CHUNKED, b"2;" + b"a" * 500_000), 431),
    Case("body-announced-too-long", post(b"Content-Length: 1048577", b"{"), 413),
    Case(
        "body-in-chunks-too-long", post(CHUNKED, b"10000\r\n" + (b" " * 65536 + b"\r\n10000\r\n") * 17), 413
    ),
)

REFUSED = (*LINES, *FIELDS, *HOSTS, *FRAMING, *CHUNKS, *SIZES)
