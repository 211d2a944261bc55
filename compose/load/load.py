# ruff: noqa: INP001  # a script
"""Calls every list of the API through nginx, in turn, so that the dashboards move: `PROFILES="core load"`.

Run by Python alone, with the key in the file /run/secrets/load_key. Prints the responses by status once a minute.
"""

import collections
import http.client
import json
import random
import signal
import sys
import time
from pathlib import Path

HOST, PORT = "nginx", 8080
KEY = Path("/run/secrets/load_key")
PER_SECOND = 20
REPORT_SECONDS = 60


def main() -> None:
    """Call until the container is stopped."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit()
    )  # the first process of a container ignores it otherwise
    headers = {"Host": "127.0.0.1", "X-API-Key": KEY.read_text("utf-8").strip()}
    paths = [*_lists(), "/nowhere"]
    seen: collections.Counter[str] = collections.Counter()
    reported = time.monotonic()
    connection = http.client.HTTPConnection(HOST, PORT, timeout=10)
    while True:
        try:
            connection.request("GET", random.choice(paths), headers=headers)  # noqa: S311  # no secret
            response = connection.getresponse()
            response.read()
            seen[str(response.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            seen[type(error).__name__] += 1
            connection.close()
        if time.monotonic() - reported > REPORT_SECONDS:
            sys.stdout.write(json.dumps({"event": "load", "responses": seen}) + "\n")
            sys.stdout.flush()
            seen.clear()
            reported = time.monotonic()
        time.sleep(random.expovariate(PER_SECOND))


def _lists() -> list[str]:
    """Return the paths of all operations that need no parameter, from the OpenAPI document."""
    connection = http.client.HTTPConnection(HOST, PORT, timeout=10)
    connection.request("GET", "/openapi.json", headers={"Host": "127.0.0.1"})
    paths = json.loads(connection.getresponse().read())["paths"]
    lists = [path for path, item in paths.items() if path.startswith("/api/") and "get" in item]
    return [path for path in lists if "{" not in path and not path.endswith("/export")]


if __name__ == "__main__":
    main()
