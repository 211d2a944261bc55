"""What is measured of the service alone: probes under load, overload, start, memory, and growth of the table."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.backends import Backends
from benchmarks.load import Load, Measurement
from benchmarks.machine import keep_off
from benchmarks.programs import SERVICE
from benchmarks.running import Running, running

SMALL, ROWS, LARGE = 1000, 100_000, 1_000_000
STARTS = 3
CROWD = 512  # connections of an overload, which sends OVER times what the service answers
OVER = 4
EACH_GROWTH = 100  # requests for each access
LIST = "/api/v1/articles?limit=50&sort=price"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measurement and its target, as the report shows them."""

    what: str
    reached: str
    target: str
    met: bool


class Probing(threading.Thread):
    """Sends one request after the other with a pause between them, until stopped."""

    def __init__(self, url: str, key: str = "", *, pause: float) -> None:
        super().__init__()
        self._url, self._pause, self._headers = url, pause, {"Authorization": f"Bearer {key}"} if key else {}
        self._over = threading.Event()
        self.answers: list[tuple[float, httpx2.Response]] = []

    def run(self) -> None:
        keep_off()
        with httpx2.Client(headers=self._headers, timeout=10) as client:
            while not self._over.wait(self._pause):
                began = time.perf_counter()
                answer = client.get(self._url)
                self.answers.append((time.perf_counter() - began, answer))

    def stop(self) -> list[tuple[float, httpx2.Response]]:
        """Return the time in seconds and the answer of each request."""
        self._over.set()
        self.join()
        return self.answers


def probes(service: Running, load: Load, alone: Measurement, seconds: int) -> Iterator[Figure]:
    """Measure probes and scrapes while the mix runs. `alone` is the mix without them."""
    threads = [Probing(f"{service.admin_url}{path}", pause=0.25) for path in ("/metrics", "/livez")]
    for thread in threads:
        thread.start()
    mix = load.measure("mix", "P", seconds)
    scrape = statistics.median(took for took, _ in threads[0].stop()) * 1000
    threads[1].stop()
    yield Figure("a scrape while the mix runs", f"{scrape:.1f} ms", "≤ 10 ms", scrape <= 10)
    more = mix.slow - alone.slow
    yield Figure("what probes add to the 99th percentile of the mix", f"{more:.1f} ms", "≤ 2 ms", more <= 2)
    cpu = _cpu_of_liveness(service)
    yield Figure("CPU time of a liveness probe", f"{cpu:.0f} µs", "≤ 120 µs", cpu <= 120)


def _cpu_of_liveness(service: Running, count: int = 2000) -> float:
    with ThreadPoolExecutor(1, initializer=keep_off) as thread:
        return thread.submit(_cpu_of_a_probe, service, count).result()


def _cpu_of_a_probe(service: Running, count: int) -> float:
    with httpx2.Client() as client:
        client.get(f"{service.admin_url}/livez")
        before = service.cpu_seconds()
        for _ in range(count):
            client.get(f"{service.admin_url}/livez")
    return (service.cpu_seconds() - before) / count * 1e6


def overload(
    service: Running, backends: Backends, load: Load, peak: Measurement, seconds: int
) -> Iterator[Figure]:
    """Send `OVER` times as many requests as the service can answer, over `CROWD` connections."""
    url = f"{service.url}/api/v1/articles/{load.item}"
    customer = Probing(url, backends.key, pause=0.05)
    customer.start()
    told = load.send("mix", "O", seconds, connections=CROWD, pause=CROWD / (OVER * peak.rate) * 1000)
    refusals = [took * 1000 for took, answer in customer.stop() if answer.status_code in {429, 503}]
    share = told["answered"] / told["microseconds"] * 1e6 / peak.rate
    yield Figure("answered in an overload, of the peak", f"{share:.0%}", "≥ 90 %", share >= 0.9)
    others = told["bare"] + told["broken"] + told["refused"] - told["busy"]
    text = f"{told['busy']} refused, {others} of them otherwise"
    yield Figure("the rest: 503 or 429 with Retry-After", text, "0 otherwise", others == 0)
    slow = statistics.median(refusals) if refusals else 0.0
    yield Figure("time of a refusal", f"{slow:.0f} ms, of {len(refusals)}", "< 50 ms", slow < 50)
    began = time.perf_counter()
    service.wait(url, backends.key)
    after = time.perf_counter() - began
    yield Figure("first answer after the overload", f"{after * 1000:.0f} ms", "≤ 2 s", after <= 2)


