"""`slipway import` and `slipway purge` from the outside."""

import asyncio
import gzip
import json
import os
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from service.cli.command_line import application
from tests.conftest import DatabaseFactory
from tests.engine.api import ARTICLES, Api, Json, running, unique
from tests.migrations.roles import execute
from tests.process.served import SECRET_KEY, environment
from tests.shop.door import PROGRAM

SHELF = "0190aaaa-0000-7000-8000-000000000001"
STOCK = f"""
INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by)
VALUES ('{SHELF}', 'lamps', 'Lamps', '', 'test', 'test')
"""
Run = Callable[..., Result]


@pytest.fixture
def url(fresh_database: DatabaseFactory) -> str:
    return fresh_database()


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop_commands: None) -> Run:
    """Runs a command in this process, which is cheaper than starting one."""
    monkeypatch.setattr("service.observability.logs.configure", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, **settings: object) -> Result:
        given = {
            "database__url": url,
            "security__secret_key": SECRET_KEY,
            "redis__enabled": "false",
            **settings,
        }
        variables = {f"SLIPWAY_{name.upper()}": str(value) for name, value in given.items()}
        return CliRunner().invoke(application(), [str(argument) for argument in arguments], env=variables)

    return run


@pytest.fixture
async def stocked(run: Run, url: str) -> Run:
    """The command, on a database with one shelf."""
    await execute(url, STOCK)
    return run


def article(**changes: object) -> Json:
    item = {
        "id": str(uuid4()),
        "sku": unique("IMP"),
        "name": "Lamp",
        "price": "1.50",
        "shelf_id": SHELF,
    }
    return item | changes


def write(file: Path, *items: Json | str, end: str = "\n") -> Path:
    lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
    file.write_bytes("".join(line + end for line in lines).encode())
    return file


async def _fill(api: Api) -> None:
    for number in range(3):
        shelf = await api.shelf()
        for _ in range(4):
            odd = {"attributes": {"ü": [1.5, None, {"a": "b\n"}], "n": 2**53}, "tags": ["a,b", '"', "é"]}
            item = article(price=f"{number}.05", description="Line\u2028one\r\ntwo\u2029\x85three", **odd)
            item.pop("id")
            await api.make("articles", **{**item, "shelf_id": shelf})
    (first,) = (await api.client.get(ARTICLES, params={"limit": "1"})).json()["items"]
    await api.client.patch(f"{ARTICLES}/{first['id']}", json={"stock": 9}, headers={"If-Match": "*"})


async def _everything(api: Api, path: str) -> tuple[bytes, list[Json]]:
    response = await api.client.get(f"/api/v1/{path}/export", params={"sort": "created_at"})
    own = [json.loads(line) for line in response.content.splitlines()]
    told = {"created_at", "updated_at", "created_by", "updated_by", "version"}
    return response.content, sorted(({k: i[k] for k in i.keys() - told} for i in own), key=lambda i: i["id"])


async def test_imported_export_reproduces_the_data(
    run: Run, url: str, tmp_path: Path, fresh_database: DatabaseFactory
) -> None:
    async with running(fresh_database()) as source, running(url) as target:
        await _fill(source)
        for path in ("shelves", "articles"):
            content, items = await _everything(source, path)
            assert len(content.decode().splitlines()) == len(items)
            (tmp_path / path).write_bytes(content)
            done = await asyncio.to_thread(run, "import", path, tmp_path / path)
            assert (done.exit_code, done.stdout) == (0, f"{len(items)} added, 0 already present, 0 invalid\n")
            assert f"line {len(items)}: {len(items)} added" in done.stderr
            assert (await _everything(target, path))[1] == items
            again = await asyncio.to_thread(run, "import", path, tmp_path / path)
            assert (again.exit_code, again.stdout) == (
                0,
                f"0 added, {len(items)} already present, 0 invalid\n",
            )
        (newest,) = (await target.client.get(ARTICLES, params={"limit": "1"})).json()["items"]
        history = (await target.client.get(f"{ARTICLES}/{newest['id']}/history")).json()["items"]
        assert [(e["action"], e["actor"]) for e in history] == [("create", "cli:import")]
        assert history[0]["request_id"].startswith("import-")


