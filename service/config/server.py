"""Ports, processes, shutdown, and limits on requests and connections."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import Field, field_validator

from service.config.clean_path import clean_path
from service.config.group import Group, Port, Seconds


class ServerSettings(Group):
    host: str = "127.0.0.1"
    """Address of the public port. A pod needs `0.0.0.0`."""
    port: Port = 8000
    """Public port: `/api`, `/docs`, `/health`."""
    public_path: Annotated[str, Field(examples=["/shop"])] = ""
    """Path under which a proxy serves the service, such as `/shop` for `https://example.com/shop/`. Links begin with
    it; requests may come with or without it. Empty: the root, or the path in the `X-Forwarded-Prefix` of a trusted
    proxy."""
    admin_host: str = "127.0.0.1"
    """Address of the admin port. A pod needs `0.0.0.0`."""
    admin_port: Port = 9000
    """Admin port: `/livez`, `/readyz`, `/startupz`, `/metrics`, `/version`."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of processes: 1 runs uvicorn alone, more run uvicorn workers under gunicorn. On Kubernetes, keep 1 and add
    replicas."""
    drain_delay: Seconds = 5.0
    """Seconds to keep serving after SIGTERM, until load balancers have noticed that the process is not ready."""
    shutdown_timeout: Seconds = 15.0
    """Seconds that in-flight requests get to finish after the drain delay."""
    keep_alive: Annotated[int, Field(ge=1, le=3600)] = 75
    """Seconds that an idle client connection stays open. It must exceed the idle timeout of the proxy in front."""
    max_connection_age: Annotated[float, Field(ge=0, le=86400)] = 300.0
    """Seconds after which a client connection closes with its next response, which says `Connection: close`; 0: never.
    Each connection gets up to a tenth more or less. New pods get requests from clients that keep their connections
    only if these connections end."""
    max_connection_requests: Annotated[int, Field(ge=0, le=2**31)] = 0
    """Number of requests after which a client connection closes in the same way; 0: no limit."""
    backlog: Annotated[int, Field(ge=1, le=65535)] = 2048
    """Maximum number of connections waiting to be accepted (`listen` backlog)."""
    max_concurrency: Annotated[int, Field(ge=1, le=65535)] = 256
    """Maximum number of in-flight requests per process; more wait for 30 ms, then get 503. With 8 database connections,
    an acquire timeout of 0.25 s and statements of 8 ms, 256 is the most that can be served in time."""
    max_connections: Annotated[int, Field(ge=16, le=65535)] = 2000
    """Maximum number of client connections per process and port; more get 503 and are closed."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 1_048_576
    """Maximum size of a request body, in bytes; larger ones get 413."""
    max_buffered_bytes: Annotated[int, Field(ge=2**20, le=2**40)] = 33_554_432
    """Maximum number of bytes of request bodies that each process buffers, beyond the first 16 KiB of each; a request
    that needs more gets 503. The same limit applies to responses that clients do not read; beyond it, they are
    disconnected."""
    max_headers: Annotated[int, Field(ge=16, le=1000)] = 100
    """Maximum number of header fields of a request; more get 431."""
    max_header_bytes: Annotated[int, Field(ge=4096, le=2**20)] = 32_768
    """Maximum size of a request header, all fields together, in bytes; larger ones get 431."""
    max_target_bytes: Annotated[int, Field(ge=1024, le=65536)] = 8192
    """Maximum length of a request target (path and query), in bytes; longer ones get 414."""
    header_timeout: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Seconds from a new connection or a request's first byte to the end of the header. Then the connection is closed,
    with 408 if anything was received."""
    body_timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds from the end of the header to the end of the body. Then the request gets 408 and the connection is
    closed. Raise it together with `max_body_bytes` for clients on slow networks."""
    write_timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds in which a client must read another 64 KiB of a pending response, or it is disconnected."""
    trusted_proxies: Annotated[tuple[str, ...], Field(examples=["10.0.0.0/8,192.0.2.7"])] = ("127.0.0.1",)
    """Addresses or networks whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Prefix` are trusted; `[]` for
    none. These proxies must set or remove each field, so that clients cannot forge it."""
    trusted_hops: Annotated[int, Field(ge=1, le=16)] = 1
    """Maximum number of trusted proxies in a row, counted from the service: 2 with a load balancer in front of the
    ingress."""

    @field_validator("public_path")
    @classmethod
    def _is_clean_path(cls, value: str) -> str:
        return clean_path(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, place in enumerate(value, 1):
            try:
                _ = place == "*" or ip_network(place, strict=False)
            except ValueError:
                raise ValueError(f"entry {number} is not an address or network such as 10.0.0.0/8") from None
        return value
