"""The code follows the rules in tests/unit/rules."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.unit.rules import conduct, file_names, layers, links, locks, sizes, texts, words
from tests.unit.rules.rule import ROOT, Rule, Source, python_sources, tracked

CODE_RULES = (*sizes.RULES, *layers.RULES, *conduct.RULES)
TEXT_RULES = (*texts.RULES, *links.RULES, *words.RULES)
RULES = (*CODE_RULES, *TEXT_RULES)
LOCKS = {"requirements.txt": (), "requirements-dev.txt": ("dev",)}


def _samples(kind: str) -> list[Any]:
    return [
        pytest.param(rule, sample, id=f"{rule.name}-{number}")
        for rule in RULES
        for number, sample in enumerate(getattr(rule, kind))
    ]


def keep(rules: Iterable[Rule], sources: Iterable[Source]) -> None:
    """Fail with one line for each violation. Each file is read, and parsed, once for all rules."""
    if breaches := [breach for source in sources for rule in rules for breach in rule.breaches(source)]:
        pytest.fail("\n".join(breaches), pytrace=False)


def test_code_follows_the_rules() -> None:
    keep(CODE_RULES, python_sources("service", "tests"))


def files() -> Iterator[Source]:
    try:
        yield from tracked()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so there are no tracked files to judge")


def test_tracked_files_follow_the_rules() -> None:
    keep(TEXT_RULES, files())


@pytest.mark.parametrize("rules", [CODE_RULES, TEXT_RULES], ids=["code", "texts"])
def test_every_breach_is_reported_with_the_name_of_its_rule(rules: tuple[Rule, ...]) -> None:
    bad = [sample for rule in rules for sample in rule.bad]
    with pytest.raises(pytest.fail.Exception) as raised:
        keep(rules, bad)
    breaches = str(raised.value).splitlines()
    assert {breach.split(": ")[1] for breach in breaches} == {rule.name for rule in rules}
    assert {breach.split(":")[0] for breach in breaches} == {sample.path for sample in bad}


def spellings(words: str) -> Iterator[str]:
    """Yield what an expression of letters, spaces and choices matches; it may look ahead and behind."""
    words = re.sub(r"\(\?<?[=!](?:[^()]|\([^()]*\))*\)", "", words)
    if not (choice := re.search(r"\(\?:([^()]*)\)|(\w)\?", words)):
        yield words
        return
    for chosen in (choice[2], "") if choice[2] else choice[1].split("|"):
        yield from spellings(words.replace(choice[0], chosen, 1))


def test_plain_words_rule_catches_every_spelling() -> None:
    assert [*spellings(r"(?<!a\x20)goes? (?:or|nor)(?=\x20(?:b|c)\b)")] == [
        "goes or",
        "goes nor",
        "goe or",
        "goe nor",
    ]
    rule = next(rule for rule in words.RULES if rule.name == "plain-words")
    for expression, instead in words.INSTEAD.items():
        for spelling in spellings(expression):
            broken = spelling.upper().replace(" ", " \n  # ")
            text = f"{spelling}, {spelling} by\n# {broken}, {broken} by"
            lines = {
                line for line, told in rule.check(Source("service/x.py", text)) if told.endswith(instead)
            }
            assert min(lines) == 1 < max(lines), text


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


def test_every_file_name_of_the_service_is_used_once() -> None:
    assert list(file_names.doubles(source.path for source in python_sources("service"))) == []


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