def test_rejected_lines_are_reported_and_can_be_reimported(stocked: Run, tmp_path: Path) -> None:
    twin = unique("IMP")
    lines: list[Json | str] = [
        article(),
        "{not json \u2028 at all",
        article(price="-1"),
        article(shelf_id=str(uuid4())),
        article(sku=twin),
        article(sku=twin),
        '{"sku": "A", "sku": "B"}',
        "[1]",
        article(id="x", colour="red"),
    ]
    file, report = write(tmp_path / "in", *lines), tmp_path / "report"
    done = stocked("import", "articles", file, "--errors", report)
    assert (done.exit_code, done.stdout) == (1, "2 added, 0 already present, 7 invalid\n")
    wrong = [json.loads(line) for line in report.read_text().splitlines()]
    assert {(entry["line"], entry["code"]) for entry in wrong} == {
        (2, "invalid_json"),
        (3, "validation_failed"),
        (4, "validation_failed"),
        (6, "duplicate"),
        (7, "invalid_json"),
        (8, "validation_failed"),
        (9, "validation_failed"),
    }
    for entry in wrong:
        entry["item"] = article()
    write(report, *wrong)
    fixed = stocked("import", "articles", report)
    assert (fixed.exit_code, fixed.stdout) == (0, "7 added, 0 already present, 0 invalid\n"), fixed.stderr


def test_error_report_never_overwrites_the_input(stocked: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "in", article(), "wrong")
    before = file.read_bytes()
    done = stocked("import", "articles", file, "--errors", file)
    assert done.exit_code == 2
    assert "--errors" in done.stderr
    assert file.read_bytes() == before


