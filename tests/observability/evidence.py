"""One run: the servers, the play, and the data in Prometheus, and in Loki if installed, afterwards."""

import asyncio
import copy
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from service.cli.errors import Exit
from service.dev.redis_server import RedisServer
from tests.backup.test_verify import flip
from tests.observability import rules
from tests.observability.cast import Cast
from tests.observability.edge import edge
from tests.observability.play import play
from tests.observability.programs import located, loki_program
from tests.observability.servers import Loki, Prometheus, Target, loki, prometheus
from tests.observability.upstream import exporters
from tests.process.conftest import age_keys, new_key
from tests.process.served import Served, command_environment, slipway
from tests.security.issuer import AUDIENCE, local_issuer
from tests.services import Client
from tests.shop.door import PROGRAM

PODS = [f"{rules.RELEASE}-7c9f8d6b5-{tail}" for tail in ("x2k9p", "q7dvh", "m4zts")]
KEYS_MAX_AGE = 16  # seconds, used in rules only: three quarters of them pass within the run
JOB_SECONDS = 240.0
FIRING = "SlipwayBackupDrillFailed"
# Small, so that a little load reaches every limit.
SETTINGS = {
    "app__environment": "test",  # accepts an issuer over http
    "rate_limit__requests": 200,
    "database__pool_max": 4,
    "database__lock_timeout": 1,
    "server__max_concurrency": 12,
    "security__jwks_refresh": 1,
    "security__jwks_cooldown": 1,
}


@dataclass
class Evidence:
    """The results of the run. Times are in seconds since 1970."""

    prometheus: Prometheus
    lines: Loki | None
    began: float
    stopped: float
    ended: float

    @property
    def loki(self) -> Loki:
        """The log lines of the run. Skips the test if Loki is not installed."""
        if self.lines is None:
            pytest.skip(
                "there is no loki on this machine: SLIPWAY_LOKI says where it is, or Docker holds its image"
            )
        return self.lines


@contextmanager
def evidence(folder: Path, services: Client) -> Iterator[Evidence]:
    """Play once, and keep Prometheus, and Loki if installed, running for queries."""
    with ExitStack() as stack:
        found = loki_program(folder)
        lines = stack.enter_context(loki(found, folder / "loki")) if found else None
        redis = RedisServer(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        url = services.create_database("observed", migrated=True)
        stack.callback(services.drop_database, "observed")
        series, times = asyncio.run(_run(stack, folder, services, redis, url))
        if lines is not None:
            _push_lines(lines, folder)
        yield Evidence(series, lines, *times)


async def _run(
    stack: ExitStack, folder: Path, services: Client, redis: RedisServer, url: str
) -> tuple[Prometheus, tuple[float, float, float]]:
    scopes = ("shop:read", "shop:write")
    migration = asyncio.create_task(_migrate(_made(folder / "migration"), url))
    *keys, greedy = [await new_key(url, *scopes) for _ in range(9)]
    soon = await new_key(url, "admin", expires_at=datetime.now(UTC) + timedelta(days=3))
    await age_keys(url)
    await _back_up(_made(folder / "backup"), url)
    async with local_issuer() as issuer:
        trusted = json.dumps([{"issuer": issuer.url, "audience": AUDIENCE}])
        given = {"redis__url": redis.url, "security__issuers": trusted, **SETTINGS}
        pods = [_pod(stack, folder / pod, database__url=url, **given) for pod in PODS[:2]]
        other = services.create_database("unmigrated", migrated=False)
        late = _pod(stack, folder / PODS[2], database__url=other, server__drain_delay=8, **given)
        await migration
        for pod in pods:
            await asyncio.to_thread(pod.ready)
        await asyncio.to_thread(late.listening)
        series = stack.enter_context(_scraped([*pods, late], folder))
        cast = Cast(pods, late, redis, url, keys, soon, greedy, issuer)
        times = await play(cast, lambda: services.drop_database("unmigrated"))
    return series, times


def _pod(stack: ExitStack, home: Path, **settings: object) -> Served:
    pod = Served(home, **settings)
    stack.callback(pod.close)
    return pod


@contextmanager
def _scraped(pods: list[Served], folder: Path) -> Iterator[Prometheus]:
    """Start Prometheus, configured as by the chart's ServiceMonitor and the exporters' charts."""
    with ExitStack() as stack:
        port = stack.enter_context(exporters(PODS))
        targets = [Target("kube-state-metrics", port, {}, exporter=True)]
        if controller := located("traefik"):
            targets.append(Target("traefik", stack.enter_context(edge(controller, folder / "edge")), {}))
        for name, pod in zip(PODS, pods, strict=True):
            labels = {"pod": name, "container": "server", "endpoint": "admin", "namespace": rules.NAMESPACE}
            service = f"{rules.RELEASE}-admin"
            targets.append(Target(service, pod.admin_port, {**labels, "service": service}))
        ages = {"jwks_max_age": KEYS_MAX_AGE, "jwks_refresh": SETTINGS["security__jwks_refresh"]}
        given = ",".join(f"config.security.{name}={seconds}" for name, seconds in ages.items())
        with prometheus(folder / "prometheus", targets, _impatient(rules.spec("--set", given))) as api:
            yield api


def _impatient(spec: rules.Rule) -> rules.Rule:
    """Return the rules with an alert that fires within the run. The others stay pending."""
    spec = copy.deepcopy(spec)
    found = [rule for group in spec["groups"] for rule in group["rules"] if rule.get("alert") == FIRING]
    found[0]["for"] = "10s"
    return spec


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def _back_up(home: Path, url: str) -> None:
    """Run the commands of the chart's CronJobs, of which the pods report. The last drill fails on a damaged backup."""

    async def run(command: str) -> int:
        storage = home / "storage"
        run = partial(slipway, home, "backup", command, database__url=url, backup__storage=storage)
        return (await asyncio.to_thread(run)).returncode

    assert (await run("create"), await run("drill")) == (0, 0)
    part = max((home / "storage").rglob("part-*"))
    part.write_bytes(flip(part.read_bytes(), 0.5))
    assert await run("drill") == Exit.REFUSED_BACKUP


async def _migrate(home: Path, url: str) -> None:
    """Run the command of the chart's Job, with its output in a file."""
    with (home / "log").open("wb") as log:
        environment = command_environment(database__url=url)
        job = await asyncio.create_subprocess_exec(
            *PROGRAM, "migrate", cwd=home, env=environment, stdout=log, stderr=log
        )
        assert await asyncio.wait_for(job.wait(), JOB_SECONDS) == 0, (home / "log").read_text("utf-8")


def _push_lines(lines: Loki, folder: Path) -> None:
    """Push the logs of pods and Jobs to Loki, with the labels of the chart's collector."""
    for pod in PODS:
        _push(lines, pod, "server", (folder / pod / "log").read_text("utf-8"))
    job = f"{rules.RELEASE}-migrate-0123456789-xyzab"
    _push(lines, job, "migration", (folder / "migration" / "log").read_text("utf-8"))


def _push(lines: Loki, pod: str, container: str, text: str) -> None:
    by_level: dict[str, list[tuple[int, str]]] = {}
    for line in text.splitlines():
        level, when = "", time.time()
        if line.startswith("{"):
            said = json.loads(line)
            level, when = said["level"], datetime.fromisoformat(said["time"]).timestamp()
        by_level.setdefault(level, []).append((int(when * 1e9), line))
    for level, found in by_level.items():
        labels = {"namespace": rules.NAMESPACE, "pod": pod, "container": container, "app": "slipway"}
        lines.push({**labels, "component": container, **({"level": level} if level else {})}, found)
