"""What `helm test` runs in a pod of the service: the release as its callers see it, through its Services."""  # noqa: INP001 - no package

import json
import sys
import time
import urllib.error
import urllib.request

PUBLIC, ADMIN = sys.argv[1:]
SECONDS = 60


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def ask(url: str) -> tuple[int, dict[str, object]]:
    """Return the status and JSON of a response. Raises OSError without a response."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of the chart
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def expect(url: str, *statuses: int) -> dict[str, object]:
    """The JSON at a URL, asked for again until its status is one of these. Ends the process when time is up."""
    deadline, found = time.monotonic() + SECONDS, "nothing"
    while time.monotonic() < deadline:
        try:
            status, body = ask(url)
            if status in statuses:
                say(f"ok: {url} answers {status}")
                return body
            found = f"{status} {body}"
        except (OSError, ValueError) as error:
            found = f"{type(error).__name__}: {error}"
        time.sleep(1)
    sys.exit(f"failed: {url} should answer {' or '.join(map(str, statuses))}, not {found}")


expect(f"{PUBLIC}/health", 200)
ready = expect(f"{ADMIN}/readyz", 200)
version = expect(f"{ADMIN}/version", 200)
# Only administrators may read this. 400: config.security.trusted_hosts does not include this Service.
refusal = expect(f"{PUBLIC}/api/v1/keys", 400, 401)
if refusal.get("code") is None:
    sys.exit(f"failed: a refusal without a code: {refusal}")
say(f"version {version['version']}, database at {ready['checks']['database']['detail']}, {ready['status']}")