def test_line_endings_empty_lines_and_long_lines(stocked: Run, tmp_path: Path) -> None:
    padded = json.dumps(article())[:-1] + " " * (4 * 2**20) + "}"
    lines: list[Json | str] = [article(), "", "   ", article(description="x" * 9_000), padded, article()]
    report = tmp_path / "report"
    file = write(tmp_path / "in", *lines, end="\r\n")
    done = stocked("import", "articles", file, "--errors", report)
    assert (done.exit_code, done.stdout) == (1, "3 added, 0 already present, 1 invalid\n"), done.stderr
    (entry,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert entry["line"] == 5
    assert "4 MiB" in entry["detail"]
    assert report.stat().st_size < 10_000
    last = write(tmp_path / "last", json.dumps(article()), end="")
    assert stocked("import", "articles", last).stdout == "1 added, 0 already present, 0 invalid\n"


def test_from_line_skips_earlier_lines(stocked: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "in", "wrong", article(), "", article())
    done = stocked("import", "articles", file, "--from-line", 3)
    assert (done.exit_code, done.stdout) == (0, "1 added, 0 already present, 0 invalid\n")
    assert stocked("import", "articles", file, "--from-line", 2).stdout.startswith("1 added, 1 already")


def test_progress_is_reported_per_batch(stocked: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "in", *(article() for _ in range(1500)))
    done = stocked("import", "articles", file)
    assert (done.exit_code, done.stdout) == (0, "1500 added, 0 already present, 0 invalid\n")
    progress = "slipway: line {0}: {0} added, 0 already present, 0 invalid\n"
    assert done.stderr == progress.format(1000) + progress.format(1500), "a file gets no carriage returns"


def test_import_reads_standard_input(stocked: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(json.dumps(article()).encode() + b"\nnull")
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr("service.cli.importing.sys", SimpleNamespace(stdin=pipe, stderr=StringIO()))
        done = stocked("import", "articles", "-")
    assert (done.exit_code, done.stdout) == (1, "1 added, 0 already present, 1 invalid\n")


@pytest.mark.long
def test_import_reads_the_standard_input_of_its_process(url: str, stocked: Run, tmp_path: Path) -> None:
    given = environment(database__url=url, security__secret_key=SECRET_KEY, redis__enabled="false")
    command = [*PROGRAM, "import", "articles", "-"]
    done = subprocess.run(
        command,
        env=given,
        cwd=tmp_path,
        input="null",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "0 added, 0 already present, 1 invalid\n")


def test_exit_codes(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "in", article())
    assert run("import", "nothing", file).exit_code == 2
    rejected = write(tmp_path / "rejected", article())
    before = rejected.read_bytes()
    assert run("import", "articles", tmp_path / "missing", "--errors", rejected).exit_code == 2
    assert rejected.read_bytes() == before, "the lines that were rejected before are not lost"
    assert run("import", "articles", tmp_path).exit_code == 2
    assert run("import", "articles", file, "--from-line", 0).exit_code == 2
    gone = run("import", "articles", file, database__url="postgresql://a:b@127.0.0.1:1/x")
    assert gone.exit_code == 4
    assert "Traceback" not in gone.stderr
    empty = run("import", "articles", write(tmp_path / "empty"))
    assert (empty.exit_code, empty.stdout) == (0, "0 added, 0 already present, 0 invalid\n")


def test_byte_order_mark_and_gzip_are_read(stocked: Run, tmp_path: Path) -> None:
    plain = write(tmp_path / "plain", article(), article()).read_bytes()
    marked, packed = tmp_path / "marked", tmp_path / "packed"
    marked.write_bytes(b"\xef\xbb\xbf" + plain)
    done = stocked("import", "articles", marked)
    assert (done.exit_code, done.stdout) == (0, "2 added, 0 already present, 0 invalid\n")
    packed.write_bytes(gzip.compress(marked.read_bytes()))
    done = stocked("import", "articles", packed)
    assert (done.exit_code, done.stdout) == (0, "0 added, 2 already present, 0 invalid\n")
    packed.write_bytes(packed.read_bytes()[:-20])
    assert "gzip data is damaged" in _refused(stocked, packed)


def test_gzip_that_is_damaged_behind_a_valid_batch_is_reported(stocked: Run, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    lines = write(tmp_path / "plain", *(article() for _ in range(3000))).read_bytes()
    packed.write_bytes(gzip.compress(lines)[:-20])
    done = stocked("import", "articles", packed)
    assert done.exit_code == 2
    reason = done.stderr.splitlines()[-1]
    assert reason.startswith(f"slipway: {packed}: stopped after line ")
    assert "the gzip data is damaged" in reason


def test_line_that_repeats_an_id_is_known_already(stocked: Run, tmp_path: Path) -> None:
    first = article()
    done = stocked("import", "articles", write(tmp_path / "in", first, article(), article(id=first["id"])))
    assert (done.exit_code, done.stdout) == (0, "2 added, 1 already present, 0 invalid\n"), done.stderr


def test_wrong_file_format_is_reported_in_one_line(stocked: Run, tmp_path: Path) -> None:
    """tests/unit/test_import_source.py has the others."""
    file = tmp_path / "other"
    file.write_bytes(b"sku,name\nA,Lamp\n")
    told = _refused(stocked, file)
    expected = "this looks like CSV; expected one JSON object a line, in UTF-8, plain or gzip"
    assert told == f"slipway: {file}: {expected}"


def _refused(run: Run, file: Path) -> str:
    """Messages about files that cannot be read."""
    done = run("import", "articles", file)
    assert (done.exit_code, done.stdout) == (2, "")
    (told,) = done.stderr.splitlines()
    return told


def test_unmigrated_database_is_reported_in_one_line(
    run: Run, tmp_path: Path, fresh_database: DatabaseFactory
) -> None:
    blank = fresh_database(migrated=False)
    for arguments in (("import", "articles", write(tmp_path / "in", article())), ("purge",)):
        done = run(*arguments, database__url=blank)
        assert done.exit_code == 7, done.stderr
        assert "Traceback" not in done.stderr


async def test_purge_deletes_only_expired_responses(run: Run, url: str) -> None:
    async with running(url) as api:
        shelf = await api.shelf()
        for key in ("old", "young"):
            item = article(shelf_id=shelf)
            item.pop("id")
            await api.client.post(ARTICLES, json=item, headers={"Idempotency-Key": key})
        await api.database.fetch(
            "UPDATE idempotency_record SET created_at = now() - interval '2 hours' WHERE key = 'old'"
        )
        done = await asyncio.to_thread(run, "purge", app__idempotency_hours=1)
        assert (done.exit_code, done.stdout) == (0, "1 expired idempotency records deleted\n")
        left = await api.database.fetch("SELECT key FROM idempotency_record")
        assert [row["key"] for row in left] == ["young"]
        again = await asyncio.to_thread(run, "purge")
        assert again.stdout == "0 expired idempotency records deleted\n"
    gone = await asyncio.to_thread(run, "purge", database__url="postgresql://a:b@127.0.0.1:1/x")
    assert gone.exit_code == 4
