"""A light load, run inside the cluster by Python alone: `python -c <this> URL KEY CATEGORY`.

Two clients keep their connection, as a proxy does; two open a new one for each request, as a careless caller
does. One of each writes. It ends when /tmp/stop appears and prints what it saw as a line of JSON. No request
is tried twice: each failure counts.
"""

import collections
import http.client
import json
import sys
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

STOP = Path("/tmp/stop")
PAUSE_SECONDS = 0.03


class Caller(threading.Thread):
    def __init__(self, url: str, key: str, category: str, *, keep: bool, write: bool) -> None:
        super().__init__()
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.category, self.keep, self.write = category, keep, write
        self.seen: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)

    def run(self) -> None:
        while not STOP.exists():
            try:
                self._call()
            except (OSError, http.client.HTTPException) as error:
                self.seen["failed"] += 1
                self.failures.append(f"{time.strftime('%X')} keep={self.keep} write={self.write}: {error!r}")
                self.connection.close()
            time.sleep(PAUSE_SECONDS)

    def _call(self) -> None:
        if self.write:
            sku = uuid.uuid4().hex[:16].upper()
            product = {"sku": sku, "name": "Load", "price": "1.00", "category_id": self.category}
            body = json.dumps(product)
            self.connection.request("POST", "/api/v1/products", body, self.headers)
        else:
            self.connection.request("GET", "/api/v1/products?limit=1", headers=self.headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        self.seen[str(answer.status)] += 1
        if answer.status not in {200, 201}:
            self.failures.append(f"{time.strftime('%X')} {answer.status}: {text[:200]}")
        if not self.keep:
            self.connection.close()


def main(*arguments: str) -> None:
    callers = [
        Caller(*arguments, keep=keep, write=write) for keep in (True, False) for write in (True, False)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    seen = sum((caller.seen for caller in callers), collections.Counter[str]())
    failures = [line for caller in callers for line in caller.failures][:20]
    sys.stdout.write(json.dumps({"seen": seen, "failures": failures}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
