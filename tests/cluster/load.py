"""A steady load, run inside the cluster by Python alone: `python -c <this> URL KEY CALLS RATE`.

RATE requests a second by eight callers. Four keep their connection, as a proxy does; four open a new one for each
request, as a careless caller does. Two of the eight write. CALLS is what calls.py prints: a path to `read`, and the
`method`, `path` and `body` of a write, which has another number each time. Each caller keeps to a timetable, so a slow
response makes no gap in the load: what is late is sent at once. KEY may be `-`, to be read from standard input. It says
`started` when all have a response, ends when /tmp/stop appears, and then prints what it saw as a line of JSON. No
request is tried twice: each failure counts.
"""

import collections
import http.client
import itertools
import json
import random
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

STOP = Path("/tmp/stop")
CALLERS = 8
FAILURES = 20
NUMBER = "1000000001"  # as in calls.py
NUMBERS = itertools.count(random.SystemRandom().randrange(2 * 10**9, 9 * 10**9))


class Caller(threading.Thread):
    def __init__(self, url: str, key: str, calls: dict[str, str], *, interval: float, number: int) -> None:
        super().__init__(daemon=True)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.calls, self.interval = calls, interval
        self.keep, self.write = number % 2 == 0, number < CALLERS // 4
        self.seen: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)

    def run(self) -> None:
        due, stopped = time.monotonic(), float("inf")
        while due < stopped:
            began = time.monotonic()
            try:
                self._call()
            except (OSError, http.client.HTTPException) as error:
                self._failed(type(error).__name__, f"{error!r} after {time.monotonic() - began:.1f} s")
                self.connection.close()
            due += self.interval
            time.sleep(max(0.0, due - time.monotonic()))
            if STOP.exists():  # what was due by then is still sent
                stopped = min(stopped, time.monotonic())

    def _failed(self, kind: str, words: str) -> None:
        self.seen[kind] += 1
        self.failures.append(f"{time.strftime('%X')} keep={self.keep} write={self.write}: {words}")

    def _call(self) -> None:
        if self.write:
            body = (self.calls["body"] or "").replace(NUMBER, str(next(NUMBERS)))
            self.connection.request(self.calls["method"], self.calls["path"], body or None, self.headers)
        else:
            self.connection.request("GET", self.calls["read"], headers=self.headers)
        response = self.connection.getresponse()
        text = response.read().decode()
        if response.status in {200, 201, 204}:
            self.seen[str(response.status)] += 1
        else:
            later = " with Retry-After" if response.headers["Retry-After"] else ""
            self._failed(f"{response.status}{later}", f"{response.status}: {text[:200]}")
        if not self.keep:
            self.connection.close()


def main(url: str, key: str, calls: str, rate: str) -> None:
    interval = CALLERS / float(rate)
    key = sys.stdin.readline().strip() if key == "-" else key
    what = json.loads(calls)
    callers = [Caller(url, key, what, interval=interval, number=number) for number in range(CALLERS)]
    began = time.monotonic()
    for caller in callers:
        caller.start()
        time.sleep(interval / CALLERS)
    while not all(caller.seen for caller in callers):
        time.sleep(0.1)
    sys.stdout.write("started\n")
    sys.stdout.flush()
    for caller in callers:
        caller.join()
    seen = sum((caller.seen for caller in callers), collections.Counter[str]())
    failures = sorted(line for caller in callers for line in caller.failures)[:FAILURES]
    rate_seen = sum(seen.values()) / (time.monotonic() - began)
    sys.stdout.write(json.dumps({"seen": seen, "failures": failures, "rate": rate_seen}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
