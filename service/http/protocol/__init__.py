"""HTTP/1.1 on a connection: httptools' speed with bounds in bytes, counts and seconds.

`connection` is the protocol. It uses `limits` (the bounds), `cycle` (a request and its response), `request_head` (the
rules of RFC 9112 that the parser does not enforce), `lifetime` (when a connection ends), `closing` (how it
ends), `slow_readers` (clients that do not read their responses) and `unchunked` (responses to HTTP/1.0).
"""
