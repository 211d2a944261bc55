"""The code follows the rules in tests/unit/rules."""

import subprocess
from typing import Any

import pytest

from tests.unit.rules import conduct, file_names, layers, links, locks, sizes, texts, words
from tests.unit.rules.rule import ROOT, Rule, Source, python_sources, tracked

CODE_RULES = (*sizes.RULES, *layers.RULES, *conduct.RULES)
TEXT_RULES = (*texts.RULES, *links.RULES, *words.RULES)
RULES = (*CODE_RULES, *TEXT_RULES)
LOCKS = {"requirements.txt": (), "requirements-dev.txt": ("dev",)}


@pytest.fixture(scope="module")
def code() -> list[Source]:
    return python_sources()


@pytest.fixture(scope="module")
def files() -> list[Source]:
    try:
        return tracked()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so there are no tracked files to judge")


def _samples(kind: str) -> list[Any]:
    return [
        pytest.param(rule, sample, id=f"{rule.name}-{number}")
        for rule in RULES
        for number, sample in enumerate(getattr(rule, kind))
    ]


def keep(rule: Rule, sources: list[Source]) -> None:
    """Fail with one line for each violation."""
    if breaches := [breach for source in sources for breach in rule.breaches(source)]:
        pytest.fail("\n".join(breaches), pytrace=False)


@pytest.mark.parametrize("rule", CODE_RULES, ids=lambda rule: rule.name)
def test_code_follows_the_rule(rule: Rule, code: list[Source]) -> None:
    keep(rule, code)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.name)
def test_tracked_files_follow_the_rule(rule: Rule, files: list[Source]) -> None:
    keep(rule, files)


@pytest.mark.parametrize(("rule", "sample"), _samples("bad"))
def test_rule_catches_its_bad_sample(rule: Rule, sample: Source) -> None:
    assert rule.breaches(sample)


@pytest.mark.parametrize(("rule", "sample"), _samples("good"))
def test_rule_accepts_its_good_sample(rule: Rule, sample: Source) -> None:
    assert rule.breaches(sample) == []


def test_every_rule_has_samples_and_a_unique_name() -> None:
    assert all(rule.bad and rule.good for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_every_layer_exists_once() -> None:
    assert len(layers.ROW) == sum(map(len, layers.LAYERS))
    parts = {path.stem for path in (ROOT / "service").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__pycache__", "py"} <= set(layers.ROW)


def test_every_file_name_of_the_service_is_used_once(code: list[Source]) -> None:
    assert list(file_names.doubles(source.path for source in code)) == []


def test_file_name_rule_catches_doubles_and_knows_the_conventions() -> None:
    twins = ("service/cache/keys.py", "service/http/x/keys.py")
    assert "service/cache/keys.py and service/http/x/keys.py" in "".join(file_names.doubles(twins))
    shared = ("service/a/errors.py", "service/b/errors.py", "service/config/redis.py", "service/redis.py")
    assert list(file_names.doubles((*shared, "service/a/x.py", "tests/x.py"))) == []


@pytest.mark.parametrize("name", LOCKS)
def test_direct_dependencies_are_locked_and_hashed(name: str) -> None:
    pyproject, lock = (ROOT / "pyproject.toml").read_text(), (ROOT / name).read_text()
    assert list(locks.faults(pyproject, lock, *LOCKS[name])) == []


def test_lock_rule_catches_missing_outdated_and_unhashed_packages() -> None:
    pyproject = """
    [project]
    name = "slipway"
    dependencies = ["a>=2", "b"]
    [project.optional-dependencies]
    local = ["c"]
    dev = ["slipway[local]"]
    """
    lock = "a==1 \\\n    --hash=sha256:00\nd==1\n"
    found = " ".join(locks.faults(pyproject, lock, "dev"))
    for part in ("a is locked at 1", "b is not locked", "c is not locked", "d has no hash"):
        assert part in found
