"""A real Traefik that serves a certificate, as an ingress controller does, and exposes it in its metrics."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM

import httpx2

from service.dev.free_ports import LOOPBACK
from service.dev.server_process import ServerProcess
from tests.observability.rules import HOST
from tests.ports import next_port
from tests.tls.terminator import Authority

START_SECONDS = 30.0


@contextmanager
def edge(program: str, folder: Path) -> Iterator[int]:
    """Yield its metrics port. The certificate is for the release's host and expires in a day."""
    folder.mkdir()
    Authority(folder).server(HOST)
    file = str(folder / f"{HOST}.pem")  # with the key
    # JSON is YAML, too.
    routes = folder / "routes.yml"
    routes.write_text(json.dumps({"tls": {"certificates": [{"certFile": file, "keyFile": file}]}}), "utf-8")
    port = next_port()
    process = ServerProcess(
        Path(program), folder / "log", stop_signals=((SIGTERM, 10.0), (SIGKILL, 5.0)), user=None
    )
    process.start(
        f"--entrypoints.metrics.address={LOOPBACK}:{port}",
        f"--entrypoints.websecure.address={LOOPBACK}:{next_port()}",
        "--entrypoints.websecure.http.tls=true",
        "--metrics.prometheus.entrypoint=metrics",
        f"--providers.file.filename={routes}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    try:
        process.wait_until(lambda: _has_metrics(port), seconds=START_SECONDS)
        yield port
    finally:
        process.stop()


def _has_metrics(port: int) -> bool:
    try:
        return "traefik_tls_certs_not_after" in httpx2.get(f"http://{LOOPBACK}:{port}/metrics").text
    except httpx2.TransportError:
        return False
