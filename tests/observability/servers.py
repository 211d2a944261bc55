"""A real Prometheus and a real Loki for one run, and clients for them."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, NamedTuple

import httpx2
import yaml

from service.dev.free_ports import LOOPBACK
from service.dev.server_process import ServerProcess
from tests.observability.programs import program
from tests.ports import next_port

START_SECONDS = 60.0
Response = dict[str, Any]


class Target(NamedTuple):
    """A scrape target, with the labels that a monitor would add."""

    job: str
    port: int
    labels: dict[str, str]
    exporter: bool = False


class Api:
    """A server's HTTP API. Raises with the server's message if it refuses a request."""

    probe = "/ready"

    def __init__(self, port: int) -> None:
        self._client = httpx2.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=30)

    def ready(self) -> bool:
        """Whether the server is ready for queries."""
        try:
            return self._client.get(self.probe).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    def get(self, path: str, **parameters: Any) -> Any:
        response = self._client.get(path, params=parameters)
        assert response.status_code == httpx2.codes.OK, f"{parameters}: {response.text}"
        return response.json()["data"]

    def post(self, path: str, body: Any) -> None:
        response = self._client.post(path, json=body)
        assert response.is_success, response.text

    def close(self) -> None:
        self._client.close()


class Prometheus(Api):
    """Queries series. Times are in seconds since 1970."""

    probe = "/-/ready"

    def over_time(self, expr: str, start: float, end: float) -> list[Response]:
        """Return the series of an expression, with one point per second."""
        found: list[Response] = self.get("/api/v1/query_range", query=expr, start=start, end=end, step=1)[
            "result"
        ]
        return found

    def rules(self) -> list[Response]:
        return [rule for group in self.get("/api/v1/rules")["groups"] for rule in group["rules"]]


class Loki(Api):
    """Takes log lines and queries them."""

    def push(self, labels: dict[str, str], lines: Iterable[tuple[int, str]]) -> None:
        """Push the lines of one stream, in order, with times in nanoseconds."""
        values = [[str(when), line] for when, line in sorted(lines)]
        self.post("/loki/api/v1/push", {"streams": [{"stream": labels, "values": values}]})

    def over_time(self, expr: str, start: float, end: float) -> list[Response]:
        """Return the streams of an expression, newest line first, or its series, with one point per second."""
        times = {"start": int(start * 1e9), "end": int(end * 1e9)}
        found: list[Response] = self.get("/loki/api/v1/query_range", query=expr, step=1, limit=500, **times)[
            "result"
        ]
        return found


@contextmanager
def prometheus(folder: Path, targets: list[Target], rules: dict[str, Any]) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the targets and evaluates the rules every second."""
    folder.mkdir()
    (folder / "rules.yml").write_text(yaml.safe_dump(rules), "utf-8")
    jobs = [
        {
            "job_name": f"{target.job}/{number}",
            # Exporters report on other pods, and their monitors honour those labels.
            "honor_labels": target.exporter,
            "static_configs": [{"targets": [f"{LOOPBACK}:{target.port}"], "labels": target.labels}],
            "relabel_configs": [{"target_label": "job", "replacement": target.job}],
        }
        for number, target in enumerate(targets)
    ]
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "scrape_configs": jobs,
            }
        ),
        "utf-8",
    )
    port = next_port()
    with _running(
        program("prometheus"),
        folder / "log",
        Prometheus(port),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    ) as api:
        yield api


@contextmanager
def loki(path: Path, folder: Path) -> Iterator[Loki]:
    """Run the Loki at `path`, with its data in a folder."""
    folder.mkdir()
    port = next_port()
    schema = {
        "from": "2024-01-01",
        "store": "tsdb",
        "object_store": "filesystem",
        "schema": "v13",
        "index": {"prefix": "index_", "period": "24h"},
    }
    settings = {
        "auth_enabled": False,
        "server": {
            "http_listen_address": LOOPBACK,
            "http_listen_port": port,
            "grpc_listen_address": LOOPBACK,
            "grpc_listen_port": next_port(),
            "log_level": "warn",
        },
        "common": {
            "path_prefix": str(folder / "data"),
            "replication_factor": 1,
            "instance_addr": LOOPBACK,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {
                "filesystem": {
                    "chunks_directory": str(folder / "chunks"),
                    "rules_directory": str(folder / "rules"),
                }
            },
        },
        "schema_config": {"configs": [schema]},
        "analytics": {"reporting_enabled": False},
    }
    (folder / "loki.yml").write_text(json.dumps(settings), "utf-8")
    with _running(
        str(path), folder / "log", Loki(port), f"-config.file={folder / 'loki.yml'}", "-target=all"
    ) as api:
        yield api


Server = Any  # one of the two


@contextmanager
def _running(path: str, log: Path, api: Server, *arguments: str) -> Iterator[Server]:
    process = ServerProcess(Path(path), log, stop_signals=((SIGTERM, 10.0), (SIGKILL, 5.0)), user=None)
    process.start(*arguments)
    try:
        process.wait_until(api.ready, seconds=START_SECONDS)
        yield api
    finally:
        api.close()
        process.stop()
