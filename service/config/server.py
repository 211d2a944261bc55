"""The settings of the server: ports, processes, and the bounds of what clients may ask of them."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import Field, field_validator

from service.config.group import Group, Port, Seconds
from service.config.public_path import clean_path


class ServerSettings(Group):
    host: str = "127.0.0.1"
    """Address of the public port. A pod needs `0.0.0.0`."""
    port: Port = 8000
    """Public port: `/api`, `/docs`, `/health`."""
    public_path: Annotated[str, Field(examples=["/shop"])] = ""
    """Path under which a proxy serves the service, such as `/shop` for `https://example.com/shop/`. Links begin with
    it; requests may come with or without it. Empty: the root, or the path that trusted proxies send in
    `X-Forwarded-Prefix`."""
    admin_host: str = "127.0.0.1"
    """Address of the admin port. A pod needs `0.0.0.0`."""
    admin_port: Port = 9000
    """Admin port: `/livez`, `/readyz`, `/startupz`, `/metrics`, `/version`."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes. 1 is uvicorn alone; more are uvicorn workers under gunicorn."""
    drain_delay: Seconds = 5.0
    """Seconds to keep serving after SIGTERM, while load balancers notice that readiness is gone."""
    shutdown_timeout: Seconds = 15.0
    """Seconds that running requests get after the drain delay."""
    keep_alive: Annotated[int, Field(ge=1, le=3600)] = 75
    """Seconds an idle client connection stays open; longer than the proxy in front keeps its own."""
    backlog: Annotated[int, Field(ge=1, le=65535)] = 2048
    """Connections that may wait to be accepted."""
    max_concurrency: Annotated[int, Field(ge=1, le=65535)] = 256
    """Requests that each process works on at a time; more are answered with 503 at once. With 8 connections and an
    acquire limit of 0.25 s, 256 are what statements of 8 ms let through in time."""
    max_connections: Annotated[int, Field(ge=16, le=65535)] = 2000
    """Client connections that each process holds at a time, on each port; more are answered with 503 and closed."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 1_048_576
    """Largest request body; more is answered with 413."""
    max_buffered_bytes: Annotated[int, Field(ge=2**20, le=2**40)] = 33_554_432
    """Bytes that each process holds of request bodies at a time, beyond the first 16 KiB of each; a request that
    would need more is answered with 503. It holds as many of answers that clients do not take, and then cuts off."""
    max_headers: Annotated[int, Field(ge=16, le=1000)] = 100
    """Most header fields of a request; more are answered with 431."""
    max_header_bytes: Annotated[int, Field(ge=4096, le=2**20)] = 32_768
    """Largest header of a request, all fields together; more is answered with 431."""
    max_target_bytes: Annotated[int, Field(ge=1024, le=65536)] = 8192
    """Longest request target, path and query; more is answered with 414."""
    header_timeout: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Seconds from a request's first byte, or a new connection, to the end of the header; then it is closed, with
    408 when anything was sent."""
    body_timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds from the end of the header to the end of the body; then it is answered with 408 and closed. Raise it
    with `max_body_bytes` for clients on slow lines."""
    write_timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds in which a client must take another 64 KiB of an answer that waits for it, before it is cut off."""
    trusted_proxies: Annotated[tuple[str, ...], Field(examples=["10.0.0.0/8,192.0.2.7"])] = ("127.0.0.1",)
    """Addresses or networks whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Prefix` are trusted; `[]` for
    none. These proxies must set or remove each field, so that clients cannot forge it."""
    trusted_hops: Annotated[int, Field(ge=1, le=16)] = 1
    """Most of those proxies in a row, counted from here: 2 where a load balancer stands before the ingress."""

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