def start_and_memory(
    service: Running, backends: Backends, load: Load, folder: Path, seconds: int
) -> Iterator[Figure]:
    """Start another service `STARTS` times, and send requests to the one that runs."""
    times, idle = [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        with running(SERVICE, backends, folder) as started:
            started.wait(f"{started.admin_url}/readyz")
            times.append(time.perf_counter() - began)
            idle.append(started.resident_mb())
    start, memory = statistics.median(times), statistics.median(idle)
    yield Figure("from start to ready", f"{start:.2f} s", "≤ 1.5 s", start <= 1.5)
    yield Figure("memory, idle", f"{memory:.0f} MB", "≤ 95 MB", memory <= 95)
    before = service.resident_mb()
    sent = load.measure("mix", "M", seconds).sent
    grown = (service.resident_mb() - before) / sent * 1e5
    yield Figure("growth of memory in 100 000 requests", f"{grown:.1f} MB", "≤ 2 MB", grown <= 2)


Costs = dict[str, float]


def growth(service: Running, backends: Backends) -> Callable[[], Iterator[Figure]]:
    """Measure accesses to a small table now; the returned function measures them again, when it has grown.

    The cost of an access is PostgreSQL's time for its statement.
    """
    small = costs(service, backends)

    def compare() -> Iterator[Figure]:
        for what, cost in costs(service, backends).items():
            ratio = cost / small[what]
            text = f"{ratio:.2f} times ({small[what] * 1000:.0f} to {cost * 1000:.0f} µs)"
            yield Figure(f"from {SMALL} to {LARGE} rows: {what}", text, "≤ 1.3 times", ratio <= 1.3)

    return compare


def costs(service: Running, backends: Backends) -> Costs:
    """Return the milliseconds of PostgreSQL for each access; nothing if it cannot measure them."""
    if backends.statements() is None:
        return {}
    found: Costs = {}
    with httpx2.Client(base_url=service.url, headers={"Authorization": f"Bearer {backends.key}"}) as client:
        item = f"/api/v1/articles/{backends.sql('SELECT id FROM tests_article ORDER BY id LIMIT 1')[0][0]}"
        tag = client.get(item).headers["etag"]

        def update() -> None:
            nonlocal tag
            body = {"stock": time.perf_counter_ns() % 10**6}
            tag = client.patch(item, json=body, headers={"If-Match": tag}).raise_for_status().headers["etag"]

        accesses: dict[str, Callable[[], object]] = {
            "read one": lambda: client.get(item).raise_for_status(),
            "first page": lambda: client.get(LIST).raise_for_status(),
            "update": update,
        }
        # Each page is full in the small table too, and the last one is the far end of the same index.
        middle = client.get(f"{LIST}&price__gte=50").raise_for_status().links["next"]["url"]
        for what, page in {
            "middle page": middle,
            "last page": LIST.replace("sort=price", "sort=-price"),
            "first page of a rare status": f"{LIST}&status=discontinued",
        }.items():
            accesses[what] = lambda page=page: client.get(page).raise_for_status()  # type: ignore[misc]
        for what, access in accesses.items():
            found[what] = _milliseconds(backends, access)
    return found


def _milliseconds(backends: Backends, access: Callable[[], object]) -> float:
    for _ in range(EACH_GROWTH // 10):
        access()
    before = backends.statements()
    for _ in range(EACH_GROWTH):
        access()
    after = backends.statements()
    assert before is not None
    assert after is not None
    return (after[1] - before[1]) / EACH_GROWTH
