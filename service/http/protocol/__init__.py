"""HTTP/1.1 on a connection: httptools' speed with bounds in bytes, counts and seconds.

`limits` are the bounds, `framing` the rules of RFC 9112 that the parser leaves open, `closing` how a connection
ends, `connection` the protocol that puts them together.
"""
