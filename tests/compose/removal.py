"""Removes what a test made in Docker, however the test ends."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

# Its standard input ends with the process of the tests, if not before.
REMOVE = """
cat >/dev/null
docker ps --all --quiet --filter "label=$1" | xargs -r docker rm --force --volumes
for kind in network volume; do
  docker $kind ls --quiet --filter "label=$1" | xargs -r docker $kind rm
done
"""


@contextmanager
def removed_afterwards(label: str) -> Iterator[None]:
    """Remove the containers, networks and volumes with this label when the block ends, or when this process is
    killed."""
    with subprocess.Popen(
        ["sh", "-c", REMOVE, "sh", label],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the session of the tests does not end it
    ):
        yield
