"""The rules of RFC 9112 and RFC 9110 for a request's head that llhttp, the parser, does not enforce."""

import re
from collections.abc import Iterable

import httptools

from service.http import problems
from service.http.problems import Problem

HOST, LENGTH, CODING, EXPECT = b"host", b"content-length", b"transfer-encoding", b"expect"
SINGLE = frozenset({HOST, LENGTH, CODING, EXPECT})
"""Fields that must not be repeated, and whose values are kept."""

# uri-host [ ":" port ] (RFC 9110, 7.2; RFC 3986, 3.2.2), with a name or address that is not empty.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+,;=%-]{1,255})(?::[0-9]{0,5})?")
_UNKNOWN_METHOD = re.compile(rb"(?:\r\n)*[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} [!-~]{1,65536} HTTP/1\.[01]\r\n")
# The methods of the whole service. An unknown method is not a 5xx: strangers must not be able to trigger alerts.
ALLOW = {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}

_ORIGIN = re.compile(rb"\norigin:[ \t]*([!-~]{1,300})[ \t]*\r?\n", re.IGNORECASE)

Noted = dict[bytes, bytes]


def find_problem(method: bytes, version: str, target: bytes, noted: Noted) -> Problem | None:
    """Return the problem with a head; None if it is valid. `noted` has the fields of `SINGLE` that were sent."""
    if version not in {"1.1", "1.0"}:  # RFC 9110, 2.5
        return problems.MalformedRequest("The service supports HTTP/1.1 and HTTP/1.0.")
    if method in {b"CONNECT", b"SOURCE"}:  # RFC 9110, 9.3.6; the other is a method of Icecast's protocol only
        return problems.MethodNotAllowed(headers=ALLOW)
    if b"#" in target or (target == b"*") > (method == b"OPTIONS"):  # RFC 9112, 3.2
        return problems.MalformedRequest("The request target is malformed.")
    host = noted.get(HOST)
    problem = None if host is not None and _HOST.fullmatch(host) else _host(version, host)
    if problem is None and CODING in noted:
        problem = _coding(version, noted[CODING])
    if problem is None and EXPECT in noted:
        problem = _expect(version, noted[EXPECT])
    return problem


def authority(target: bytes) -> bytes | None:
    """Return the authority of a target in absolute form, which replaces `Host` (RFC 9112, 3.2.2); otherwise None."""
    if target[:1] in {b"/", b"*"}:
        return None
    return re.split(rb"[/?]", target.partition(b"://")[2], maxsplit=1)[0].rpartition(b"@")[2]


def origin(headers: Iterable[tuple[bytes, bytes]], rest: bytes) -> list[tuple[bytes, bytes]]:
    """Return the `Origin` of a refused request, from its header or from unparsed bytes; empty if it has not arrived.

    With it, the page can read why the request was refused.
    """
    if found := [value for name, value in headers if name == b"origin"] or _ORIGIN.findall(rest):
        return [(b"origin", found[-1])]
    return []


def _host(version: str, host: bytes | None) -> Problem | None:
    """RFC 9112, 3.2: exactly one valid Host, which HTTP/1.0 need not send. `host` is missing or malformed."""
    if host is None:
        return None if version == "1.0" else problems.MalformedRequest("The Host header is missing.")
    return problems.MalformedRequest("The Host header is malformed.")


def _coding(version: str, coding: bytes) -> Problem | None:
    """RFC 9112, 6.1: chunked is the only coding here, and HTTP/1.0 has none."""
    if version == "1.1" and coding.lower() == b"chunked":
        return None
    return problems.MalformedRequest("The transfer coding is not supported.")


def _expect(version: str, expectation: bytes) -> Problem | None:
    """RFC 9110, 10.1.1. HTTP/1.0 has no expectations."""
    if version == "1.0" or expectation.lower() == b"100-continue":
        return None
    return problems.ExpectationFailed()


def problem_of_parse_error(error: httptools.HttpParserError, start: bytes | None) -> Problem:
    """Return the problem for bytes that are not HTTP. `start` is the input from the request line on, if known."""
    if isinstance(error, httptools.HttpParserInvalidMethodError) and start and _UNKNOWN_METHOD.match(start):
        return problems.MethodNotAllowed(headers=ALLOW)
    return problems.MalformedRequest("This is not HTTP/1.1 (RFC 9112).")
