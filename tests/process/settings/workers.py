"""Several processes behind the same ports."""

from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.process.test_workers import workers_of


@process("workers")
def workers(setup: Setup) -> Given:
    # gunicorn leaves a socket to the garbage collector.
    return {
        "database__url": setup.database_url,
        "redis__enabled": "false",
        "TMPDIR": setup.home,
        "PYTHONWARNINGS": "error,ignore::ResourceWarning",
    }


@setting("server__workers", 2, process="workers")
def two_workers_serve(run: Running) -> None:
    assert len(workers_of(run.service)) == 2
